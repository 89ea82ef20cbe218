"""CSV rows, Markdown tables and TensorBoard scalars of an evaluation."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spacetime_env.evaluation import tables
from spacetime_env.evaluation.evaluate import Evaluation

NAN = math.nan
SETS = {
    "all": {"objects": 5, "f1": 0.5, "few_shot_4": 0.25, "few_shot_4_std": 0.125, "identity_switches": NAN},
    "moving": {"objects": 3, "f1": 2 / 3, "few_shot_4": NAN, "few_shot_4_std": NAN, "identity_switches": 2.0},
}
CLASSES = {"Ball": {"objects": 3, "ap": 0.75}, "Ghost": {"objects": 0, "ap": NAN}}
ONE = Evaluation("tiny", "abc", ("test-a", "test-b"), 12, 0.0625, SETS, CLASSES, ("Something is missing.",))


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_csv_row() -> None:
    row = tables.csv_row(ONE, "now")
    assert list(row)[:6] == ["time", "model", "sha256", "splits", "frames", "reconstruction_mse"]
    assert list(row.values())[:6] == ["now", "tiny", "abc", "test-a test-b", "12", "0.0625"]
    assert (row["all/objects"], row["moving/f1"], row["all/identity_switches"]) == ("5", "0.66666667", "")
    assert (row["Ball/ap"], row["Ghost/ap"], row["Ghost/objects"]) == ("0.75", "", "0")


def test_csv_text() -> None:
    assert tables.csv_text([["a", "b"], (1, 'say "x", y')]) == 'a,b\n1,"say ""x"", y"\n'
    assert tables.csv_text([]) == ""


def test_rows_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.csv"
    row = tables.csv_row(ONE, "first, of two")
    assert tables.append_row(path, row) == tables.append_row(path, row | {"time": "second"}) == path
    assert rows(path) == [row, row | {"time": "second"}]
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # as some editors leave it
    tables.append_row(path, row)
    assert len(rows(path)) == 3


def test_other_columns_go_into_another_file(tmp_path: Path) -> None:
    path, row = tmp_path / "evaluation.csv", tables.csv_row(ONE)
    tables.append_row(path, row)
    before = path.read_bytes()
    more = tables.csv_row(replace(ONE, classes={**CLASSES, "Player": {"objects": 1}}))
    assert tables.append_row(path, more) == tables.append_row(path, more) == tmp_path / "evaluation-2.csv"
    turned = dict(reversed(row.items()))  # the same columns in another order
    assert tables.append_row(path, turned) == tmp_path / "evaluation-3.csv"
    assert path.read_bytes() == before and len(rows(tmp_path / "evaluation-2.csv")) == 2
    (tmp_path / "evaluation.csv").write_bytes(b"\xff\xfe\x00")
    assert tables.append_row(path, row) == tmp_path / "evaluation-4.csv"


def test_markdown() -> None:
    assert tables.markdown(ONE).splitlines() == [
        "# tiny: 12 frames of test-a, test-b",
        "",
        "Reconstruction MSE (colours from 0 to 1): 0.062500",
        "",
        "| figure | all | moving |",
        "|---|---|---|",
        "| objects that are there | 5 | 3 |",
        "| F1 at IoU 0.5 | 0.5000 | 0.6667 |",
        "| ridge accuracy, 4 a class | 0.2500 ± 0.1250 | - |",
        "| identity switches | - | 2 |",
        "",
        "## Classes",
        "",
        "| figure | Ball |",
        "|---|---|",
        "| objects that are there | 3 |",
        "| AP, mean of IoU 0.1 to 0.9 | 0.7500 |",
        "",
        "Something is missing.",
    ]
    assert "None of them is in these frames." in tables.markdown(replace(ONE, classes={"Ghost": CLASSES["Ghost"]}))


def test_write(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    written, said = tables.write(ONE, out, 70)
    assert written == [out / "evaluation.csv", out / "evaluation.md", out / "tensorboard"] and said == []
    assert (out / "evaluation.md").read_text() == tables.markdown(ONE)
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {
        "evaluation/reconstruction_mse",
        *(f"evaluation/all/{key}" for key in ("objects", "f1", "few_shot_4", "few_shot_4_std")),
        *(f"evaluation/moving/{key}" for key in ("objects", "f1", "identity_switches")),
        *(f"evaluation/{key}" for key in ("Ball/objects", "Ball/ap", "Ghost/objects")),
    }
    (event,) = events.Scalars("evaluation/moving/f1")
    assert event.step == 70 and event.value == pytest.approx(2 / 3)
    _, said = tables.write(replace(ONE, sets={"all": SETS["all"]}), out, 70)
    assert said == [f"evaluation.csv has other columns, so the row is in {out / 'evaluation-2.csv'}."]
