"""``python -m benchmarks.fuzz``: break files of each kind in many ways, and tell where loading one ends in no sentence.

Exit status: 0 where each case was loaded or refused, 1 where one was not. A case follows from the seed, its kind and
its number, so ``--replay models:17`` loads the same one again, in this process and with its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.common import Table, machine
from benchmarks.fuzz.judge import BAD, Watch, judge, limit
from benchmarks.fuzz.kinds import KINDS, Kind
from benchmarks.fuzz.runner import Outcome, make_case, ready, run

VERDICTS = ("ok", "refused", *BAD)
MEGABYTE = 2**20


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--cases", type=int, default=2500, help="of each kind (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=3600,
        help="after the first, no case begins later (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time (default: the cores)"
    )
    parser.add_argument("--replay", metavar="KIND:NUMBER", help="one case, with its traceback; its files stay")
    parser.add_argument("--out", type=Path, help="a file for the report; it is printed in any case")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run, and report."""
    asked = arguments().parse_args(words)
    if asked.replay:
        return replay(asked.replay, asked.seed)
    kinds, began = {name: KINDS[name] for name in asked.kinds}, time.monotonic()
    outcomes: list[Outcome] = []

    def heard(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if sys.stderr.isatty():
            print(f"\r{len(outcomes)} cases, {bad(outcomes)} bad", end="", file=sys.stderr)

    run(kinds, numbers(kinds, asked.first, asked.cases), asked.seed, asked.jobs, asked.seconds, heard)
    text = report(kinds, outcomes, asked.seed, time.monotonic() - began)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text, encoding="utf-8")
    return int(bad(outcomes) > 0)


def numbers(kinds: dict[str, Kind], first: int, cases: int) -> Iterator[tuple[str, int]]:
    """All cases, kind by kind in turns, so that a run that is cut short has seen each."""
    return ((name, number) for number in range(first, first + cases) for name in kinds)


def bad(outcomes: Sequence[Outcome]) -> int:
    """How many cases were neither loaded nor refused."""
    return sum(outcome.verdict.verdict in BAD for outcome in outcomes)


def report(kinds: dict[str, Kind], outcomes: Sequence[Outcome], seed: int, passed: float) -> str:
    """The table by kind, and each distinct fault with its simplest case."""
    rows: list[Sequence[str]] = []
    for name in [*kinds, "all"]:
        mine = [one for one in outcomes if name in (one.kind, "all")]
        counts = Counter(one.verdict.verdict for one in mine)
        most = max((one.verdict.growth for one in mine), default=0)
        longest = max((one.seconds for one in mine), default=0.0)
        aware = f"{sum(one.aware for one in mine) / max(1, len(mine)):.0%}"
        cells = [str(counts[verdict]) for verdict in VERDICTS]
        rows.append([name, str(len(mine)), aware, *cells, f"{most / MEGABYTE:.0f}", f"{longest:.1f}"])
    note = f"Seed {seed}, {passed / 60:.1f} min. {machine()}\n\n"
    note += "Consistent: hashes, lengths and checksums fit what was changed."
    head = ["kind", "cases", "consistent", *VERDICTS, "most MB", "longest s"]
    lines = [Table("Fuzzing", head, rows, note).text()]
    for key, group in sorted(faults(outcomes).items(), key=lambda pair: (pair[0][0], -len(pair[1]))):
        kind, verdict, error, where = key
        best = min(group, key=lambda one: (len(one.notes), sum(map(len, one.notes)), one.number))
        lines.append(f"- **{kind}: {verdict}**, {len(group)} times: {error or 'no error'} at {where or '-'}")
        lines.append(f"  --replay {kind}:{best.number}: {'; '.join(best.notes) or 'not told'}")
        said = best.verdict.error.replace("\n", " ")[:200]
        lines.append(f"  {said} {'; '.join(best.verdict.did)[:200]}".rstrip())
    return "\n".join(lines) + "\n"


def faults(outcomes: Sequence[Outcome]) -> dict[tuple[str, str, str, str], list[Outcome]]:
    """Bad cases by kind, verdict, class of the error and innermost line of the package."""
    groups: dict[tuple[str, str, str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        if one.verdict.verdict in BAD:
            groups[one.kind, one.verdict.verdict, one.verdict.error.partition(":")[0], one.verdict.where].append(one)
    return dict(groups)


def replay(which: str, seed: int) -> int:
    """One case again, in this process."""
    name, _, number = which.partition(":")
    if name not in KINDS or not number.isdecimal():
        arguments().error(f"--replay: expected KIND:NUMBER, such as models:17, got {which!r}.")
    kind, home = KINDS[name], Path(tempfile.mkdtemp(prefix="fuzz-"))
    ready(home, {name: kind})
    os.chdir(home / "here")
    case = make_case(kind, int(number), seed, home / "case")
    print(f"{case.path}\nwords: {[word[:200] for word in case.words]}\nchanged: {case.notes}", flush=True)
    watch = Watch(home)
    limit()

    def load() -> None:
        try:
            kind.load(case.path, case.words)
        except BaseException:
            traceback.print_exc(limit=-12)
            raise

    verdict = judge(load, kind.errors, watch)
    print(f"{verdict.verdict}: {verdict.error} at {verdict.where}, + {verdict.growth / MEGABYTE:.0f} MB, {verdict.did}")
    return int(verdict.verdict in BAD)


if __name__ == "__main__":
    sys.exit(main())
