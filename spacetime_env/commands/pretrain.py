"""The command ``pretrain_space.py``: one run, or with ``--sweep`` a run for every combination of settings."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spacetime_env.commands.command_line import exit_status, shown
from spacetime_env.commands.ray_pool import RayPool, add_ray
from spacetime_env.config import Config, ConfigError, load_config
from spacetime_env.config.games import each_game
from spacetime_env.data.env_recording import recorded_env
from spacetime_env.games import canonical
from spacetime_env.shipped import folders
from spacetime_env.training.launch import join
from spacetime_env.training.loop import TrainingError
from spacetime_env.training.pretrain import pretrain
from spacetime_env.training.published import import_upstream
from spacetime_env.training.ranks import RankError, Ranks, Told
from spacetime_env.training.sweep import run_sweep
from spacetime_env.training.sweep_plan import Sweep, plan

EXAMPLES = """examples:
  python pretrain_space.py --game Pong
  python pretrain_space.py --config configs/pong.yaml train.steps=2000 seed=1
  python pretrain_space.py --config configs/joint.yaml
  python pretrain_space.py --game Pong --from models/pong --out models/my-pong
  python pretrain_space.py --game Pong --import-upstream atari_pong.pth
  python pretrain_space.py --config configs/pong.yaml --sweep seed=0,1,2 model.variant=space,space+motion
  torchrun --standalone --nproc-per-node=2 pretrain_space.py --config configs/pong.yaml
  python pretrain_space.py --config configs/pong.yaml --sweep seed=0,1,2 --ray 10.0.0.1:6379

A sweep does every combination in runs/sweep/<name>/<settings>/ with the model in model/ there, one after the other, or
with --ray several at a time, and writes table.csv and table.md. Values are split at commas that are outside of brackets
and quotes: train.few_shot=[1,4],[16] are two lists. Settings without such a comma hold for all runs, as those before
--sweep do.
The same command resumes the sweep, repeats runs that failed, and leaves finished ones alone."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    make = argparse.ArgumentParser(
        prog="pretrain_space.py",
        description="Record data if it is missing, train SPACE-Time on it, name its objects, write a model "
        "folder. The same command resumes an unfinished run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = make.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="a YAML file such as configs/pong.yaml")
    what.add_argument(
        "--game", help="such as Pong or space_invaders: its file of configs/, or default.yaml where it has none"
    )
    make.add_argument(
        "--out",
        help="the model folder (default: models/<name>; <run>/model where models/<name> is one that ships); not with "
        "--sweep",
    )
    make.add_argument(
        "--run", help="checkpoints, logs and settings of the run (default: runs/<name>; of a sweep runs/sweep/<name>)"
    )
    make.add_argument(
        "--from",
        dest="start",
        metavar="PATH",
        help="start with the weights of a model, a run, a checkpoint (.pt) or a checkpoint of the published code "
        "(.pth), as far as they fit; at step 0, so this resumes nothing (as train.start=PATH)",
    )
    make.add_argument(
        "--import-upstream",
        metavar="FILE.pth",
        help="train nothing: make a model folder of a checkpoint of the published code, with names and figures as at "
        "the end of a training (default of --out: models/<name>-upstream)",
    )
    make.add_argument("--restart", action="store_true", help="delete the run that is there; all runs of a sweep")
    make.add_argument(
        "--export-classifier",
        action="store_true",
        help="also write z_what-classifier_{n}.joblib.pkl for each n of train.few_shot into the run's folder",
    )
    make.add_argument(
        "--sweep", nargs="+", metavar="key=v1,v2", help="settings to vary: one run for every combination of values"
    )
    add_ray(make, "do the runs of a --sweep as Ray tasks")
    make.add_argument("overrides", nargs="*", metavar="key=value", help="such as train.steps=2000 seed=1")
    return make


