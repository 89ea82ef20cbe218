"""The command ``train_agent.py``: trains an agent on objects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from spacetime_env.agent.hyperparameters import from_arguments
from spacetime_env.agent.train import Options, train
from spacetime_env.commands.command_line import exit_status, shown

DEFAULT = " (default: %(default)s)"  # in a help text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="train_agent.py",
        description="Train an SB3 agent on objects. After an interruption the same command resumes the training. "
        "Flags have the names and meanings of rl_zoo3's, which has more; --agents-folder, --model-device, --name, "
        "--final-episodes, --overwrite and --trust are our own.",
    )
    _add_flags_of_rl_zoo3(made, Options())
    _add_own_flags(made, Options())
    return made


def _add_flags_of_rl_zoo3(p: argparse.ArgumentParser, d: Options) -> None:
    """Flags with the names and meanings of rl_zoo3's; ``d`` has the defaults."""
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
        "--device",
        default=d.device,
        help="where the agent's network runs: cpu, cuda or auto; the CPU is faster for small networks" + DEFAULT,
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


def _add_own_flags(p: argparse.ArgumentParser, d: Options) -> None:
    """What becomes of the finished agent; ``d`` has the defaults."""
    p.add_argument("--agents-folder", default=d.agents_folder, help="the finished agent is put here" + DEFAULT)
    p.add_argument(
        "--model-device", default="", metavar="DEVICE", help="where the env's SPACE-Time model runs (default: cpu)"
    )
    p.add_argument("--name", default="", help="its name (default: <game>-<algo>)")
    p.add_argument(
        "--final-episodes", type=int, default=d.final_episodes, help="episodes of the last evaluation" + DEFAULT
    )
    p.add_argument(
        "--overwrite", action="store_true", help="replace an agent of that name even if it plays better (default: off)"
    )
    p.add_argument(
        "--trust",
        action="store_true",
        help="import the modules that --env module:id, a policy package.module.Name and the files of -i and -conf "
        "name; importing a module runs it (default: off)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line asks. Exit status: 0 done, 2 an error in plain words, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    command = shown("python", Path(sys.argv[0]).name, words=sys.argv[1:] if argv is None else argv)
    errors = (gym.error.Error,)
    return exit_status("train_agent.py", lambda: run(given, command), failed=2, errors=errors, resumes=True)


def run(given: dict[str, Any], command: str) -> int:
    """Train an agent; the exit status.

    Args:
        given: the parsed command line.
        command: the command line as cards show it.

    Raises:
        ValueError, gymnasium.error.Error, OSError: in a plain sentence.
    """
    parsed = {name: from_arguments(given[name]) for name in ("env_kwargs", "hyperparams")}
    return 0 if train(Options(**{**given, **parsed}), command) else 130
