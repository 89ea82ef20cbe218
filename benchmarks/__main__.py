"""``python -m benchmarks``: measure, print the tables and write them to benchmarks/RESULTS.md.

Each table takes 1 to 15 minutes; nothing else should run meanwhile. ``python -m benchmarks a b`` measures those two
and leaves the others in RESULTS.md as they are.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from datetime import date
from pathlib import Path

from benchmarks.common import ROOT, Table, machine

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
NAMES = {"a": "environments", "b": "seeing", "c": "training", "d": "PPO", "e": "from nothing to F1"}
HEAD = """# Benchmarks

Written by `python -m benchmarks`. Each figure is a median, with the least and the most of all repeats in brackets;
each ratio was taken repeat by repeat, between measurements made in turns.
"""


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", help="; ".join(f"{k}: {v}" for k, v in NAMES.items()) + "; none: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--games", nargs="+", default=["Pong", "SpaceInvaders"], help="of table a")
    parser.add_argument("--envs", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64], help="of table a")
    parser.add_argument("--models", nargs="+", default=["pong", "spaceinvaders"], help="of table b")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of table e")
    parser.add_argument("--published", type=Path, help="a checkout of github.com/k4ntz/MOC to compare with (b, c)")
    parser.add_argument("--ocatari", metavar="PYTHON", help="the Python of an environment with OCAtari (a)")
    asked = parser.parse_args()
    wanted = asked.tables or list(NAMES)
    if unknown := sorted(set(wanted) - set(NAMES)):
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(NAMES)}.")
    for letter in wanted:
        began = time.perf_counter()
        tables = measure(letter, asked)
        text = section(letter, tables, time.perf_counter() - began)
        print(text)
        write(letter, text)
    return 0


def measure(letter: str, asked: argparse.Namespace) -> list[Table]:
    """The tables of one letter. What a table does not need is not imported."""
    if letter == "a":
        from benchmarks import envs

        return envs.run(asked.games, asked.envs, asked.repeats, asked.ocatari)
    if letter == "b":
        from benchmarks import seeing

        return seeing.run(asked.models, asked.repeats, asked.published)
    if letter == "c":
        from benchmarks import training

        return training.run(asked.repeats, asked.published)
    if letter == "d":
        from benchmarks import ppo

        return ppo.run(asked.repeats, ROOT / "configs" / "agents" / "ppo.yml")
    from benchmarks import curve

    return curve.run(asked.seeds)


def section(letter: str, tables: list[Table], passed: float) -> str:
    """The part of RESULTS.md that one letter fills."""
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    about = f"{date.today()}, {passed / 60:.0f} min: `{command}`\n\n{machine()}"
    return f"## {letter}. {NAMES[letter]}\n\n{about}\n\n" + "\n".join(table.text() for table in tables)


def write(letter: str, text: str) -> None:
    """Put a section in its place in RESULTS.md; the others stay."""
    old = RESULTS.read_text() if RESULTS.is_file() else ""
    parts = {part[3]: part for part in re.split(r"(?m)^(?=## [a-e]\. )", old) if part.startswith("## ")}
    parts[letter] = text
    RESULTS.write_text(HEAD + "\n" + "\n".join(parts[key].strip() + "\n" for key in sorted(parts)))


if __name__ == "__main__":
    sys.exit(main())
