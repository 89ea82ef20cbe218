"""``python -m benchmarks.matrix``: the tests with the oldest and the newest dependencies that pyproject.toml allows.

Each end has a virtual environment of its own, made with uv (https://docs.astral.sh/uv), which is installed for it, and
runs the named tests. The oldest end has the oldest version of what pyproject.toml names, and the newest of what those
packages name. torch stays at the version that is installed here: no other one is tested.

Other Pythons than this one are not run: mypy reads the code as each of them would (``--types``).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.common import ROOT, Table, machine

ENDS = {"oldest": "lowest-direct", "newest": "highest"}  # our names for uv's resolutions
EXTRAS = ("eval", "fast", "zoo", "test")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SHOWN = ("numpy", "gymnasium", "ale-py", "stable-baselines3", "opencv-python", "safetensors", "numba")


@dataclass(frozen=True)
class End:
    """What came of one end of the matrix."""

    name: str
    installed: bool
    versions: dict[str, str]  # of each package
    tests: str = "not run"  # pytest's last line
    good: bool = False
    minutes: float = 0.0


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matrix", description=__doc__, allow_abbrev=False)
    parser.add_argument("ends", nargs="*", metavar="END", help=f"{', '.join(ENDS)}; none: both")
    parser.add_argument("--tests", nargs="+", default=["tests"], help="what pytest is given (default: all tests)")
    parser.add_argument("--home", type=Path, help="where the environments are made, and stay")
    parser.add_argument("--types", nargs="*", metavar="PYTHON", help=f"read as these Pythons (none named: {PYTHONS})")
    parser.add_argument("--only-types", action="store_true", help="make no environment")
    parser.add_argument("--out", type=Path, help="a file for the report; it is printed in any case")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Make the environments, run the tests, and report. Exit status: 0 where all is well, else 1."""
    parser = arguments()
    asked = parser.parse_args(words)
    if unknown := sorted(set(asked.ends) - set(ENDS)):
        parser.error(f"no end {', '.join(unknown)}; there are {', '.join(ENDS)}.")
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        home = (asked.home or Path(folder)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        ends = [] if asked.only_types else [run_end(name, home, asked.tests) for name in asked.ends or ENDS]
    types = {python: read_as(python) for python in (asked.types or PYTHONS)} if asked.types is not None else {}
    text = report(ends, types)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")
    return int(not all(end.good for end in ends) or any(types.values()))


def run_end(name: str, home: Path, tests: Sequence[str]) -> End:
    """Make the environment of an end and run the tests in it."""
    python, listed, began = home / name / "bin" / "python", home / f"{name}.txt", time.monotonic()
    try:
        listed.write_text(resolve(home, name))
        uv(home, "venv", "-q", "--clear", "--python", sys.executable, str(home / name))
        uv(home, "pip", "install", "-q", "--python", str(python), "-r", str(listed))
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or "").split())[-500:]
        return End(name, False, {}, f"not installed: {said}", minutes=(time.monotonic() - began) / 60)
    versions = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", listed.read_text()))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    with open(home / f"{name}.log", "w") as log:
        status = subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=log, check=False).returncode
    lines = (home / f"{name}.log").read_text(errors="replace").strip().splitlines() or ["nothing"]
    return End(name, True, versions, lines[-1].strip("= "), status == 0, (time.monotonic() - began) / 60)


def resolve(home: Path, name: str) -> str:
    """The versions of an end, one a line."""
    kept = home / "torch.txt"
    kept.write_text(f"torch=={version('torch')}\n")
    words = [word for extra in EXTRAS for word in ("--extra", extra)]
    words += ["--resolution", ENDS[name], "--python", sys.executable, "-c", str(kept)]
    words += ["--no-annotate", "--no-header", "--no-emit-package", "spacetime-env"]
    return uv(home, "pip", "compile", "-q", str(ROOT / "pyproject.toml"), *words)


def uv(home: Path, *words: str) -> str:
    """What uv says; it is installed into an environment of its own. It looks where pip is told to look.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    program = home / "uv" / "bin" / "uv"
    if not program.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(home / "uv")], check=True, capture_output=True, text=True)
        pip = [str(home / "uv" / "bin" / "python"), "-m", "pip", "install", "-q", "uv"]
        subprocess.run(pip, check=True, capture_output=True, text=True)
    env = dict(os.environ)
    for ours, its in (
        ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
        ("PIP_INDEX_URL", "UV_INDEX_URL"),
        ("PIP_CERT", "SSL_CERT_FILE"),
    ):
        if ours in env:
            env.setdefault(its, env[ours].replace(" ", ","))
    return subprocess.run([str(program), *words], check=True, capture_output=True, text=True, env=env).stdout


def read_as(python: str) -> str:
    """What mypy objects to, reading the code as a Python would; "" where nothing."""
    command = [sys.executable, "-m", "mypy", "--python-version", python, "--cache-dir", os.devnull]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[-1] if done.returncode else ""


def report(ends: Sequence[End], types: dict[str, str]) -> str:
    """The tables."""
    parts = [machine(), ""]
    if ends:
        head = ["end", *SHOWN, "tests", "minutes"]
        rows: list[Sequence[str]] = [
            [end.name, *(end.versions.get(name, "-") for name in SHOWN), end.tests, f"{end.minutes:.0f}"]
            for end in ends
        ]
        parts.append(Table(f"Oldest and newest dependencies, torch {version('torch')}", head, rows).text())
    if types:
        read: list[Sequence[str]] = [[python, said or "nothing to object"] for python, said in types.items()]
        note = f"Read by mypy, not run: what runs is Python {sys.version.split()[0]}."
        parts.append(Table("Other Pythons", ["Python", "mypy"], read, note).text())
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
