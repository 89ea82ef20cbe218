"""Kill -9 at a random moment, or while a file is being written; resume; compare with a run that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT

TEMPORARY = ".*.tmp"  # what spacetime_env.files writes before it renames
POLL = 0.0005  # seconds between two looks for such a file
ROUNDS = 10  # runs a kill, at most
GONE = 10.0  # seconds that the workers of a killed process may take to end


@dataclass(frozen=True)
class Job:
    """Something that is resumed by the same command.

    Attributes:
        name: in the table.
        command: of a run that writes below a folder.
        starting: seconds until it does something; no kill comes earlier.
        lost: of a folder whose run was just killed, what is wrong with what the kill lost, in words; "" if nothing.
        differences: what of a finished run's folder differs from that of the reference, in words.
    """

    name: str
    command: Callable[[Path], Sequence[str]]
    differences: Callable[[Path, Path], list[str]]
    lost: Callable[[Path], str] = lambda folder: ""
    starting: float = 3.0


@dataclass
class Killing:
    """What came of the kills of a job."""

    job: str
    reference: float = 0.0  # seconds of the run that nobody disturbed
    kills: int = 0
    writing: int = 0  # of these, while a temporary file was there
    alone: int = 0  # of these, of the main process only; the others of all processes at once
    rounds: int = 0  # runs from nothing to their end, with some kills each
    faults: list[str] = field(default_factory=list)


def kill_again_and_again(job: Job, home: Path, kills: int, a_round: int, seed: int, least: float) -> Killing:
    """Run a job undisturbed, then again and again with kills.

    Args:
        home: a folder of its own.
        kills: in all.
        a_round: kills of a run; then it may end, and is compared.
        seed: of the moments.
        least: seconds that the undisturbed run should take; a shorter one is reported as a fault.
    """
    rng, told = np.random.default_rng(seed), Killing(job.name)
    reference = home / "reference"
    began = time.monotonic()
    if (ended := finish(job, reference)) != 0:
        told.faults.append(f"the undisturbed run ended with status {ended}; see {reference}.log")
        return told
    told.reference = time.monotonic() - began
    if told.reference < least:
        told.faults.append(f"the undisturbed run took {told.reference:.0f} s, and at least {least:.0f} are wanted")
    while told.kills < kills:
        folder, wanted = home / f"round-{told.rounds}", min(a_round, kills - told.kills)
        told.rounds += 1
        if told.rounds > ROUNDS * kills:
            told.faults.append(f"only {told.kills} kills in {told.rounds} runs: they end before")
            break
        status: int | None = None
        for _ in range(wanted):
            moment = job.starting + float(rng.random()) * max(0.0, told.reference - job.starting) / wanted
            writing = 3 * told.writing <= told.kills  # so that it is a third of them
            status = kill_once(job, folder, told, moment, rng.random() < 0.5, told.reference / 4 if writing else 0.0)
            if status is not None:  # it was done before
                break
        if status is None:
            status = finish(job, folder)
        said = [f"it ended with status {status}"] if status else job.differences(folder, reference)
        told.faults += [f"{folder.name}: {one}" for one in said]
        print(f"{job.name}: {told.kills} kills, {told.writing} while writing, {len(told.faults)} faults", flush=True)
    return told


def kill_once(job: Job, folder: Path, told: Killing, moment: float, alone: bool, patience: float) -> int | None:
    """Start or resume a run, and kill it; its exit status where it ended before, else None.

    Args:
        moment: seconds after the start.
        alone: kill the main process only, as a system without memory does.
        patience: seconds to wait for a temporary file, from that moment on.
    """
    process, began = begin(job, folder), time.time()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        until = time.monotonic() + patience
        while time.monotonic() < until and process.poll() is None and not being_written(folder, began):
            time.sleep(POLL)
        if process.poll() is not None:
            return process.returncode
    finally:
        if process.poll() is None:
            process.kill() if alone else os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        left = end_group(process.pid)
    told.kills += 1
    told.alone += alone
    told.writing += patience > 0 and being_written(folder, began)
    if left:
        told.faults.append(f"{folder.name}: {left} processes went on for {GONE:.0f} s after the main one was killed")
    if lost := job.lost(folder):
        told.faults.append(f"{folder.name}, kill {told.kills}: {lost}")
    return None


def being_written(folder: Path, since: float) -> bool:
    """Whether there is a temporary file below a folder that was touched after ``since``, seconds since 1970.

    A kill leaves it there, so it tells afterwards too.
    """
    for path in folder.rglob(TEMPORARY):
        with contextlib.suppress(FileNotFoundError):  # it has just got its name
            if path.stat().st_mtime >= since:
                return True
    return False


def finish(job: Job, folder: Path) -> int:
    """Start or resume a run and let it end; its exit status."""
    process = begin(job, folder)
    try:
        return process.wait()
    finally:
        end_group(process.pid)


def begin(job: Job, folder: Path) -> subprocess.Popen[bytes]:
    """Start or resume a run, in a group of processes of its own; what it says goes into a log."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with open(folder.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            list(job.command(folder)),
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def end_group(group: int) -> int:
    """Wait for the processes of a group to end, then end them; how many had to be."""
    until = time.monotonic() + GONE
    while (alive := members(group)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(alive)


def members(group: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its = path.read_text().rpartition(")")[2].split()[:3]
            if int(its) == group and state != "Z":
                found.append(int(path.parent.name))
    return found
