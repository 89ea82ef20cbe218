"""figures.json: the metrics of an evaluation, and files that cannot be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.evaluation import figures_json
from tests.helpers.made import EVALUATION, SPLIT_SCORES

EVALUATED = {  # identity switches are a count and yet a float: they have a mean over games; ARI is NaN
    "evaluation.ap": 0.5625,
    "evaluation.f1_all": 0.625,
    "evaluation.centroid_accuracy": 0.25,
    "evaluation.ami": 0.125,
    "evaluation.identity_switches": 3.0,
    "evaluation.kalman_accuracy": 0.0625,
    "evaluation.reconstruction_mse": 0.03125,
}


def test_all_numbers_of_split_scores() -> None:
    found = figures_json.flat(SPLIT_SCORES)
    assert {name: value for name, value in found.items() if name.split(".")[0] not in ("relevant", "ram")} == {
        "detection.frames": 12,
        "detection.objects": 24,
        "detection.precision": 0.5,
        "detection.recall": 0.25,
        "detection.f1": 0.75,
        "detection.center_precision": 0.375,
        "detection.center_recall": 0.4375,
        "detection.center_f1": 0.875,
        "detection.f1_75": 0.65625,
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
        "f1_all": 0.578125,
        "neutral.still": 0,
        "neutral.sliver": 7,
        "neutral.unlisted": 2,
    }
    assert (found["relevant.f1"], found["ram.f1"]) == (0.6875, 0.59375)


def test_flat_takes_any_tree() -> None:
    @dataclass(frozen=True)
    class More:
        ap: np.float32
        ami: float | None
        names: tuple[str, ...]
        at: tuple[float, float, float]
        broken: float

    found = figures_json.flat(More(np.float32(0.5), None, ("Ball",), (0.1, 0.2, 0.3), float("nan")))
    assert found == {"ap": 0.5, "at.0": 0.1, "at.1": 0.2, "at.2": 0.3}
    assert type(found["ap"]) is float


def test_the_last_split_has_what_is_measured_on_all() -> None:
    assert figures_json.of_evaluation(EVALUATION) == {"test-pong-ppo": figures_json.flat(SPLIT_SCORES) | EVALUATED}
    each = {name: SPLIT_SCORES for name in ("test-a", "test-b", "all test splits")}
    several = replace(EVALUATION, splits=("test-a", "test-b"), by_split=each)
    found = figures_json.of_evaluation(several)
    assert list(found) == ["test-a", "test-b", "all test splits"]
    assert found["all test splits"] == found["test-a"] | EVALUATED and found["test-a"] == found["test-b"]
    assert type(found["all test splits"]["evaluation.identity_switches"]) is float
    assert figures_json.of_evaluation(None) == {}


def test_games_and_their_mean() -> None:
    moving = {**EVALUATION.sets["moving"], "identity_switches": 4}
    drawn = {**EVALUATION.sets["drawn"], "ap": 1.0}
    by_split = {"test-pong-ppo": replace(SPLIT_SCORES, target_f1=0.5)}
    other = replace(EVALUATION, sets={"drawn": drawn, "moving": moving}, by_split=by_split)
    found = figures_json.of_games({"Boxing": EVALUATION, "Pong": other})
    assert list(found) == ["mean over games", "Boxing/test-pong-ppo", "Pong/test-pong-ppo"]
    assert found["Pong/test-pong-ppo"] == figures_json.of_evaluation(other)["test-pong-ppo"]
    mean = found["mean over games"]
    assert (mean["evaluation.ap"], mean["evaluation.identity_switches"]) == (0.78125, 3.5)
    assert mean["target_f1"] == (0.9375 + 0.5) / 2 and "detection.frames" not in mean
    assert figures_json.of_games({}) == {}


def test_written_and_read(tmp_path: Path) -> None:
    metrics = figures_json.of_evaluation(EVALUATION)
    figures_json.write(tmp_path, metrics)
    assert figures_json.read(tmp_path) == metrics
    assert type(json.loads((tmp_path / "figures.json").read_text())["test-pong-ppo"]["detection.frames"]) is int
    figures_json.write(tmp_path, {})
    assert figures_json.read(tmp_path) == {}


# Means and standard deviations of these are none, or fail.
ODD = [f'{{"a": {{"b": {number}}}}}' for number in ("NaN", "Infinity", "-Infinity", f"1{'0' * 400}", "1e300", "true")]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"a": 1}', '{"a": {"b": "c"}}', *ODD])
def test_files_that_are_none(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "figures.json").write_text(text)
    assert figures_json.read(tmp_path) is None


def test_the_mean_of_several_games() -> None:
    one = {"detection.frames": 12, "detection.f1": 0.5, "detection.class_recall.Ball": 1.0, "target_f1": 0}
    other = {"detection.frames": 16, "detection.f1": 0.75, "detection.class_recall.Ghost": 1.0, "target_f1": 0.5}
    assert figures_json.mean([one, other]) == {"detection.f1": 0.625, "target_f1": 0.25}
    assert figures_json.mean([]) == {}
