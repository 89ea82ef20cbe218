"""figures.json: every number of whatever was measured, and files that are none."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.evaluation import figures
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.training.card import Figures

SCORES = DetectionScores(
    frames=12,
    objects=24,
    precision=0.5,
    recall=0.25,
    f1=0.75,
    center_precision=0.375,
    center_recall=0.4375,
    center_f1=0.875,
    perfect=0.1875,
    overcount=0.3125,
    undercount=0.5625,
    error_rate=1.5,
    class_recall={"Ball": 0.125},
    name_accuracy=0.625,
)
FIGURES = Figures(
    detection=SCORES,
    relevant=replace(SCORES, f1=0.6875),
    few_shot={1: (0.5, 0.25), 16: (1.0, 0.0)},
    target_f1=0.9375,
    agent="pong-ppo",
    seed="5",
)


def test_all_numbers_of_the_figures() -> None:
    found = figures.numbers(FIGURES)
    assert {name: value for name, value in found.items() if not name.startswith("relevant.")} == {
        "detection.frames": 12,
        "detection.objects": 24,
        "detection.precision": 0.5,
        "detection.recall": 0.25,
        "detection.f1": 0.75,
        "detection.center_precision": 0.375,
        "detection.center_recall": 0.4375,
        "detection.center_f1": 0.875,
        "detection.perfect": 0.1875,
        "detection.overcount": 0.3125,
        "detection.undercount": 0.5625,
        "detection.error_rate": 1.5,
        "detection.class_recall.Ball": 0.125,
        "detection.name_accuracy": 0.625,
        "few_shot.1.mean": 0.5,
        "few_shot.1.std": 0.25,
        "few_shot.16.mean": 1.0,
        "few_shot.16.std": 0.0,
        "target_f1": 0.9375,
    }
    assert found["relevant.f1"] == 0.6875


def test_what_others_may_add() -> None:
    @dataclass(frozen=True)
    class More:
        ap: np.float32
        ami: float | None
        names: tuple[str, ...]
        at: tuple[float, float, float]
        broken: float

    found = figures.numbers(More(np.float32(0.5), None, ("Ball",), (0.1, 0.2, 0.3), float("nan")))
    assert found == {"ap": 0.5, "at.0": 0.1, "at.1": 0.2, "at.2": 0.3}
    assert type(found["ap"]) is float


def test_written_and_read(tmp_path: Path) -> None:
    figures.write(tmp_path, {"test-random": FIGURES})
    assert figures.read(tmp_path) == {"test-random": figures.numbers(FIGURES)}
    assert type(json.loads((tmp_path / "figures.json").read_text())["test-random"]["detection.frames"]) is int
    figures.write(tmp_path, {})
    assert figures.read(tmp_path) == {}


def test_more_is_added(tmp_path: Path) -> None:
    figures.add(tmp_path, {"test-b": {"x": 0.5}})  # where nothing was written yet
    figures.add(tmp_path, {"test-a": {"x": 0.25}, "test-b": {"y": 2.0, "z": float("nan")}})
    assert figures.read(tmp_path) == {"test-b": {"x": 0.5, "y": 2.0}, "test-a": {"x": 0.25}}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"a": 1}', '{"a": {"b": "c"}}'])
def test_files_that_are_none(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "figures.json").write_text(text)
    assert figures.read(tmp_path) is None


def test_the_mean_of_several_games() -> None:
    one = {"detection.frames": 12, "detection.f1": 0.5, "detection.class_recall.Ball": 1.0, "target_f1": 0}
    other = {"detection.frames": 16, "detection.f1": 0.75, "detection.class_recall.Ghost": 1.0, "target_f1": 0.5}
    assert figures.mean([one, other]) == {"detection.f1": 0.625, "target_f1": 0.25}
    assert figures.mean([]) == {}
