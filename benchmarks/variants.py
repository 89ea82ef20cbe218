"""``python -m benchmarks.variants``: what motion and object continuity buy; writes docs/variants.md.

A sweep a game: three variants, three seeds, the same data and steps; a minute or so a run on one core.
Interrupted, the same command resumes it. ``--games asterix mspacman`` in one shell and the others in a second use two
cores; the command without ``--games`` then finds all runs done and writes the page.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from scipy.stats import t

from benchmarks.common import ROOT, Table, machine
from spacetime_env.training.sweep_table import mean

DOCS = ROOT / "docs" / "variants.md"
GAMES = ("asterix", "kangaroo", "mspacman", "spaceinvaders")
VARIANTS = ("space", "space+motion", "space+motion+continuity")
# Figure in a sweep's table -> its name here, digits, and whether more of it is better.
FIGURES = {
    "detection.f1": ("F1", 3, True),
    "detection.center_f1": ("centre", 3, True),
    "few_shot.4.mean": ("4-shot", 3, True),
    "few_shot.16.mean": ("16-shot", 3, True),
    "evaluation.ami": ("AMI", 3, True),
    "evaluation.identity_switches": ("identity switches", 0, False),
}
HEAD = """# What motion and continuity buy

The three variants of the published work, side by side: `space` reconstructs alone, `space+motion` is also shown what
moves, `space+motion+continuity` also wants an object to look the same in the next frame. Same data, steps and
settings; each with seeds {seeds}. Runs are short, {steps} steps, so their figures are below those of
[the shipped models](games.md). Mean ± standard deviation over the seeds, on the test frames, of what moves.

- **F1**: at an IoU of 0.5. **Centre**: by centre distance.
- **4-shot**, **16-shot**: accuracy of names from so many labelled samples per class.
- **AMI**: of k-means on z_what with the true classes.
- **Identity switches** of the tracker: fewer are better, but who finds nothing has none.

"""

Run = Mapping[str, str]  # a line of a sweep's table.csv


def main() -> int:
    """Run the sweeps, or what is left of them, and write docs/variants.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--games", nargs="+", default=list(GAMES), metavar="CONFIG", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=400, help="of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="two or more (default: %(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs/variants"), help="default: %(default)s")
    parser.add_argument("--data-root", default="data", help="where the frames are, or are recorded")
    parser.add_argument("--out", type=Path, help="the page; default: docs/variants.md, and none of some games alone")
    asked = parser.parse_args()
    out = asked.out or (DOCS if asked.games == list(GAMES) else None)
    if len(asked.seeds) < 2:
        parser.error("--seeds: expected two or more, since the page says how much they differ.")
    found: dict[str, list[Run]] = {}
    for game in asked.games:
        words = sweep(game, asked.steps, asked.seeds, asked.runs / game, asked.data_root)
        print(shlex.join(words), flush=True)
        if subprocess.run([sys.executable, *words], cwd=ROOT).returncode:
            print(f"{game}: its sweep did not end well, see above; the same command resumes it.", file=sys.stderr)
            return 1
        with open(ROOT / asked.runs / game / "table.csv", newline="", encoding="utf-8") as file:
            found[game] = list(csv.DictReader(file))
    if out is None:
        print("These are done; the command without --games does the rest, and writes the page.")
        return 0
    command = shlex.join(["python", "-m", "benchmarks.variants", *sys.argv[1:]])
    about = f"{date.today()}: `{command}`\n\n{machine()}\n\n"
    head = HEAD.format(seeds=", ".join(map(str, asked.seeds)), steps=asked.steps)
    out.write_text(head + about + page(found), encoding="utf-8")
    print(f"wrote {out}")
    return 0


def sweep(game: str, steps: int, seeds: Sequence[int], run: Path, data_root: str) -> list[str]:
    """The command of a game's sweep. One evaluation, at the end: the best of several would be chosen by motion."""
    fixed = [f"train.steps={steps}", f"train.eval_every={steps}", f"train.save_every={steps}", f"data.root={data_root}"]
    varied = [f"seed={','.join(map(str, seeds))}", f"model.variant={','.join(VARIANTS)}"]
    words = ["pretrain_space.py", "--config", f"configs/{game}.yaml", *fixed, "--run", run.as_posix()]
    return [*words, "--sweep", *varied]


def page(found: Mapping[str, Sequence[Run]]) -> str:
    """The tables: each variant, and what each step from one to the next changes, seed by seed."""
    names = [name for name, _, _ in FIGURES.values()]
    each = Table("Each variant", ("game", "variant", *names))
    steps = Table(
        "What each step changes",
        ("game", "step", *names),
        note="Differences seed by seed. "
        "**Bold**: the 95 % confidence interval of the mean excludes zero (Student's t).",
    )
    verdicts: dict[str, dict[str, list[str]]] = {}
    for game, runs in found.items():
        values = {(run["variant"], run["seed"]): figures_of(run) for run in runs}
        seeds = list(dict.fromkeys(run["seed"] for run in runs))
        for variant in VARIANTS:
            own = [values[variant, seed] for seed in seeds]
            cells = [mean([one[name] for one in own], digits) for name, (_, digits, _) in FIGURES.items()]
            each.rows.append([game, variant, *cells])
        for less, more in itertools.pairwise(VARIANTS):
            part, cells = more.rpartition("+")[2], []
            for name, (title, digits, up) in FIGURES.items():
                pairs = [(values[less, seed][name], values[more, seed][name]) for seed in seeds]
                change = [b - a for a, b in pairs if a is not None and b is not None]
                text, clear = signed(change, digits), is_clear(change)
                cells.append(f"**{text}**" if clear else text)
                if change:
                    better = (statistics.fmean(change) > 0) == up
                    word = ("better" if better else "worse") if clear else "no clear difference"
                    verdicts.setdefault(part, {}).setdefault(f"{title} {word}", []).append(game)
            steps.rows.append([game, f"+ {part}", *cells])
    lines = [each.text(), steps.text(), "### In words", ""]
    for part, words in verdicts.items():
        said = "; ".join(f"{word}: {', '.join(games)}" for word, games in sorted(words.items()))
        lines += [f"- **{part}**: {said}."]
    return "\n".join([*lines, ""])


def figures_of(run: Run) -> dict[str, float | None]:
    """The figures of a run, of all its test frames together; None where it has none.

    >>> figures_of({"seed": "0", "test-random: detection.f1": "0.5"})["detection.f1"]
    0.5
    """
    splits = [column.partition(": ")[0] for column in run if column.endswith(": detection.f1")]
    first = splits[0] if splits else ""  # that of all splits together is the first
    cells = {name: run.get(f"{first}: {name}") for name in FIGURES}
    return {name: float(cell) if cell else None for name, cell in cells.items()}


def signed(change: Sequence[float], digits: int) -> str:
    """``+0.120 ± 0.010``."""
    if not change:
        return "-"
    spread = f" ± {statistics.stdev(change):.{digits}f}" if len(change) > 1 else ""
    return f"{statistics.fmean(change):+.{digits}f}{spread}"


def is_clear(change: Sequence[float]) -> bool:
    """Whether the 95 % confidence interval of the mean (Student's t) excludes zero.

    >>> is_clear([0.5, 0.6, 0.7]), is_clear([0.1, 0.4, 0.5]), is_clear([0.5])
    (True, False, False)
    """
    if len(change) < 2:
        return False
    error = statistics.stdev(change) / math.sqrt(len(change))
    return abs(statistics.fmean(change)) > t.ppf(0.975, len(change) - 1) * error


if __name__ == "__main__":
    sys.exit(main())
