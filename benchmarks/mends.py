"""``python -m benchmarks.mends``: put faults back that were mended, and see whether a test fails again.

``benchmarks/mends.yaml`` lists them: the passage that mends a fault, what stood there in its place, and the tests that
fail without the mend. Each is put back in a copy of the checkout, alone. The same tests have to pass without it. About
ten minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import yaml

from benchmarks.common import ROOT
from benchmarks.mutants import passes

LIST = ROOT / "benchmarks" / "mends.yaml"


@dataclass(frozen=True)
class Mend:
    """A fault that was mended.

    Attributes:
        fault: what was wrong, in words.
        file: below ``spacetime_env``.
        was: a passage of the code as it stands, which the file has once.
        becomes: what brings the fault back in its place.
        tests: arguments of pytest.
    """

    fault: str
    file: str
    was: str
    becomes: str
    tests: str

    def broken(self, code: str) -> str:
        """The code of the file with the fault.

        Raises:
            ValueError: it does not have the passage once: the mend was rewritten, and so must be its entry.
        """
        if code.count(self.was) != 1:
            raise ValueError(f"{self.fault}: {self.file} has the passage {code.count(self.was)} times, expected once.")
        return code.replace(self.was, self.becomes)


def mends() -> list[Mend]:
    """All of :data:`LIST`."""
    return [Mend(**entry) for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))]


def main() -> int:
    """Put each back, and print what no test noticed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mends", description=__doc__)
    parser.add_argument("--only", default="", help="mends whose fault or file has this text")
    parser.add_argument("--jobs", type=int, default=2, help="at a time, each in its own copy (default: 2)")
    asked = parser.parse_args()
    chosen = [one for one in mends() if asked.only in one.fault or asked.only in one.file]
    noticed = run(chosen, asked.jobs)
    print(f"{sum(noticed)} of {len(chosen)} faults are noticed when they come back.")
    return 0 if all(noticed) else 1


def run(chosen: Sequence[Mend], jobs: int) -> list[bool]:
    """Whether the tests of each fail with the fault, and pass without."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copy = Path(folder) / str(number)
            subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
            copies.put(copy)

        def in_a_copy(mend: Mend | None, tests: str) -> bool:
            copy = copies.get()
            try:
                return passes(tests, copy) if mend is None else passes_with(mend, copy)
            finally:
                copies.put(copy)

        tests = list(dict.fromkeys(one.tests for one in chosen))
        passing = dict(zip(tests, pool.map(lambda one: in_a_copy(None, one), tests), strict=True))

        def noticed(mend: Mend) -> bool:
            verdict = "its tests fail without it" if not passing[mend.tests] else ""
            verdict = verdict or ("NOT NOTICED" if in_a_copy(mend, mend.tests) else "")
            print(f"{verdict or 'noticed'}: {mend.fault} ({mend.file}; {mend.tests})", flush=True)
            return not verdict

        return list(pool.map(noticed, chosen))


def passes_with(mend: Mend, copy: Path) -> bool:
    """Whether the tests of a mend pass where the fault is back."""
    path = copy / "spacetime_env" / mend.file
    original = path.read_text(encoding="utf-8")
    try:
        path.write_text(mend.broken(original), encoding="utf-8")
        return passes(mend.tests, copy)
    finally:
        path.write_text(original, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
