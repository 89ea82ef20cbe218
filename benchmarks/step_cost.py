"""``python -m benchmarks.step_cost --against COMMIT``: whether an env step costs more CPU time than at another commit.

Pairs of processes run at once, the commit on one core and this checkout on another, and change cores from pair to
pair. So what else the machine does hits both alike. Exit status 1: a median ratio is over the limit.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, Table, machine, ratios, spread

KINDS, FORMS = ("single", "vector"), ("with numba", "without numba")
STEPS = {"single": 3000, "vector": 900}
LIMIT = 1.03

# Prints the CPU microseconds of an env step. It runs with the code of either commit, so it uses public names only.
SCRIPT = """
import sys, time
game, kind, form, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if form == "without numba":
    sys.modules["numba"] = None
import gymnasium as gym, numpy as np, spacetime_env
envs = 1 if kind == "single" else 4
if kind == "single":
    env = gym.make(f"SpaceTime/{game}-v5")
    count, shape = env.action_space.n, (steps + 100,)
else:
    env = gym.make_vec(f"SpaceTime/{game}-v5", num_envs=envs, workers=0)
    count, shape = env.single_action_space.n, (steps + 100, envs)
env.reset(seed=0)
for number, action in enumerate(np.random.default_rng(0).integers(0, count, shape)):
    if number == 100:
        began = time.process_time()
    _, _, terminated, truncated, _ = env.step(action)
    if kind == "single" and (terminated or truncated):
        env.reset()
print((time.process_time() - began) / steps / envs * 1e6)
"""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step_cost", description=__doc__, allow_abbrev=False)
    parser.add_argument("--against", metavar="COMMIT", required=True)
    parser.add_argument("--pairs", type=int, default=9, help="(default: %(default)s)")
    parser.add_argument("--games", nargs="+", default=["Pong", "SpaceInvaders"])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(before)], check=True)
        subprocess.run(["git", "checkout", "-q", asked.against], cwd=before, check=True)

        def measure(told: Sequence[str], swapped: bool) -> tuple[float, float]:
            pair = [start(before, int(swapped), told), start(ROOT, 1 - int(swapped), told)]
            said = [process.communicate()[0] for process in pair]
            return float(said[0]), float(said[1])

        table, worst = compare(measure, asked.games, asked.kinds, asked.forms, asked.pairs)
    table.note = f"{machine()} Against {asked.against}."
    print(table.text())
    return int(worst > LIMIT)


def start(checkout: Path, core: int, told: Sequence[str]) -> subprocess.Popen[str]:
    """A process that measures the code of a checkout, on one core."""
    available = sorted(os.sched_getaffinity(0))
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    code = f"import os; os.sched_setaffinity(0, {{{available[core % len(available)]}}})\n{SCRIPT}"
    return subprocess.Popen(
        [sys.executable, "-c", code, *told],
        cwd=checkout,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def compare(
    measure: Callable[[Sequence[str], bool], tuple[float, float]],
    games: Sequence[str],
    kinds: Sequence[str],
    forms: Sequence[str],
    pairs: int,
) -> tuple[Table, float]:
    """The table, and the greatest median ratio of it.

    Args:
        measure: game, kind, form and number of steps, and whether the cores are swapped -> CPU microseconds of a step
            before and now.
    """
    head = ["game", "env", "numba", "before: CPU us a step", "now", "ratio, pair by pair"]
    table, worst = Table("CPU time of an env step", head), 0.0
    for game, kind, form in itertools.product(games, kinds, forms):
        found = [measure([game, kind, form, str(STEPS[kind])], bool(pair % 2)) for pair in range(pairs)]
        before, now = ([one[i] for one in found] for i in (0, 1))
        table.rows.append([game, kind, form, spread(before), spread(now), ratios(now, before, ".3f")])
        print(" | ".join(table.rows[-1]), flush=True)
        worst = max(worst, float(np.median([b / a for a, b in found])))
    return table, worst


if __name__ == "__main__":
    sys.exit(main())
