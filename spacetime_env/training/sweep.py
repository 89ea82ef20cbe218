"""A sweep: one pretraining run for every combination of settings, and a table of their figures.

::

    runs/sweep/pong/
        table.csv                   a row for each run: settings, wall time, all figures
        table.md                    a row for each combination, with mean and standard deviation over the seeds
        seed=0,variant=space/       the folder of a run: checkpoints, logs, figures.json
            model/                  its model folder
            sweep.json              its config, its seconds so far, and whether it is done
            error.txt               why it failed, if it did
        data/                       if the runs need data of different settings
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

from spacetime_env.config import Config, ConfigError, Scope, differences
from spacetime_env.config.games import each_game
from spacetime_env.data.meta import INDEX, DatasetError
from spacetime_env.data.split import open_split
from spacetime_env.evaluation import figures_json
from spacetime_env.files import shown_text, write_atomically
from spacetime_env.locks import hold
from spacetime_env.training.game_data import GameData
from spacetime_env.training.loop import Interrupted, TrainingError
from spacetime_env.training.pretrain import forget, pretrain
from spacetime_env.training.splits import require_same
from spacetime_env.training.sweep_plan import RECORD, Sweep, SweepRun
from spacetime_env.training.sweep_table import Row, as_csv, as_markdown

ERROR = "error.txt"


def run_sweep(
    sweep: Sweep, restart: bool = False, command: str = "", export_classifier: bool = False
) -> list[SweepRun]:
    """Do all runs that are not done, one after the other, and write the tables after each.

    Args:
        sweep: see :func:`spacetime_env.training.sweep_plan.plan`.
        restart: delete the checkpoints, logs and figures of all runs first.
        command: the command line, for the cards.
        export_classifier: see :func:`spacetime_env.training.pretrain.pretrain`.

    Returns:
        The runs that failed. Each was reported, and its ``error.txt`` has the traceback.

    Raises:
        ConfigError: the folder has a run of other settings; no run is started then.
        OSError: the sweep's folder or a table cannot be written.
        LockError: another process does this sweep.
        Interrupted, KeyboardInterrupt: Ctrl-C; finished runs are kept.
    """
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with hold(sweep.folder):
        return _run_all(sweep, restart, command, export_classifier)


def _run_all(sweep: Sweep, restart: bool, command: str, export_classifier: bool) -> list[SweepRun]:
    """See :func:`run_sweep`."""
    for run in sweep.runs:
        if restart:
            forget(run.folder)
            for name in (RECORD, ERROR):
                (run.folder / name).unlink(missing_ok=True)
        else:
            require_same_run(run)
    failed: list[SweepRun] = []
    gathered: dict[str, GameData] = {}
    for number, run in enumerate(sweep.runs, start=1):
        title = f"run {number} of {len(sweep.runs)}: {run.title}"
        if run.done():
            print(f"{title}: it is done already")
            continue
        print(title, flush=True)
        try:
            do_run(run, f"{command}  # {run.title}" if command else "", export_classifier, gathered)
        except (Interrupted, KeyboardInterrupt):
            if restart:
                print("Leave out --restart to resume what is done.", file=sys.stderr)
            raise
        except Exception as error:  # whatever it is, the other runs may do better
            failed.append(run)
            with contextlib.suppress(OSError):
                write_atomically(run.folder / ERROR, traceback.format_exc().encode())
            print(f"{title} failed: {message_of(error)} ({run.folder / ERROR})", file=sys.stderr)
        finally:
            write_tables(sweep)
    write_tables(sweep)
    print((sweep.folder / "table.md").read_text())
    print(f"{len(sweep.runs) - len(failed)} of {len(sweep.runs)} runs are done; see {sweep.folder / 'table.csv'}")
    if failed:
        print(
            f"{len(failed)} failed: {'; '.join(run.title for run in failed)}. The same command tries them again.",
            file=sys.stderr,
        )
    return failed


def require_same_run(run: SweepRun) -> None:
    """Refuse a run that was begun with other settings, since a table could not compare it with the new runs.

    Raises:
        ConfigError: naming the settings.
    """
    changed = differences(run.record().get("config", run.config), run.config, Scope.CHECKPOINT)
    if changed:
        raise ConfigError(
            f"{run.folder} was begun with other settings: {shown_text('; '.join(changed[:5]), 1000)}. Use these to "
            "resume it, or start anew in another folder (--run) or with --restart."
        )


def do_run(run: SweepRun, command: str, export_classifier: bool, gathered: dict[str, GameData]) -> None:
    """Do a run, or the rest of it, and write its time into ``sweep.json``.

    Args:
        gathered: see :func:`spacetime_env.training.pretrain.pretrain`.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / ERROR).unlink(missing_ok=True)
    before, began, done = float(run.record().get("seconds", 0)), time.perf_counter(), False
    run.write(before, done)
    try:
        if run.config.data.root != run.source:
            share_data(run)
        pretrain(
            run.config,
            run.model,
            run.folder,
            command=command,
            export_classifier=export_classifier,
            gathered=gathered,
        )
        done = True
    finally:
        run.write(before + time.perf_counter() - began, done)


def share_data(run: SweepRun) -> None:
    """Copy the splits that a run with a data root of its own can use from the data root that was asked for.

    These are the test splits, and validation splits of the same settings. They may have ground truth, which cannot be
    recorded again without OCAtari.
    """
    for game, config in each_game(run.config).items():
        share_game(game, config, run.source)


def share_game(game: str, config: Config, source: str) -> None:
    """:func:`share_data` for one game. ``config.data.root`` is the run's own root, ``source`` the one asked for."""
    there, here = Path(source) / game, Path(config.data.root) / game
    here.mkdir(parents=True, exist_ok=True)
    for split in sorted([*there.glob("test-*"), *there.glob("validation-*")]):
        if (here / split.name).exists() or not (split / INDEX).is_file():
            continue
        if split.name.startswith("validation-"):
            try:
                require_same(open_split(split, game, config.motion), config)
            except DatasetError:
                continue
        unfinished = here / f".{split.name}.tmp"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
        shutil.copytree(split, unfinished)
        os.replace(unfinished, here / split.name)


def message_of(error: Exception) -> str:
    """The message of an error for users, with the name of its class if the message is not written for users."""
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}."
    if isinstance(error, (ValueError, TrainingError)):
        return str(error)
    return f"{type(error).__name__}: {error}"


def write_tables(sweep: Sweep) -> None:
    """Write ``table.csv`` and ``table.md`` of the runs done so far.

    Raises:
        OSError: they cannot be written.
    """
    rows = []
    for run in sweep.runs:
        done = run.done()
        state = "done" if done else "failed" if (run.folder / ERROR).is_file() else "not done"
        found = figures_json.read(run.folder) if done else None
        rows.append(Row(run.settings, state, float(run.record().get("seconds", 0)), found or {}))
    write_atomically(sweep.folder / "table.csv", as_csv(rows).encode())
    write_atomically(sweep.folder / "table.md", as_markdown(sweep.name, rows).encode())
