"""Many cases, a few hundred a process: the parent hands out numbers, watches the clock and buries the dead.

The parent has loaded everything once, so a process of its own costs a case nothing but a fork. A case that kills its
process, or that an alarm cannot stop since it is busy in C, costs the cases of the same process behind it a new one.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.fuzz import judge as judging
from benchmarks.fuzz.judge import Verdict, Watch, judge, limit
from benchmarks.fuzz.kinds import Case, Kind
from benchmarks.fuzz.values import CANARY, OUTSIDE

BATCH = 100  # cases a process
GRACE = 10.0  # seconds after the last alarm until the parent ends the process


@dataclass(frozen=True)
class Outcome:
    """A case and what became of it."""

    kind: str
    number: int
    verdict: Verdict
    notes: list[str] = field(default_factory=list)  # what was changed
    aware: bool = False  # hashes, lengths and checksums around the change are right
    seconds: float = 0.0


@dataclass
class Worker:
    """A process that works through some cases."""

    pid: int
    pipe: int
    left: deque[tuple[str, int]]
    began: float
    text: bytes = b""


Kinds = dict[str, Kind]


def run(
    kinds: Kinds,
    cases: Iterable[tuple[str, int]],
    seed: int,
    jobs: int,
    seconds: float,
    heard: Callable[[Outcome], None],
) -> None:
    """Work through ``cases``, pairs of a kind and a number.

    Args:
        kinds: by name.
        seed: of all cases.
        jobs: processes at a time.
        seconds: no case begins later; what is loaded before the first does not count.
        heard: is told each outcome, in the order in which they come.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        home = Path(name)
        ready(home, kinds)
        until = time.monotonic() + seconds
        waiting, workers = iter(cases), list[Worker]()
        again: deque[tuple[str, int]] = deque()  # of processes that died
        try:
            while True:
                while len(workers) < jobs and time.monotonic() < until:
                    batch = deque(next_batch(again, waiting))
                    if not batch:
                        break
                    workers.append(start(home, kinds, batch, seed, [worker.pipe for worker in workers]))
                if not workers:
                    return
                readable, _, _ = select.select([worker.pipe for worker in workers], [], [], 1.0)
                for worker in list(workers):
                    if worker.pipe in readable and listen(worker, heard, until):
                        continue
                    late = time.monotonic() - worker.began > patience()
                    if worker.pipe in readable or late:
                        workers.remove(worker)
                        again.extend(bury(worker, late, heard))
        finally:
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)


def patience() -> float:
    """Seconds that the parent waits for a case."""
    return judging.BUSY * judging.SECONDS + GRACE


def ready(home: Path, kinds: Kinds) -> None:
    """The folder of all cases, and valid inputs of each kind, loaded once so that nothing is imported later."""
    (home / "here").mkdir()
    (home / "here" / f"{CANARY}.py").write_text("raise SystemExit('the canary was imported')\n")
    for kind in kinds.values():
        kind.prepare(home / "valid" / kind.name)


def next_batch(again: deque[tuple[str, int]], waiting: Iterator[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Up to BATCH cases, those of processes that died first."""
    for _ in range(BATCH):
        if again:
            yield again.popleft()
        elif (one := next(waiting, None)) is not None:
            yield one


def start(home: Path, kinds: Kinds, batch: deque[tuple[str, int]], seed: int, others: list[int]) -> Worker:
    """A process for a batch."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for pipe in (ours, *others):
                os.close(pipe)
            work(home, kinds, list(batch), seed, theirs)
            os._exit(0)
        except BaseException as error:  # of this fuzzer, not of what it looks at
            os.write(theirs, json.dumps({"broken": repr(error)[:500]}).encode() + b"\n")
        finally:
            os._exit(1)
    os.close(theirs)
    return Worker(pid, ours, batch, time.monotonic())


def work(home: Path, kinds: Kinds, batch: list[tuple[str, int]], seed: int, pipe: int) -> None:
    """The life of a process: make each case, load it, tell."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    os.chdir(home / "here")
    sys.path.insert(0, "")
    watch = Watch(home)
    limit()
    for name, number in batch:
        folder = Path(tempfile.mkdtemp(dir=home, prefix="case-"))
        outcome = one(kinds[name], number, seed, folder, watch)
        shutil.rmtree(folder, ignore_errors=True)
        os.write(pipe, json.dumps(asdict(outcome), default=str).encode() + b"\n")


def one(kind: Kind, number: int, seed: int, folder: Path, watch: Watch) -> Outcome:
    """Make a case in ``folder`` and judge it."""
    case = make_case(kind, number, seed, folder)
    began = time.monotonic()
    verdict = judge(lambda: kind.load(case.path, case.words), kind.errors, watch)
    return Outcome(kind.name, number, verdict, case.notes, case.aware, time.monotonic() - began)


def make_case(kind: Kind, number: int, seed: int, folder: Path) -> Case:
    """The case of a kind, a number and a seed, with all its files below ``folder``."""
    rng = np.random.default_rng([seed, *kind.name.encode(), number])
    folder.mkdir(exist_ok=True)
    (folder / OUTSIDE).write_text("game: Pong\n")
    return kind.make(rng, folder / "input")


def listen(worker: Worker, heard: Callable[[Outcome], None], until: float) -> bool:
    """Take what a process says; False where it says no more."""
    said = os.read(worker.pipe, 1 << 20)
    worker.text += said
    *lines, worker.text = worker.text.split(b"\n")
    for line in lines:
        told = json.loads(line)
        if "broken" in told:
            raise RuntimeError(f"the fuzzer itself failed at {worker.left[0]}: {told['broken']}")
        heard(Outcome(**{**told, "verdict": Verdict(**told["verdict"])}))
        worker.left.popleft()
        worker.began = time.monotonic()
    if time.monotonic() > until and lines:  # between two cases
        worker.left.clear()
        os.kill(worker.pid, signal.SIGKILL)
        return False
    return bool(said)


def bury(worker: Worker, late: bool, heard: Callable[[Outcome], None]) -> list[tuple[str, int]]:
    """The cases that an ended process leaves; the one that it died of is told."""
    if late:
        os.kill(worker.pid, signal.SIGKILL)
    _, status = os.waitpid(worker.pid, 0)
    os.close(worker.pipe)
    if not worker.left:
        return []
    kind, number = worker.left.popleft()
    what = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
    verdict = Verdict("hang", f"no end after {patience():.0f} s") if late else Verdict("crash", what)
    heard(Outcome(kind, number, verdict))
    return list(worker.left)
