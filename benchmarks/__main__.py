"""``python -m benchmarks``: measure, print the tables and write them to benchmarks/RESULTS.md.

Each table takes 1 to 15 minutes; nothing else should run meanwhile. ``python -m benchmarks a b`` measures those two
and leaves the others in RESULTS.md as they are. Figures belong to a commit: with uncommitted changes nothing is
measured, unless ``--dirty`` is given, and then the section says so. What is compared with, the published code and
OCAtari, is not part of this project: benchmarks/README.md says how to get both.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.common import RESULTS, ROOT, Table, commit, machine, uncommitted
from benchmarks.players import STEPS, WARM

NAMES = {"a": "environments", "b": "seeing", "c": "training", "d": "PPO", "e": "from nothing to F1"}
PLACES = {"--published": "CHECKOUT", "--ocatari": "PYTHON", "--out": "FILE"}  # what a command says for paths
HEAD = """# Benchmarks

Written by `python -m benchmarks`. Each figure is a median, with the least and the most of all repeats in brackets;
each ratio was taken repeat by repeat, between measurements made in turns. A section belongs to the commit it names.
CHECKOUT and PYTHON in a command: see [README.md](README.md).
Fuzzing (`python -m benchmarks.fuzz`), kills and long play: [ROBUSTNESS.md](ROBUSTNESS.md).
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    words = sys.argv[1:] if words is None else words
    parser = arguments()
    asked = parser.parse_args(words)
    wanted = asked.tables or list(NAMES)
    if unknown := sorted(set(wanted) - set(NAMES)):
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(NAMES)}.")
    if (files := uncommitted()) and not asked.dirty:
        found = f"Uncommitted changes in {', '.join(files)}"
        parser.exit(2, f"{found}: commit them, or measure all the same with --dirty.\n")
    for letter in wanted:
        about, before, began = machine(), commit(), time.perf_counter()
        tables = measure(letter, asked)
        passed = time.perf_counter() - began
        text = section(letter, tables, passed, portable(words), f"{about}{compared(asked)}")
        print(text)
        if not asked.dirty and (commit() != before or uncommitted()):
            print("The checkout changed during the run: this section was not written.", file=sys.stderr)
            return 2
        write(letter, text, asked.out)
    return 0


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument("tables", nargs="*", help="; ".join(f"{k}: {v}" for k, v in NAMES.items()) + "; none: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--games", nargs="*", default=["Pong", "SpaceInvaders"], help="of table a, over --envs")
    parser.add_argument("--across", nargs="*", help="games of table a's 8 envs; default: all with a model of their own")
    parser.add_argument("--envs", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64], help="of table a")
    parser.add_argument("--steps", type=int, help=f"env steps of a turn of tables a (default {STEPS}) and d (at most)")
    parser.add_argument("--warm", type=int, default=WARM, help="steps each env of table a plays before it is timed")
    parser.add_argument("--models", nargs="+", default=["pong", "spaceinvaders"], help="of table b")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of table e")
    parser.add_argument("--published", type=Path, help="a checkout of github.com/k4ntz/MOC to compare with (b, c)")
    parser.add_argument("--ocatari", metavar="PYTHON", help="the Python of an environment with OCAtari (a)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write, in place of benchmarks/RESULTS.md")
    parser.add_argument("--dirty", action="store_true", help="measure with uncommitted changes, and say so")
    return parser


def measure(letter: str, asked: argparse.Namespace) -> list[Table]:
    """The tables of one letter. What a table does not need is not imported."""
    if letter == "a":
        from benchmarks import envs

        counts, steps = (asked.envs, asked.repeats), (asked.steps or STEPS, asked.warm)
        return envs.run(asked.games, asked.across, *counts, *steps, asked.ocatari)
    if letter == "b":
        from benchmarks import seeing

        return seeing.run(asked.models, asked.repeats, asked.published)
    if letter == "c":
        from benchmarks import training

        return training.run(asked.repeats, asked.published)
    if letter == "d":
        from benchmarks import ppo

        return ppo.run(asked.repeats, ROOT / "configs" / "agents" / "ppo.yml", asked.steps)
    from benchmarks import curve

    return curve.run(asked.seeds)


def portable(words: Sequence[str]) -> str:
    """The command without the paths of this machine."""
    shown: list[str] = []
    for word in words:
        option, equals, _ = word.partition("=")
        if shown and shown[-1] in PLACES:
            shown.append(PLACES[shown[-1]])
        else:
            shown.append(f"{option}={PLACES[option]}" if equals and option in PLACES else word)
    return shlex.join(["python", "-m", "benchmarks", *shown])


def compared(asked: argparse.Namespace) -> str:
    """Which published code was given, if any."""
    if asked.published is None:
        return ""
    return f" CHECKOUT: github.com/k4ntz/MOC at {commit(asked.published)}."


def section(letter: str, tables: list[Table], passed: float, command: str, about: str) -> str:
    """The part of RESULTS.md that one letter fills."""
    head = f"{date.today()}, {passed / 60:.0f} min: `{command}`\n\n{about}"
    return f"## {letter}. {NAMES[letter]}\n\n{head}\n\n" + "\n".join(table.text() for table in tables)


def write(letter: str, text: str, to: Path = RESULTS) -> None:
    """Put a section in its place in RESULTS.md; the others stay."""
    old = to.read_text(encoding="utf-8") if to.is_file() else ""
    parts = {part[3]: part for part in re.split(r"(?m)^(?=## [a-e]\. )", old) if part.startswith("## ")}
    parts[letter] = text
    to.write_text(HEAD + "\n" + "\n".join(parts[key].strip() + "\n" for key in sorted(parts)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
