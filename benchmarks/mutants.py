"""``python -m benchmarks.mutants``: break the code in small ways, and see whether its tests notice.

A mutant is a copy of the code with one small fault: another operator, number or comparison, a loop that does not run,
a statement that is not there. It is killed if a test of its subject fails. 15 mutants a subject are drawn with a seed;
each runs against the tests that belong to the subject, in a copy of the checkout. Survivors are what the tests let
through: ``benchmarks/MUTANTS.md`` names them, with the reason that ``benchmarks/mutants.yaml`` gives. About half an
hour on 2 cores. Needs cosmic-ray, which makes the mutants: ``pip install -c constraints.txt cosmic-ray``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from queue import SimpleQueue

import yaml

from benchmarks.common import ROOT, machine
from benchmarks.faults import changed, shuffled, with_fault

PAGE = ROOT / "benchmarks" / "MUTANTS.md"
REASONS = ROOT / "benchmarks" / "mutants.yaml"  # file -> the changed line -> why no test can or should notice
# Subject: its modules, and its tests, the quickest first; each entry is a run of pytest.
SUBJECTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "losses": (
        ["space/losses.py", "space/objective.py"],
        ["tests/space/test_losses.py tests/space/test_objective.py", "tests/space/test_parity.py"],
    ),
    "training step": (
        ["training/step.py", "training/examples.py", "config/schedule.py"],
        ["tests/training/test_step.py tests/space/test_losses.py", "tests/training/test_pretrain.py"],
    ),
    "tracker": (
        ["objects/tracker.py", "objects/slots_compiled.py"],
        ["tests/objects/test_tracker.py tests/objects/test_slots.py"],
    ),
    "slots": (["objects/slots.py"], ["tests/objects/test_slots.py tests/objects/test_tracker.py"]),
    "block": (["envs/block.py"], ["tests/envs/test_vector.py tests/envs/test_wrapper_subframes.py"]),
    "vector": (["envs/vector.py", "envs/worker.py"], ["tests/envs/test_vector.py tests/agent/test_bridge.py"]),
    "wrapper": (
        ["envs/wrapper.py", "envs/observation.py", "envs/env.py", "envs/noop.py"],
        [
            "tests/envs/test_noop.py tests/envs/test_wrapper.py tests/envs/test_wrapper_subframes.py "
            "tests/envs/test_wrapper_workers.py tests/models/test_screens.py"
        ],
    ),
    "watcher": (
        ["models/watcher.py", "envs/choose_model.py"],
        ["tests/models/test_watcher.py tests/envs/test_choose_model.py", "tests/envs/test_wrapper.py"],
    ),
    "sparse": (
        [
            "space/sparse.py",
            "space/sparse_arrays.py",
            "space/sparse_compiled.py",
            "objects/describe_compiled.py",
            "models/screens_compiled.py",
        ],
        [
            "tests/space/test_latents.py tests/space/test_sparse.py tests/objects/test_describe.py "
            "tests/models/test_screens.py"
        ],
    ),
    "loader": (
        ["models/folder.py", "models/model.py", "models/weights.py"],
        [
            "tests/models/test_folder.py tests/models/test_joint_folder.py tests/models/test_model.py",
            "tests/models/test_screens.py",
        ],
    ),
}
TIMEOUT = 300  # seconds for the tests of a mutant: one that runs for ever is noticed too


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    subject: str
    path: str  # below the checkout
    family: str  # of faults
    code: str  # of the whole file
    change: tuple[str, ...]  # the lines that differ, - and +

    @property
    def line(self) -> str:
        """The change in one line, by which :data:`REASONS` knows the mutant."""
        return " -> ".join(" ".join(one[1:].strip() for one in self.change if one[0] == sign) for sign in "-+")


def main() -> int:
    """Draw, run, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--subjects", nargs="+", default=list(SUBJECTS), choices=list(SUBJECTS), metavar="SUBJECT")
    parser.add_argument("--each", type=int, default=15, help="mutants of a subject (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time, each in its own copy (default: 2)")
    parser.add_argument("--out", type=Path, default=PAGE, help="the report (default: benchmarks/MUTANTS.md)")
    asked = parser.parse_args()
    began = time.perf_counter()
    measured_on = machine()  # now: the commit that is cloned
    drawn = [one for subject in asked.subjects for one in draw(subject, asked.each, asked.seed)]
    survived = [one for one, killed in zip(drawn, run(drawn, asked.jobs), strict=True) if not killed]
    command = shlex.join(["python", "-m", "benchmarks.mutants", *sys.argv[1:]])
    about = f"{date.today()}, {(time.perf_counter() - began) / 60:.0f} min: `{command}`\n\n{measured_on}\n"
    asked.out.write_text(page(drawn, survived, about), encoding="utf-8")
    print(f"{len(drawn) - len(survived)} of {len(drawn)} killed; wrote {asked.out}")
    return 0