def config_of(game: str) -> tuple[Path, list[str]]:
    """The shipped config file for a game, and the settings that override it.

    Raises:
        UnknownGameError: no such game.
        ConfigError: there is no such file, and no ``default.yaml`` either.
    """
    name = canonical(game)
    for file, overrides in ((f"{name.lower()}.yaml", []), ("default.yaml", [f"game={name}"])):
        for folder in folders("configs"):
            if (folder / file).is_file():
                return folder / file, overrides
    raise ConfigError("the package's configs/ are missing: install it again, or give a file with --config.")


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``pretrain_space.py``.

    Exit status: 0 done, 1 an error, printed as a sentence, or a run of a sweep failed, 130 interrupted.
    """
    options = parser().parse_intermixed_args(argv)
    command = shown("python", "pretrain_space.py", words=sys.argv[1:] if argv is None else argv)
    errors = (TrainingError, RankError)
    return exit_status("pretrain_space.py", lambda: run_ranks(options, command), errors=errors, resumes=True)


def run_ranks(options: argparse.Namespace, command: str) -> int:
    """:func:`run` in this process, and in others if torchrun started them. Rank 0 alone prints, errors too."""
    try:
        with join() as ranks, ranks.quiet():
            try:
                return run(options, command, ranks)
            except TrainingError as error:  # nan or Ctrl-C, which all ranks agreed on
                raise ranks.told(error) from None
    except Told as told:
        return told.exit_status


def run(options: argparse.Namespace, command: str, ranks: Ranks) -> int:
    """Train as the command line asks; the exit status.

    Args:
        command: the command line as cards show it.
        ranks: the processes that train.

    Raises:
        ValueError, TrainingError, OSError: in plain sentences. After Ctrl-C it is Interrupted.
    """
    ranks.each(lambda: require_alone(options, ranks))
    restart, export = options.restart, options.export_classifier
    path, overrides = (options.config, []) if options.config else ranks.each(lambda: config_of(options.game))
    overrides += options.overrides
    if options.start is not None:
        text = json.dumps(options.start, ensure_ascii=False)  # in YAML a text, whatever it is
        overrides.append(f"train.start={text}")
    if options.import_upstream is not None:
        return import_one(options, load_config(path, overrides), command)
    if options.sweep is not None:
        if options.out is not None:
            raise ConfigError("--out is not for --sweep: each model is written into the folder of its run.")
        sweep = plan(path, overrides, options.sweep, options.run)
        with contextlib.nullcontext() if options.ray is None else pool_for(sweep, options.ray) as pool:
            return 1 if run_sweep(sweep, restart, command, export, pool) else 0
    if options.ray is not None:
        raise ConfigError("--ray is for a --sweep of several runs. Leave it out, or vary a setting with --sweep.")
    config = ranks.each(lambda: load_config(path, overrides))
    say_where(pretrain(config, options.out, options.run, restart, None, command, export, ranks=ranks), config)
    return 0


def pool_for(sweep: Sweep, address: str) -> RayPool:
    """Ray, with as many threads and GPUs for a task as a run of the sweep needs."""
    wanted = [run.config.train for run in sweep.runs]
    gpus = int(any(train.device.startswith("cuda") for train in wanted))
    return RayPool(address, max(train.threads for train in wanted), gpus)


def import_one(options: argparse.Namespace, config: Config, command: str) -> int:
    """Make a model folder of a checkpoint of the published code; the exit status. Errors are those of :func:`run`."""
    others = {"--sweep": options.sweep, "--from": options.start, "--restart": options.restart or None}
    others |= {"--ray": options.ray}
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ConfigError(f"{given[0]} is of a training, and --import-upstream trains nothing: leave one of them out.")
    file, out, run, export = options.import_upstream, options.out, options.run, options.export_classifier
    say_where(import_upstream(config, file, out, run, command, export), config)
    return 0


def say_where(folder: Path, config: Config) -> None:
    """Print where a model is, and how to look at it and use it."""
    model = folder if len(folder.parts) > 1 else os.path.join(".", folder)
    game = f" --game {next(iter(each_game(config)))}" if config.games else ""
    game = " --image PICTURE" if config.data.pictures else game
    print(f"wrote {folder}; look at it with: python load_model.py --model {model}{game}")
    env_id = recorded_env(config.data.pictures)
    if config.data.pictures and not env_id:
        return
    called = folder.name if folder.parent == Path("models") else model  # ./models is where a name is looked for first
    if env_id:
        print(f"In this directory: gym.make('SpaceTime/Any-v0', env_id={env_id!r}, model={str(called)!r}, ...)")
    else:
        print(f"In this directory, environments take it as model={str(called)!r}.")


def require_alone(options: argparse.Namespace, ranks: Ranks) -> None:
    """Refuse options that are not for several processes.

    Raises:
        ConfigError: there are several, and one is given.
    """
    if ranks.size == 1:
        return
    if options.sweep is not None:
        raise ConfigError(
            "--sweep: several processes share the steps of one run, and a sweep has many. Start it without torchrun, "
            "or give the runs one by one."
        )
    if options.import_upstream is not None:
        raise ConfigError("--import-upstream trains nothing that processes could share. Start it without torchrun.")
