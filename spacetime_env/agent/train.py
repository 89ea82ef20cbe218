"""Training an agent, for ``train_agent.py``: Stable-Baselines3 learns, and here it is saved, evaluated and shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from spacetime_env.agent import ranges, run_folder
from spacetime_env.agent.build import build
from spacetime_env.agent.description import POLICY, lineage
from spacetime_env.agent.envs import EnvMaker, derived_seed, make, make_envs
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.hyperparameters import Hyperparameters, algorithm, parse, read
from spacetime_env.agent.progress import Progress
from spacetime_env.agent.run_folder import RunFolder
from spacetime_env.agent.sb3_checkpoint import restore
from spacetime_env.agent.ship import default_name, is_taken, keeps_its_place, require_name, ship
from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.files import shown
from spacetime_env.shipped import folders

EVAL_ENVS = 10  # at most so many envs play the episodes of an evaluation at once
TRAIN, EVALUATE, FINAL = 1, 2, 3  # kinds of seeds; seeds of two kinds are never the same
DEFAULTS: Mapping[str, Any] = {"policy": "MlpPolicy", "n_timesteps": 1_000_000}  # without a hyperparameter file


@dataclass(frozen=True)
class Options:
    """The options of ``train_agent.py``, with rl_zoo3's names and meanings.

    rl_zoo3 does not have ``agents_folder``, ``name``, ``final_episodes``, ``overwrite``, ``trust`` and
    ``model_device``. ``trust`` lets the policy and the env be named with a module, which is imported and so run.
    ``device`` is where the agent's network runs, ``model_device`` where that of the env's SPACE-Time model does.
    """

    algo: str = "ppo"
    env: str = "SpaceTime/Pong-v5"
    tensorboard_log: str = ""
    trained_agent: str = ""
    n_timesteps: int = -1
    num_threads: int = 1
    eval_freq: int = 200_000
    eval_episodes: int = 10
    save_freq: int = 50_000
    log_folder: str = "logs"
    seed: int = -1
    vec_env: str = "vector"
    device: str = "cpu"
    model_device: str = ""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    hyperparams: Mapping[str, Any] = field(default_factory=dict)
    conf_file: str = ""
    progress: bool = False
    verbose: int = 1
    agents_folder: str = "agents"
    name: str = ""
    final_episodes: int = 30
    overwrite: bool = False
    trust: bool = False


def train(options: Options, command: str = "") -> Path | None:
    """Train an agent and write its folder.

    Returns:
        The folder, or None if Ctrl-C or SIGTERM ended the training early; it is saved then.

    Raises:
        AgentError: the request or a file of it cannot be used.
    """
    torch.set_num_threads(max(options.num_threads, 1))
    _check(options)
    run = _open_run(options)
    try:
        return _train(options, run, command)
    finally:
        if run.lock is not None:
            run.lock.close()


def _train(options: Options, run: RunFolder, command: str) -> Path | None:
    """The training of a run that is open."""
    if run.resumed:
        print(f"Going on with {run.folder}.")
    asked = run.asked
    target = Path(options.agents_folder) / (options.name or default_name(asked["env"], asked["algo"]))
    if not options.overwrite and (kept := keeps_its_place(target)):
        print(f"{kept} The agent will be put into {run.folder}; --name gives it another name in the folder of agents.")
    settings = parse(asked["hyperparameters"], algorithm(asked["algo"]), trust=options.trust)
    env_kwargs = {**settings.env_kwargs, **ranges.env_kwargs(asked["env_kwargs"]), **options.env_kwargs}
    if options.model_device:  # of this machine: it is not kept in the run or with the agent
        env_kwargs["device"] = options.model_device
    maker = EnvMaker(asked["env"], env_kwargs, trust=options.trust)
    make(asked["env"], env_kwargs, options.trust).close()  # its errors are clearer than a worker's
    count = max(1, min(options.eval_episodes, EVAL_ENVS))
    eval_envs = make_envs(maker, count, run.seed, "dummy" if options.vec_env == "subproc" else options.vec_env)
    envs = make_envs(maker, settings.n_envs, run.seed, options.vec_env)
    try:
        agent, progress = _make_agent(options, run, settings, envs)
        envs.seed(derived_seed(run.seed, TRAIN, progress.timesteps))
        supervisor = Supervisor(
            run,
            progress,
            eval_envs,
            settings.n_timesteps,
            seed=derived_seed(run.seed, EVALUATE),
            eval_freq=options.eval_freq,
            eval_episodes=options.eval_episodes,
            save_freq=options.save_freq,
            bar=options.progress,
        )
        if not _learn(agent, supervisor, settings.n_timesteps, asked["algo"]):
            return None
        return ship(
            agent,
            supervisor,
            settings.raw,
            command or "spacetime_env.agent.train.train(...)",
            Path(options.agents_folder),
            name=options.name,
            episodes=options.final_episodes,
            seed=derived_seed(run.seed, FINAL),
            overwrite=options.overwrite,
        )
    finally:
        envs.close()
        eval_envs.close()


def _check(options: Options) -> None:
    """Refuse at the start what could not be used at the end.

    Raises:
        AgentError: the env's options or the agent's name cannot be used, or its folder is something else's.
    """
    plain = {key: value for key, value in options.env_kwargs.items() if not _is_object(value)}
    ranges.env_kwargs(plain)
    if options.seed >= 2**31:
        raise AgentError(f"seed: expected a number under 2**31, or -1 for any, got {shown(options.seed)}.")
    target = Path(options.agents_folder) / require_name(options.name or default_name(options.env, options.algo))
    if is_taken(target):
        raise AgentError(f"{target} is there and is no agent. Give another --name or --agents-folder.")


def _is_object(value: Any) -> bool:
    """Whether code gave it, as a loaded model is; text cannot spell it."""
    return not isinstance(value, (str, int, float, bool, list, tuple, dict, type(None)))


def _open_run(options: Options) -> RunFolder:
    """The run that ``trained_agent`` names, if it is unfinished; else that of the same settings, or a new one."""
    start = Path(options.trained_agent) if options.trained_agent else None
    if start is not None:
        unfinished = run_folder.reopen(start if start.is_dir() else start.parent)
        if unfinished is not None:
            return unfinished
    conf = Path(options.conf_file) if options.conf_file else None
    if conf is None:
        places = [place / f"{options.algo}.yml" for place in folders("configs/agents")]
        conf = next((place for place in places if place.is_file()), None)
    raw = read(conf, options.env, options.hyperparams) if conf else {**DEFAULTS, **options.hyperparams}
    settings = parse(raw, algorithm(options.algo), options.n_timesteps, options.trust)
    if start is not None and start.is_dir():
        names = (POLICY, run_folder.BEST, run_folder.LAST)
        start = next((start / name for name in names if (start / name).is_file()), start / POLICY)
    asked = {
        "algo": options.algo,
        "env": options.env,
        "seed": options.seed,
        "hyperparameters": run_folder.plain(settings.raw),
        "env_kwargs": run_folder.plain(options.env_kwargs),
        "start": str(start) if start else "",
    }
    seed = options.seed if options.seed >= 0 else int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return run_folder.begin(Path(options.log_folder), asked, seed, lineage(start) if start else ())


def _make_agent(
    options: Options, run: RunFolder, settings: Hyperparameters, envs: VecEnv
) -> tuple[BaseAlgorithm, Progress]:
    """The agent of a run, with the weights that it goes on or starts with, and how far its training is."""
    logs = Path(options.tensorboard_log) / run_folder.slug(run.asked["env"]) if options.tensorboard_log else None
    agent = build(
        run.asked["algo"],
        settings,
        envs,
        options.device,
        run.seed,
        tensorboard_log=str(logs) if logs else None,
        verbose=0 if options.progress else options.verbose,
    )
    rollout = int(getattr(agent, "n_steps", 0)) * agent.n_envs
    if rollout > options.save_freq > 0:
        print(
            f"A rollout is {rollout:,} steps (n_steps x n_envs), longer than --save-freq {options.save_freq:,}: the "
            "training is saved after each rollout, and a kill loses up to one."
        )
    progress = Progress()
    if run.resumed:
        progress = restore(run.last, agent)
        progress.sittings += 1
    elif run.asked["start"]:
        restore(Path(run.asked["start"]), agent, counters=False)
    return agent, progress


def _learn(agent: BaseAlgorithm, supervisor: Supervisor, total: int, algo: str) -> bool:
    """Learn to the end; False if it was stopped before."""
    run, left = supervisor.run, total - supervisor.progress.timesteps
    with supervisor.interrupt:
        try:
            # With none left it only evaluates and saves, where a kill came in between.
            agent.learn(
                max(left, 0), callback=supervisor, reset_num_timesteps=not run.resumed, tb_log_name=algo.upper()
            )
        except ImportError as error:  # SB3 without tensorboard
            raise AgentError(str(error)) from None
        except AssertionError as error:  # SB3 checks some arguments only here
            raise AgentError(f"{algo} cannot learn with these hyperparameters: {error}") from error
        except ValueError as error:
            if "nan" not in str(error):
                raise
            raise AgentError(
                f"the network gave no numbers any more (NaN) after {agent.num_timesteps:,} steps: training "
                f"diverged. Lower learning_rate. The last checkpoint is {run.last}."
            ) from None
    if supervisor.interrupt.asked:
        supervisor.save(must=True)
        print(
            f"Stopped after {supervisor.progress.timesteps:,} of {total:,} steps, saved in {run.last}. "
            f"To resume: the same command, or -i {run.folder}"
        )
        return False
    return True