def draw(subject: str, count: int, seed: int) -> list[Mutant]:
    """``count`` mutants of a subject, its files in turns, drawn from all that could change what the code does."""
    rng = random.Random(f"{seed} {subject}")
    sources = {f"spacetime_env/{name}": (ROOT / "spacetime_env" / name).read_text() for name in SUBJECTS[subject][0]}
    left = {path: shuffled(source, rng) for path, source in sources.items()}
    found: list[Mutant] = []
    while left and len(found) < count:
        for path in list(left):
            codes = ((fault[0], with_fault(sources[path], fault)) for fault in left[path])
            family, code = next(((name, code) for name, code in codes if code is not None), ("", None))
            if code is None:
                del left[path]
            elif len(found) < count:
                found.append(Mutant(subject, path, family, code, changed(sources[path], code)))
    return found


def run(drawn: Sequence[Mutant], jobs: int) -> list[bool]:
    """Whether each mutant is killed."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copy = Path(folder) / str(number)
            subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
            copies.put(copy)
        def green(subject: str) -> str:
            copy = copies.get()
            failing = [words for words in SUBJECTS[subject][1] if not passes(words, copy)]
            copies.put(copy)
            return f"{', '.join(failing)} of {subject}" if failing else ""

        failing = [words for words in pool.map(green, dict.fromkeys(one.subject for one in drawn)) if words]
        if failing:
            raise SystemExit(f"these tests fail on the committed code, so they judge nothing: {'; '.join(failing)}.")

        def one(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                killed = is_killed(mutant, copy)
            finally:
                copies.put(copy)
            print(f"{'killed  ' if killed else 'SURVIVED'} {mutant.path}: {mutant.line}", flush=True)
            return killed

        return list(pool.map(one, drawn))


def is_killed(mutant: Mutant, copy: Path) -> bool:
    """Whether a test of its subject fails with the mutant in place."""
    path = copy / mutant.path
    original = path.read_bytes()
    try:
        path.write_text(mutant.code, encoding="utf-8")
        return not all(passes(words, copy) for words in SUBJECTS[mutant.subject][1])
    finally:
        path.write_bytes(original)


def passes(words: str, copy: Path) -> bool:
    """Whether some tests of a copy of the checkout pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *words.split()]
    env = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        env["NUMBA_CACHE_DIR"] = str(copy / ".numba")
        command += ["--basetemp", f"{folder}/base"]
        with subprocess.Popen(
            command, cwd=copy, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                return process.wait(TIMEOUT) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                end(process)
                shutil.rmtree(f"{folder}/base", ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a run and of its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def page(drawn: Sequence[Mutant], survived: Sequence[Mutant], about: str) -> str:
    """The report: how many of each subject are killed, and each survivor with its reason."""
    reasons = yaml.safe_load(REASONS.read_text(encoding="utf-8")) if REASONS.is_file() else {}
    lines = ["# Mutants", "", "Small faults put into the code on purpose, and whether the tests of that code fail.", ""]
    lines += [about, "| subject | mutants | killed |", "|---|---|---|"]
    for subject in dict.fromkeys(one.subject for one in drawn):
        own, left = (sum(one.subject == subject for one in group) for group in (drawn, survived))
        lines.append(f"| {subject} | {own} | {own - left} |")
    lines += [f"| **all** | {len(drawn)} | {len(drawn) - len(survived)} |", "", "## Survivors", ""]
    for one in survived:
        why = (reasons or {}).get(one.path, {}).get(one.line, "not explained yet")
        lines += [f"- `{one.path}`: {why}", "", "  ```diff", *(f"  {line}" for line in one.change), "  ```", ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
