"""The command ``pretrain_space.py``: one run, or with ``--sweep`` one for every combination of settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from spacetime_env.commands.command_line import shown
from spacetime_env.config import ConfigError, load_config
from spacetime_env.config.games import each_game
from spacetime_env.games import canonical
from spacetime_env.shipped import folders
from spacetime_env.training.loop import Interrupted, TrainingError
from spacetime_env.training.pretrain import pretrain
from spacetime_env.training.sweep import run_sweep
from spacetime_env.training.sweep_plan import plan

EXAMPLES = """examples:
  python pretrain_space.py --game Pong
  python pretrain_space.py --config configs/pong.yaml train.steps=2000 seed=1
  python pretrain_space.py --config configs/joint.yaml
  python pretrain_space.py --config configs/pong.yaml --sweep seed=0,1,2 model.variant=space,space+motion

A sweep does every combination, one after the other, in runs/sweep/<name>/<settings>/ with the model in model/ there,
and writes table.csv and table.md. Values are split at commas that are outside of brackets and quotes:
train.few_shot=[1,4],[16] are two lists. Settings without such a comma hold for all runs, as those before --sweep do.
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
    make.add_argument("--restart", action="store_true", help="throw away the run that is there; all runs of a sweep")
    make.add_argument(
        "--export-classifier",
        action="store_true",
        help="also write z_what-classifier_{n}.joblib.pkl for each n of train.few_shot into the run's folder",
    )
    make.add_argument(
        "--sweep", nargs="+", metavar="key=v1,v2", help="settings to vary: one run for every combination of values"
    )
    make.add_argument("overrides", nargs="*", metavar="key=value", help="such as train.steps=2000 seed=1")
    return make


def config_of(game: str) -> tuple[Path, list[str]]:
    """The shipped file for a game, and the settings that override it.

    Raises:
        UnknownGameError: no such game.
        ConfigError: no file is there at all.
    """
    name = canonical(game)
    for file, words in ((f"{name.lower()}.yaml", []), ("default.yaml", [f"game={name}"])):
        for folder in folders("configs"):
            if (folder / file).is_file():
                return folder / file, words
    raise ConfigError("the package's configs/ are missing: install it again, or give a file with --config.")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 an error in plain words (of a sweep: a run failed), 130 interrupted."""
    options = parser().parse_intermixed_args(argv)
    command = shown("python", "pretrain_space.py", words=sys.argv[1:] if argv is None else argv)
    restart, export = options.restart, options.export_classifier
    try:
        path, words = (options.config, []) if options.config else config_of(options.game)
        words += options.overrides
        if options.sweep is not None:
            if options.out is not None:
                raise ConfigError("--out is not for --sweep: each model is written into the folder of its run.")
            sweep = plan(path, words, options.sweep, options.run)
            return 1 if run_sweep(sweep, restart, command, export) else 0
        config = load_config(path, words)
        folder = pretrain(config, options.out, options.run, restart, None, command, export)
    except (ValueError, TrainingError) as error:
        print(f"pretrain_space.py: {error}", file=sys.stderr)
        return 130 if isinstance(error, Interrupted) else 1
    except OSError as error:
        print(
            f"pretrain_space.py: {error.filename or 'a file'}: {error.strerror or error}. What is saved is "
            "kept; the same command resumes it.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Stopped. What is saved is kept; the same command resumes it.", file=sys.stderr)
        return 130
    named = folder if len(folder.parts) > 1 else os.path.join(".", folder)
    which = f" --game {next(iter(each_game(config)))}" if config.games else ""
    print(f"wrote {folder}; look at it with: python load_model.py --model {named}{which}")
    called = folder.name if folder.parent == Path("models") else named  # ./models is where a name is looked for first
    print(f"In this directory, environments take it as model={str(called)!r}.")
    return 0
