"""Training: ``train_agent.py``. SB3 does the learning; this keeps, judges and ships what it learns."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
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
from spacetime_env.agent.hyperparameters import AgentError, algorithm, parse, read, words
from spacetime_env.agent.ship import ship
from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.commands.command_line import shown

JUDGES = 10  # envs at most that play an evaluation's episodes at once
TRAIN, EVALUATE, FINAL = 1, 2, 3  # kinds of seeds, which never meet
DEFAULT = " (default: %(default)s)"  # in a help text
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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    d = Options()
    p = argparse.ArgumentParser(
        prog="train_agent.py",
        description="Train an SB3 agent on objects. After an interruption the same command resumes the training. "
        "Flags have the names and meanings of rl_zoo3's, which has more; --agents-folder, --name, --final-episodes and "
        "--overwrite are our own.",
    )
    p.add_argument("--algo", default=d.algo, help="an algorithm of stable_baselines3 or sb3_contrib" + DEFAULT)
    p.add_argument("--env", default=d.env, help="env id" + DEFAULT)
    p.add_argument("-tb", "--tensorboard-log", default="", help="folder for TensorBoard (default: no such logs)")
    p.add_argument(
        "-i",
        "--trained-agent",
        default="",
        metavar="PATH",
        help="a run's folder or checkpoint, to resume it; or an agent, to start from its weights (default: start anew)",
    )
    p.add_argument(
        "-n", "--n-timesteps", type=int, default=-1, help="env steps (default: n_timesteps of the hyperparameters)"
    )
    p.add_argument(
        "--num-threads", type=int, default=1, help="threads of torch; small networks are fastest on 1" + DEFAULT
    )
    p.add_argument(
        "--eval-freq", type=int, default=d.eval_freq, help="env steps between evaluations; -1: none" + DEFAULT
    )
    p.add_argument("--eval-episodes", type=int, default=d.eval_episodes, help="episodes of an evaluation" + DEFAULT)
    p.add_argument(
        "--save-freq", type=int, default=d.save_freq, help="env steps between checkpoints; -1: none" + DEFAULT
    )
    p.add_argument("-f", "--log-folder", default=d.log_folder, help="runs are kept here" + DEFAULT)
    p.add_argument("--seed", type=int, default=-1, help="-1: any" + DEFAULT)
    p.add_argument(
        "--vec-env",
        choices=("vector", "dummy", "subproc"),
        default=d.vec_env,
        help="vector: a process for each core, each looks at its frames together; dummy: all in this process; "
        "subproc: a process for each env" + DEFAULT,
    )
    p.add_argument(
        "--device", default=d.device, help="cpu, cuda or auto; the CPU is faster for small networks" + DEFAULT
    )
    p.add_argument(
        "--env-kwargs", nargs="+", default=[], metavar="NAME:VALUE", help="arguments of the env (default: none)"
    )
    p.add_argument(
        "-params",
        "--hyperparams",
        nargs="+",
        default=[],
        metavar="NAME:VALUE",
        help="hyperparameters that override the file's, such as learning_rate:lin_1e-3 n_envs:8 (default: none)",
    )
    p.add_argument(
        "-conf", "--conf-file", default="", help="hyperparameter YAML (default: configs/agents/<algo>.yml)"
    )
    p.add_argument("-P", "--progress", action="store_true", help="show a progress bar (default: off)")
    p.add_argument("--verbose", type=int, default=1, help="0: quiet, 1: SB3's tables" + DEFAULT)
    p.add_argument("--agents-folder", default=d.agents_folder, help="the finished agent is put here" + DEFAULT)
    p.add_argument("--name", default="", help="its name (default: <game>-<algo>)")
    p.add_argument(
        "--final-episodes", type=int, default=d.final_episodes, help="episodes of the last evaluation" + DEFAULT
    )
    p.add_argument(
        "--overwrite", action="store_true", help="replace an agent of that name even if it plays better (default: off)"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line asks. Exit status: 0 done, 2 an error in plain words, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    try:
        given["env_kwargs"], given["hyperparams"] = words(given["env_kwargs"]), words(given["hyperparams"])
        command = shown("python", Path(sys.argv[0]).name, words=sys.argv[1:] if argv is None else argv)
        return 0 if train(Options(**given), command) else 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. What was saved is kept; the same command resumes it.", file=sys.stderr)
        return 130


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
