"""What the benchmarks share: fair repeats, ratios within a run, tables."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import compiled
from spacetime_env.envs.vector import cores

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
MISSING = "not measured"


@dataclass
class Table:
    """A table of RESULTS.md."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""

    def text(self) -> str:
        """Markdown."""
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows), ""])


def spread(values: Sequence[float], form: str = ".0f") -> str:
    """Median, and the least and the most of all repeats."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def ratios(of: Sequence[float], to: Sequence[float], form: str = ".2f") -> str:
    """Ratio repeat by repeat: what was measured at about the same time is compared."""
    return spread([a / b for a, b in zip(of, to, strict=True)], form)


def in_turns(
    contenders: Mapping[str, Callable[[], float]], repeats: int, say: Callable[[str], None] = print
) -> dict[str, list[float]]:
    """Measure each once, then each again, ``repeats`` times: a busy moment of the machine then hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for measure in contenders.values():
        measure()  # warm up
    for turn in range(repeats):
        for name, measure in contenders.items():
            found[name].append(measure())
        say(f"  repeat {turn + 1} of {repeats}: " + ", ".join(f"{k} {v[-1]:.4g}" for k, v in found.items()))
    return found


def seconds(work: Callable[[], object], at_least: float = 0.3) -> float:
    """Wall seconds of one call, mean over as many as fill ``at_least`` seconds."""
    calls, began = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        passed = time.perf_counter() - began
        if passed >= at_least:
            return passed / calls


def cpu_seconds(work: Callable[[], object], at_least: float = 0.5) -> float:
    """CPU seconds (all threads of this process) of one call, mean over as many as fill ``at_least`` seconds."""
    calls, began, cpu = 0, time.perf_counter(), time.process_time()
    while True:
        work()
        calls += 1
        if time.perf_counter() - began >= at_least:
            return (time.process_time() - cpu) / calls


def peak_memory() -> float:
    """MiB that this process held at most since :func:`reset_peak_memory`, or ever."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def memory() -> float:
    """MiB that this process holds now."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def reset_peak_memory() -> None:
    """Forget the peak so far (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch and OpenCV with so many threads."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def git(*words: str, at: Path = ROOT) -> str | None:
    """What git says of a checkout; None where there is none."""
    try:
        done = subprocess.run(["git", "-C", str(at), *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return None if done.returncode else done.stdout.rstrip()


def commit(at: Path = ROOT) -> str:
    """The commit of a checkout, in 12 digits."""
    return git("rev-parse", "--short=12", "HEAD", at=at) or "unknown (no git checkout)"


def uncommitted(at: Path = ROOT) -> list[str]:
    """Tracked files that are not as the commit has them, but for what the benchmarks write: results, cards, pages."""
    results = RESULTS.relative_to(ROOT).as_posix()
    pages = ("benchmarks/MUTANTS.md", "benchmarks/ROBUSTNESS.md")
    written = (results, *pages, "models/*/CARD.md", "models/*.png", "docs/*")
    aside = [f":(exclude){path}" for path in written]
    said = git("status", "--porcelain", "--untracked-files=no", "--", ".", *aside, at=at) or ""
    return [line[3:] for line in said.splitlines()]


def machine() -> str:
    """What is measured on, with which versions, at which commit."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    names = ("torch", "numpy", "gymnasium", "ale-py", "stable-baselines3")
    count = torch.get_num_threads()
    packages = ", ".join([*(f"{name} {version(name)}" for name in names), f"opencv {cv2.__version__}"])
    system = f"{platform.system()}, Python {platform.python_version()}"
    changed = f", with uncommitted changes in {', '.join(files)}" if (files := uncommitted()) else ""
    many = f"{count} thread{'s' if count > 1 else ''}"
    loops = f"{compiled.state()}; torch has {many} where nothing else is said"
    return f"{model}, {cores()} cores, {system}; {packages}; {loops}; commit {commit()}{changed}."
