"""``python -m benchmarks.steady``: how steadily the rows of the shipped models stay with what is drawn.

Of each game two policies play 1024 frames one after the other, in four runs: ``random`` and ``held``. They are recorded
into ``<data root>/sequences`` if they are missing, a minute a game. ``python -m benchmarks.games`` writes the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import sources
from benchmarks.common import Table
from spacetime_env.config import Config
from spacetime_env.data.players import policy_for
from spacetime_env.evaluation.drawn import drawn_tests
from spacetime_env.evaluation.run_model import detect_all, runs_of
from spacetime_env.evaluation.steadiness import KINDS, Steadiness, steadiness
from spacetime_env.models.folder import load_model
from spacetime_env.models.model import Model
from spacetime_env.training.splits import prepare_split

POLICIES = ("random", "held")
STACKS = 256  # of each policy


def measure(model: Model, config: Config) -> Steadiness:
    """The counts of a model on both policies together.

    Args:
        config: of the model; sequences are in the folder ``sequences`` of its data root.
    """
    root = str(Path(config.data.root) / "sequences")
    data = replace(config.data, root=root, order="sequential", eval_size=STACKS)
    config = replace(config, data=data, model=replace(config.model, subframes=model.config.subframes))
    splits = [prepare_split(config, "test", policy_for(name, "benchmarks.steady")) for name in POLICIES]
    counts = []
    for split, drawn in zip(splits, drawn_tests(splits), strict=True):
        assert drawn is not None  # these are recordings
        found = detect_all(model, split, progress=True)
        counts.append(steadiness(found, drawn, runs_of(split), model.scene, model.native))
    return Steadiness(*(sum(values) for values in zip(*counts, strict=True)))


def table(rows: Sequence[tuple[str, Steadiness]]) -> Table:
    """A row of each game, and the mean."""
    found = Table("", ("game", "object-steps", *KINDS))
    for game, one in rows:
        found.rows.append([game, str(one.steps), *(f"{one.per_1000(kind):.1f}" for kind in KINDS)])
    mean = np.mean([[one.per_1000(kind) for kind in KINDS] for _, one in rows], axis=0)
    found.rows.append(["**mean**", "", *(f"**{value:.1f}**" for value in mean)])
    return found


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*sources.singles().values()], help="default: all of one game")
    parser.add_argument("--data-root", default="data", help="default: %(default)s")
    asked = parser.parse_args()
    rows = []
    for name in asked.models:
        model, config = load_model(name), sources.trained_with(name)
        config = replace(config, data=replace(config.data, root=asked.data_root))
        rows.append((model.game, measure(model, config)))
        print(*table(rows).rows[-2], flush=True)
    print("\n".join(table(rows).text().splitlines()[2:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
