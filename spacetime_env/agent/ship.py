"""The end of a training: the best weights are judged on new seeds and become an agent's folder."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from spacetime_env.agent import card, folder, run_folder, sb3_checkpoint
from spacetime_env.agent.envs import NOOPS
from spacetime_env.agent.hyperparameters import AgentError
from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.envs.vector import cores
from spacetime_env.locks import hold
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
    """Judge the best weights on new seeds and write the agent's folder.

    Args:
        agent: the trained agent; it is left with the best weights.
        supervisor: of its training.
        hyperparameters: as they were given.
        command: what made it.
        root: the folder ``name`` is put here; "" is ``<game>-<algo>``.
        episodes, seed: of the evaluation.
        overwrite: replace an agent of that name even if it ships or plays better.

    Returns:
        The folder: in ``root``, or in the run's folder where a shipped or a better agent keeps its place.

    Raises:
        AgentError: the disk is full, or the folder cannot be written.
        LockError: another process holds ``root`` for longer than ``WAIT``. The same command then ships the agent.
    """
    run, progress = supervisor.run, supervisor.progress
    best = progress
    if run.best.is_file():
        best = sb3_checkpoint.restore(run.best, agent, counters=False)
    print(f"Playing {episodes} episodes with the best weights.")
    returns = folder.evaluate(agent, supervisor.eval_envs, episodes, seed)
    name = name or default_name(run.asked)
    about = {
        "name": name,
        "algo": run.asked["algo"],
        "env": run.asked["env"],
        "env_kwargs": run.asked["env_kwargs"],
        "deterministic": True,  # take the most probable action
        "model": folder.model_of(supervisor.eval_envs),
        "seed": run.seed,
        "hyperparameters": run_folder.plain(hyperparameters),
        "evaluation": {
            "episodes": len(returns),
            "mean": float(returns.mean()),
            "std": float(returns.std()),
            "returns": returns.tolist(),
            "deterministic": True,
            "noops": NOOPS,
            "seed": seed,
        },
        "trained": {
            "command": command,
            "timesteps": progress.timesteps,
            "best_timesteps": best.timesteps,
            "seconds": round(progress.seconds),
            "sittings": progress.sittings,
            "cores": cores(),
            "machine": f"{platform.machine()}, {platform.system()}",
            "earlier": run_folder.read_record(run.folder).get("earlier", []),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }
    texts = {
        folder.CARD: card.card(about, progress.evaluations),
        card.CURVE: card.curve(progress.evaluations, f"{run.asked['algo'].upper()} on {run.asked['env']}"),
    }
    target = root / name
    print(f"Return {returns.mean():.1f} ± {returns.std():.1f} over {len(returns)} episodes.")
    kept = keeps_its_place(target) or _better(target, about)
    if kept and not overwrite:
        target = run.folder / name
        print(f"{kept} The new one is in {target}; --overwrite puts it in the other's place.")
    try:
        sb3_checkpoint.save(run.folder / folder.POLICY, agent, best, replay=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        # The run's folder is held already. Of the agents' folder another training may be writing an agent now.
        with contextlib.nullcontext() if target.parent == run.folder else hold(target.parent, WAIT):
            folder.write(target, (run.folder / folder.POLICY).read_bytes(), about, texts)
        run.write(finished=True, agent=str(target))
    except OSError as error:
        raise AgentError(
            f"cannot write the agent to {target}: {error.strerror or error}. Nothing is lost: make room, "
            "then run the same again."
        ) from None
    print(f"The agent is in {target}.")
    return target


def default_name(asked: Mapping[str, Any]) -> str:
    """``pong-ppo``, from the settings of a training."""
    game = str(asked["env"]).rpartition("/")[2].rpartition("-")[0].lower()
    return f"{game}-{asked['algo']}"


def keeps_its_place(target: Path) -> str:
    """A sentence where ``target`` holds an agent that ships, or other things than an agent, else ""."""
    if is_shipped("agents", target):
        return f"{target} comes with the package."
    if target.exists() and not (target / folder.DESCRIPTION).is_file() and not _is_empty(target):
        return f"{target} is no agent, and is not empty."
    return ""


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _better(target: Path, about: Mapping[str, Any]) -> str:
    """A sentence where ``target`` holds an agent that plays better on the same model, else ""."""
    if not (target / folder.DESCRIPTION).is_file():
        return ""
    try:
        old = folder.describe(target)
        mean = float(old["evaluation"]["mean"])
        useful = old["model"]["sha256"] == about["model"]["sha256"]
    except (AgentError, KeyError, TypeError, ValueError):
        return ""
    better = useful and mean > about["evaluation"]["mean"]
    return f"{target} holds an agent that plays better ({mean:.1f})." if better else ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
