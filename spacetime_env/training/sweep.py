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
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait

from tqdm import tqdm

from spacetime_env.config import ConfigError, Scope, differences
from spacetime_env.evaluation import figures_json
from spacetime_env.files import shown_text, write_atomically
from spacetime_env.locks import LockError, hold
from spacetime_env.training.checkpoint import checkpoints, step_of
from spacetime_env.training.game_data import GameData
from spacetime_env.training.loop import Interrupted, TrainingError
from spacetime_env.training.pretrain import forget, pretrain
from spacetime_env.training.sweep_data import share_data
from spacetime_env.training.sweep_plan import RECORD, Sweep, SweepRun
from spacetime_env.training.sweep_table import Row, as_csv, as_markdown

ERROR = "error.txt"
PATIENCE = 180.0  # seconds for the process of a lost worker to let go of its run
LOOK = 2.0  # seconds between two looks at the checkpoints of runs in other processes


def run_sweep(
    sweep: Sweep,
    restart: bool = False,
    command: str = "",
    export_classifier: bool = False,
    pool: Executor | None = None,
) -> list[SweepRun]:
    """Do all runs that are not done, and write the tables after each.

    Args:
        sweep: see :func:`spacetime_env.training.sweep_plan.plan`.
        restart: delete the checkpoints, logs and figures of all runs first.
        command: the command line, for the cards.
        export_classifier: see :func:`spacetime_env.training.pretrain.pretrain`.
        pool: does the runs in other processes, which see the same files; None: one after the other, in this process.

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
        begin(sweep, restart)
        try:
            if pool is None:
                failed = _one_by_one(sweep, command, export_classifier)
            else:
                failed = _in_pool(sweep, command, export_classifier, pool)
        except (Interrupted, KeyboardInterrupt):
            if restart:
                print("Leave out --restart to resume what is done.", file=sys.stderr)
            raise
        _report(sweep, failed)
        return failed


def begin(sweep: Sweep, restart: bool) -> None:
    """Delete what the runs left before, or refuse runs of other settings; see :func:`run_sweep`."""
    for run in sweep.runs:
        if restart:
            forget(run.folder)
            for name in (RECORD, ERROR):
                (run.folder / name).unlink(missing_ok=True)
        else:
            require_same_run(run)


def _one_by_one(sweep: Sweep, command: str, export_classifier: bool) -> list[SweepRun]:
    """Do the runs in this process; those that failed."""
    failed: list[SweepRun] = []
    gathered: dict[str, GameData] = {}
    for number, run in enumerate(sweep.runs, start=1):
        title = f"run {number} of {len(sweep.runs)}: {run.title}"
        if run.done():
            print(f"{title}: it is done already")
            continue
        print(title, flush=True)
        try:
            do_run(run, _command_of(run, command), export_classifier, gathered)
        except (Interrupted, KeyboardInterrupt):
            raise
        except Exception as error:  # whatever it is, the other runs may do better
            failed.append(run)
            _keep(run, error)
            print(f"{title} failed: {message_of(error)} ({run.folder / ERROR})", file=sys.stderr)
        finally:
            write_tables(sweep)
    return failed


def _in_pool(sweep: Sweep, command: str, export_classifier: bool, pool: Executor) -> list[SweepRun]:
    """Do the runs in other processes, as many at a time as the pool has; those that failed."""
    failed: list[SweepRun] = []
    waiting: dict[Future[None], tuple[SweepRun, str]] = {}
    for number, run in enumerate(sweep.runs, start=1):
        title = f"run {number} of {len(sweep.runs)}: {run.title}"
        if run.done():
            print(f"{title}: it is done already")
        else:
            task = pool.submit(do_run_apart, run, _command_of(run, command), export_classifier)
            waiting[task] = (run, title)
    total = sum(run.config.train.steps for run in sweep.runs)
    try:
        with tqdm(total=total, desc=f"sweep {sweep.name}", unit="step") as bar:
            while waiting:
                for task in wait(waiting, LOOK, FIRST_COMPLETED).done:
                    run, title = waiting.pop(task)
                    why = _outcome(run, task)
                    if why:
                        failed.append(run)
                    tqdm.write(f"{title} failed: {why}" if why else title, sys.stderr if why else sys.stdout)
                    write_tables(sweep)
                bar.update(steps_done(sweep) - bar.n)
    finally:
        write_tables(sweep)
    return failed


def do_run_apart(run: SweepRun, command: str, export_classifier: bool) -> None:
    """:func:`do_run` in a process of its own. Where that of a lost worker still does the run, it is waited for."""
    run.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(LockError):  # pretraining says so too
        hold(run.folder, wait=PATIENCE).close()
    try:
        do_run(run, command, export_classifier, {})
    except Interrupted:
        raise
    except Exception as error:
        _keep(run, error)
        raise


def _outcome(run: SweepRun, task: Future[None]) -> str:
    """Why a run in another process failed, in a sentence; "" if it is done.

    Raises:
        KeyboardInterrupt: the run was stopped.
    """
    try:
        task.result()
    except (Interrupted, CancelledError):
        raise KeyboardInterrupt from None
    except Exception as error:  # whatever it is, the other runs may do better
        where = f" ({run.folder / ERROR})" if (run.folder / ERROR).is_file() else ""
        return f"{message_of(error)}{where}"
    if run.done():
        return ""
    return f"it was done elsewhere, and {run.folder} has nothing of it: all machines must share the sweep's folder."


def steps_done(sweep: Sweep) -> int:
    """The steps of the runs so far, as their newest checkpoints say."""
    counts = []
    for run in sweep.runs:
        found = checkpoints(run.folder / "checkpoints")
        counts.append(run.config.train.steps if run.done() else step_of(found[-1]) if found else 0)
    return sum(counts)


def _command_of(run: SweepRun, command: str) -> str:
    """The command line as the card of a run shows it."""
    return f"{command}  # {run.title}" if command else ""


def _keep(run: SweepRun, error: Exception) -> None:
    """Write why a run failed into its folder, if that is possible."""
    with contextlib.suppress(OSError):
        write_atomically(run.folder / ERROR, "".join(traceback.format_exception(error)).encode())


def _report(sweep: Sweep, failed: list[SweepRun]) -> None:
    """Write the tables, and print what came of the sweep."""
    write_tables(sweep)
    print((sweep.folder / "table.md").read_text())
    print(f"{len(sweep.runs) - len(failed)} of {len(sweep.runs)} runs are done; see {sweep.folder / 'table.csv'}")
    if failed:
        print(
            f"{len(failed)} failed: {'; '.join(run.title for run in failed)}. The same command tries them again.",
            file=sys.stderr,
        )


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


def message_of(error: Exception) -> str:
    """The message of an error for users, with the name of its class if the message is not written for users."""
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}."
    if isinstance(error, (ValueError, TrainingError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "it ran out of memory."
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
