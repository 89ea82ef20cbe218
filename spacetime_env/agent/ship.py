"""The end of a training: its best weights are measured on new seeds and become an agent folder."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from spacetime_env.agent import card, folder, run_folder, sb3_checkpoint
from spacetime_env.agent.description import CARD, DESCRIPTION, POLICY, describe
from spacetime_env.agent.envs import noops_of
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.find_model import model_files, model_of
from spacetime_env.agent.playing import evaluate
from spacetime_env.agent.progress import Progress
from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.envs.vector import cores
from spacetime_env.files import shown
from spacetime_env.locks import LockError, hold
from spacetime_env.shipped import is_shipped

WAIT = 30.0  # seconds to wait for another process that writes an agent into the same folder of agents
PACKAGES = ("spacetime-env", "stable-baselines3", "torch", "gymnasium", "ale-py", "numpy")


def ship(
    agent: BaseAlgorithm,
    supervisor: Supervisor,
    hyperparameters: Mapping[str, Any],
    command: str,
    root: Path,
    *,
    name: str,
    episodes: int,
    seed: int,
    overwrite: bool,
) -> Path:
    """Measure the best weights of a training on new seeds, and write the agent's folder.

    Args:
        agent: the trained agent. It is left with the best weights.
        supervisor: of the training.
        hyperparameters: as they were given.
        command: the command that trained it, for the card.
        root: the folder that the agent's folder is put into.
        name: of the agent's folder; "" is ``<game>-<algo>``.
        episodes, seed: of the evaluation.
        overwrite: replace an agent of that name even if it ships or plays better.

    Returns:
        The agent's folder. It is in ``root``; or in the run's folder, if a shipped or a better agent of that name is in
        ``root``.

    Raises:
        AgentError: the disk is full, or the folder cannot be written.
        LockError: another process holds ``root`` for longer than ``WAIT``. The same command then ships the agent.
    """
    run, progress = supervisor.run, supervisor.progress
    best = progress
    if run.best.is_file():
        best = sb3_checkpoint.restore(run.best, agent, counters=False)
    print(f"Playing {episodes} episodes with the best weights.")
    returns = evaluate(agent, supervisor.eval_envs, episodes, seed)
    print(f"Return {returns.mean():.1f} ± {returns.std():.1f} over {len(returns)} episodes.")
    about = {
        "name": require_name(name or default_name(run.asked["env"], run.asked["algo"])),
        "algo": run.asked["algo"],
        "env": run.asked["env"],
        "env_kwargs": run.asked["env_kwargs"],
        "deterministic": True,  # take the most probable action
        "model": model_of(supervisor.eval_envs),
        "seed": run.seed,
        "hyperparameters": run_folder.plain(hyperparameters),
        "evaluation": _evaluation(returns, seed, noops_of(run.asked["env"])),
        "trained": _trained(supervisor, best, command),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }
    return _put(agent, supervisor, best, about, root, overwrite)


def _evaluation(returns: np.ndarray, seed: int, noops: int) -> dict[str, Any]:
    """What ``agent.yaml`` says of the last evaluation."""
    return {
        "episodes": len(returns),
        "mean": float(returns.mean()),
        "std": float(returns.std()),
        "returns": returns.tolist(),
        "deterministic": True,
        "noops": noops,
        "seed": seed,
    }


def _trained(supervisor: Supervisor, best: Progress, command: str) -> dict[str, Any]:
    """What ``agent.yaml`` says of the training."""
    progress = supervisor.progress
    return {
        "command": command,
        "timesteps": progress.timesteps,
        "best_timesteps": best.timesteps,
        "seconds": round(progress.seconds),
        "sittings": progress.sittings,
        "cores": cores(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "earlier": run_folder.read_record(supervisor.run.folder).get("earlier", []),
    }


def _put(
    agent: BaseAlgorithm,
    supervisor: Supervisor,
    best: Progress,
    about: Mapping[str, Any],
    root: Path,
    overwrite: bool,
) -> Path:
    """Write the agent's folder into ``root``, or into the run's folder if another keeps its place; see :func:`ship`."""
    run, evaluations = supervisor.run, supervisor.progress.evaluations
    target = root / about["name"]
    kept = keeps_its_place(target) or _better(target, about)
    if kept and not overwrite:
        target = run.folder / about["name"]
        print(f"{kept} The new one is in {target}; --overwrite puts it in the other's place.")
    texts = {
        CARD: card.card(about, evaluations),
        card.CURVE: card.curve(evaluations, f"{about['algo'].upper()} on {about['env']}"),
    }
    own = model_files(about["env"], about["env_kwargs"], about["model"]["sha256"])
    try:
        sb3_checkpoint.save(run.folder / POLICY, agent, best, replay=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        # The run's folder is held already. Of the agents' folder another training may be writing an agent now.
        with nullcontext() if target.parent == run.folder else hold(target.parent, WAIT):
            folder.write(target, (run.folder / POLICY).read_bytes(), about, texts, own)
        run.write(finished=True, agent=str(target))
    except OSError as error:
        raise AgentError(
            f"cannot write the agent to {target}: {error.strerror or error}. Nothing is lost: make room, "
            "then run the same again."
        ) from None
    except LockError as error:
        raise AgentError(f"{error} Nothing is lost: run the same again.") from None
    print(f"The agent is in {target}.")
    return target


def default_name(env_id: str, algo: str) -> str:
    """``SpaceTime/Pong-v5`` and ``ppo`` -> ``pong-ppo``."""
    return f"{env_id.rpartition(':')[2].rpartition('/')[2].rpartition('-')[0].lower()}-{algo}"


def require_name(name: str) -> str:
    """A name that an agent's folder can have.

    Raises:
        AgentError: it would lie elsewhere than in the folder of agents, or no file can be called so.
    """
    if not re.fullmatch(r"\w[\w.+-]{0,99}", name):
        raise AgentError(
            f"an agent cannot be called {shown(name)}: expected up to 100 letters, digits, '.', '+', '-' and '_', such "
            "as pong-ppo, which begin with a letter or a digit. --agents-folder says where its folder goes."
        )
    return name


def is_taken(target: Path) -> bool:
    """Whether something that is no agent lies there, which an agent does not replace."""
    if target.is_dir():
        return any(target.iterdir()) and not (target / DESCRIPTION).is_file()
    return os.path.lexists(target)


def keeps_its_place(target: Path) -> str:
    """A sentence if ``target`` holds an agent that ships, or other things than an agent; otherwise ""."""
    if is_shipped("agents", target):
        return f"{target} comes with the package."
    return f"{target} is no agent, and is not empty." if is_taken(target) else ""


def _better(target: Path, about: Mapping[str, Any]) -> str:
    """A sentence that says so if ``target`` holds an agent that plays better on the same model; otherwise ""."""
    if not (target / DESCRIPTION).is_file():
        return ""
    try:
        old = describe(target)
        mean = float(old["evaluation"]["mean"])
        useful = old["model"]["sha256"] == about["model"]["sha256"]
    except (AgentError, KeyError, TypeError, ValueError):
        return ""
    better = useful and mean > about["evaluation"]["mean"]
    return f"{target} holds an agent that plays better ({mean:.1f})." if better else ""


def _version(name: str) -> str:
    """The installed version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
