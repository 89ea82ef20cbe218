"""Training: ``train_agent.py``. SB3 does the learning; this keeps, judges and ships what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from spacetime_env.agent import checkpoint, folder, run
from spacetime_env.agent.envs import (
    EnvMaker,
    derived_seed,
    make,
    make_envs,
)
from spacetime_env.agent.hyperparameters import AgentError, algorithm, parse, read
from spacetime_env.agent.ship import ship
from spacetime_env.agent.supervisor import Supervisor

JUDGES = 10  # envs at most that play an evaluation's episodes at once
TRAIN, EVALUATE, FINAL = 1, 2, 3  # kinds of seeds, which never meet
DEFAULTS: Mapping[str, Any] = {"policy": "MlpPolicy", "n_timesteps": 1_000_000}  # where no file says anything


@dataclass(frozen=True)
class Options:
    """What train_agent.py is asked for. Names and meanings are rl_zoo3's, where it has them.

    Its own are ``agents_folder``, ``name``, ``final_episodes`` and ``overwrite``.
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
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    hyperparams: Mapping[str, Any] = field(default_factory=dict)
    conf_file: str = ""
    progress: bool = False
    verbose: int = 1
    agents_folder: str = "agents"
    name: str = ""
    final_episodes: int = 30
    overwrite: bool = False


def train(options: Options, command: str = "") -> Path | None:
    """Train an agent and write its folder.

    Returns:
        The folder, or None where Ctrl-C or SIGTERM ended the training early (it was saved).

    Raises:
        AgentError: the request or a file of it cannot be used.
    """
    torch.set_num_threads(max(options.num_threads, 1))
    start = Path(options.trained_agent) if options.trained_agent else None
    job = run.reopen(start if start.is_dir() else start.parent) if start else None
    if job is None:
        job = _begin(options, start)
    asked = job.asked
    if job.resumed:
        print(f"Going on with {job.folder}.")
    env_kwargs = {**asked["env_kwargs"], **options.env_kwargs}
    settings = parse(asked["hyperparameters"], algorithm(asked["algo"]))
    env_kwargs = {**settings.env_kwargs, **env_kwargs}
    maker = EnvMaker(asked["env"], env_kwargs)
    make(asked["env"], env_kwargs).close()  # its errors are clearer than a worker's
    judges = max(1, min(options.eval_episodes, JUDGES))
    judge = make_envs(maker, judges, job.seed, "dummy" if options.vec_env == "subproc" else options.vec_env)
    envs = make_envs(maker, settings.n_envs, job.seed, options.vec_env)
    try:
        logs = (
            str(Path(options.tensorboard_log) / run.slug(asked["env"])) if options.tensorboard_log else None
        )
        agent = folder.build(
            asked["algo"],
            settings,
            envs,
            options.device,
            job.seed,
            tensorboard_log=logs,
            verbose=0 if options.progress else options.verbose,
        )
        progress = checkpoint.Progress()
        if job.resumed:
            progress = checkpoint.restore(job.last, agent)
            progress.sittings += 1
        elif asked["start"]:
            checkpoint.restore(Path(asked["start"]), agent, counters=False)
        envs.seed(derived_seed(job.seed, TRAIN, progress.timesteps))
        supervisor = Supervisor(
            job,
            progress,
            judge,
            settings.n_timesteps,
            seed=derived_seed(job.seed, EVALUATE),
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
            seed=derived_seed(job.seed, FINAL),
            overwrite=options.overwrite,
        )
    finally:
        envs.close()
        judge.close()
        if job.lock is not None:
            job.lock.close()


def _begin(options: Options, start: Path | None) -> run.Run:
    """A new run, or the unfinished one of the same settings."""
    from spacetime_env.shipped import folders

    conf = Path(options.conf_file) if options.conf_file else None
    if conf is None:
        places = [place / f"{options.algo}.yml" for place in folders("configs/agents")]
        conf = next((place for place in places if place.is_file()), None)
    raw = read(conf, options.env, options.hyperparams) if conf else {**DEFAULTS, **options.hyperparams}
    settings = parse(raw, algorithm(options.algo), options.n_timesteps)
    if start is not None and start.is_dir():
        names = (folder.POLICY, run.BEST, run.LAST)
        start = next((start / name for name in names if (start / name).is_file()), start / folder.POLICY)
    asked = {
        "algo": options.algo,
        "env": options.env,
        "seed": options.seed,
        "hyperparameters": run.plain(settings.raw),
        "env_kwargs": run.plain(options.env_kwargs),
        "start": str(start) if start else "",
    }
    seed = options.seed if options.seed >= 0 else int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    return run.begin(Path(options.log_folder), asked, seed, folder.lineage(start) if start else ())


def _learn(agent: BaseAlgorithm, supervisor: Supervisor, total: int, algo: str) -> bool:
    """Learn to the end; False where it was stopped before."""
    job, left = supervisor.job, total - supervisor.progress.timesteps
    with supervisor.signals():
        try:
            if left > 0:
                agent.learn(
                    left, callback=supervisor, reset_num_timesteps=not job.resumed, tb_log_name=algo.upper()
                )
        except ImportError as error:  # SB3 without tensorboard
            raise AgentError(str(error)) from None
        except ValueError as error:
            if "nan" not in str(error):
                raise
            raise AgentError(
                f"the network gave no numbers any more (NaN) after {agent.num_timesteps:,} steps: training "
                f"went astray. Lower learning_rate. The last checkpoint is {job.last}."
            ) from None
    if supervisor.stopped:
        supervisor.save(must=True)
        print(
            f"Stopped after {supervisor.progress.timesteps:,} of {total:,} steps, saved in {job.last}. "
            f"To resume: the same command, or -i {job.folder}"
        )
        return False
    return True
