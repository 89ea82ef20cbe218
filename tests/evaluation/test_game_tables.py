"""Tables of several games."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from spacetime_env.evaluation import game_tables
from spacetime_env.evaluation.evaluate import Evaluation

SETS = {
    "all": {"f1": 0.5, "identity_switches": math.nan},
    "drawn": {"f1": 3 / 4, "f1_75": 5 / 8},
    "moving": {"f1": 2 / 3, "few_shot_4": math.nan},
}
ONE = Evaluation("tiny", "abc", ("test-a", "test-b"), 12, 0.0625, SETS, {}, ())


def test_a_row_a_game_and_their_mean(tmp_path: Path) -> None:
    other = replace(ONE, frames=8, splits=("test-c",), sets={"moving": {"f1": 1 / 3, "few_shot_16": 0.5}})
    table = game_tables.game_rows({"Boxing": ONE, "Pong": other})
    assert list(table) == ["Boxing", "Pong", "mean"]
    # Over the games that have it; what none has is not there.
    assert table["mean"]["moving/f1"] == pytest.approx(0.5) and table["mean"]["moving/few_shot_16"] == 0.5
    assert table["mean"]["frames"] == 10 and "all/identity_switches" not in table["mean"]
    assert game_tables.write("both", {"Boxing": ONE, "Pong": other}, tmp_path / "new") == [
        tmp_path / "new" / "games.csv",
        tmp_path / "new" / "games.md",
    ]
    with open(tmp_path / "new" / "games.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["game"] for row in found] == ["Boxing", "Pong", "mean"]
    assert [row["splits"] for row in found] == ["test-a test-b", "test-c", ""]
    assert [row["moving/f1"] for row in found] == ["0.66666667", "0.33333333", "0.5"]
    assert [row["all/f1"] for row in found] == ["0.5", "", "0.5"] and found[0]["model"] == "both"
    lines = (tmp_path / "new" / "games.md").read_text().splitlines()
    assert lines[0] == "# both: 2 games" and lines[4].startswith("| game | frames | F1 at IoU 0.5 | F1 at IoU 0.75 |")
    assert lines[6:] == [
        "| Boxing | 12 | 0.7500 | 0.6250 | - | - | - | - | 0.6667 | - | - | - |",
        "| Pong | 8 | - | - | - | - | - | - | 0.3333 | - | - | 0.5000 |",
        "| mean |  | 0.7500 | 0.6250 | - | - | - | - | 0.5000 | - | - | 0.5000 |",
    ]
