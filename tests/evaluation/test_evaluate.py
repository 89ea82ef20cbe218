"""An evaluation of a model that detects the objects of a made-up game as well as it is told to."""

from __future__ import annotations

import math
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import detection_scores
from spacetime_env.evaluation.drawn import KINDS
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_model
from spacetime_env.evaluation.run_model import EvaluationError, predict
from spacetime_env.evaluation.tables import csv_row
from spacetime_env.models.folder import load_model
from tests.helpers.seer import SCENE, Seer, seer
from tests.helpers.tiny import COLORS, MODEL, NATIVE, SIZES, write_model


def same(one: Evaluation, other: Evaluation) -> bool:
    return csv_row(one) == csv_row(other) and one.notes == other.notes


def test_a_model_that_sees_all(test: Split, validation: Split) -> None:
    pytest.importorskip("motmetrics")
    found = evaluate_model(seer(), [test], validation, "seer")
    assert (found.model, found.sha256, found.splits, found.frames) == ("seer", "abc", ("test-random",), 12)
    assert found.reconstruction_mse == pytest.approx(0.2**2) and found.notes == ()
    assert set(found.sets) == {"drawn", "all", "moving", "relevant"} and set(found.classes) == {"Player", "Ball"}
    ones = ("ap", "ap_10", "ap_90", "precision", "recall", "f1", "center_precision", "center_recall", "center_f1")
    ones += ("perfect", "name_accuracy", "few_shot_1", "few_shot_64", "centroid_accuracy", "cluster_accuracy")
    ones += ("ami", "ari", "kalman_accuracy")
    drawn = found.sets.pop("drawn")
    assert drawn["objects"] == 24 and (drawn["f1"], drawn["f1_75"], drawn["f1_all"]) == (1, 1, 1)
    assert drawn["name_accuracy"] == 1 and {drawn[f"neutral_{kind}"] for kind in KINDS} == {0}
    for values in found.sets.values():
        assert values["objects"] == 24 and {key: values[key] for key in ones} == pytest.approx(dict.fromkeys(ones, 1.0))
        for key in ("overcount", "undercount", "error_rate", "identity_switches", "few_shot_1_std"):
            assert values[key] == 0, key
    assert found.classes["Ball"]["objects"] == 12
    assert found.classes["Ball"]["ap"] == found.classes["Ball"]["recall_any_name"] == 1


def test_each_set_has_its_own_objects(test: Split, validation: Split) -> None:
    """The ball is still and not found: what moves is perfect, and everything is half found."""
    scene = replace(SCENE, still=("Ball",))
    found = evaluate_model(seer(scene=scene, blind=("Ball",)), [test], validation)
    assert (found.sets["moving"]["objects"], found.sets["moving"]["f1"], found.sets["moving"]["perfect"]) == (12, 1, 1)
    assert (found.sets["relevant"]["recall"], found.sets["relevant"]["undercount"]) == (1 / 2, 1)
    assert found.sets["relevant"]["error_rate"] == 1 / 2 and found.sets["all"] == found.sets["relevant"]
    assert found.classes["Ball"]["recall"] == 0 and math.isnan(found.classes["Ball"]["name_accuracy"])
    # Finding the still ball does not hurt what moves; where it is not relevant, it does not hurt what is.
    seeing = evaluate_model(seer(scene=scene), [test], validation)
    assert [seeing.sets["moving"][key] for key in ("precision", "ap", "perfect")] == [1, 1, 1]
    other = evaluate_model(seer(scene=replace(SCENE, classes=("Player",), slots={})), [test], validation)
    assert (other.sets["relevant"]["objects"], other.sets["relevant"]["precision"]) == (12, 1)
    assert other.sets["all"]["objects"] == 24


def test_wrong_names(test: Split, validation: Split) -> None:
    """Ball and Player are each called by the other's name: all is found, and all names are wrong."""
    found = evaluate_model(seer(names=("Ball", "Player")), [test], validation)
    assert (found.sets["all"]["f1"], found.sets["all"]["name_accuracy"]) == (1, 0)
    ball = found.classes["Ball"]
    assert (ball["f1"], ball["ap"], ball["name_accuracy"], ball["recall_any_name"]) == (0, 0, 0, 1)
    assert found.sets["all"]["few_shot_16"] == 1  # which asks z_what, not the model's classifier


def test_clusters_are_called_what_most_of_them_are(test: Split, validation: Split) -> None:
    clusters = seer(names=("object0", "object1"), scene=replace(SCENE, classes=("object0", "object1"), slots={}))
    found = evaluate_model(clusters, [test], validation)
    assert found.sets["relevant"]["objects"] == 24  # all, since none of the scene's classes is the truth's
    assert found.sets["all"]["name_accuracy"] == found.classes["Ball"]["f1"] == found.classes["Player"]["ap"] == 1
    alone = evaluate_model(clusters, [test])
    assert alone.sets["all"]["f1"] == 1 and math.isnan(alone.sets["all"]["name_accuracy"])
    assert math.isnan(alone.classes["Ball"]["f1"]) and alone.classes["Ball"]["recall_any_name"] == 1
    assert "names" not in " ".join(found.notes) and "no name is judged" in alone.notes[1]


def test_without_few_shot_samples(test: Split, validation: Split) -> None:
    alone, both = evaluate_model(seer(), [test]), evaluate_model(seer(), [test], validation)
    lost = {f"few_shot_{n}{tail}" for n in (1, 4, 16, 64) for tail in ("", "_std")}
    lost |= {"centroid_accuracy", "kalman_accuracy"}
    assert {key for key, value in alone.sets["all"].items() if math.isnan(value)} - {"identity_switches"} == lost
    assert "no split to draw few-shot samples from" in alone.notes[0] and not set(alone.notes) <= set(both.notes)
    assert alone.sets["all"].keys() == both.sets["all"].keys()  # the CSV's columns stay the same


def test_without_motmetrics(test: Split, validation: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "motmetrics", None)
    found = evaluate_model(seer(), [test], validation)
    assert math.isnan(found.sets["all"]["identity_switches"]) and found.sets["all"]["f1"] == 1
    assert found.notes == ("Identity switches are missing: install motmetrics with pip install 'spacetime-env[eval]'.",)


def test_a_model_that_cannot_be_tracked(test: Split, validation: Split) -> None:
    pytest.importorskip("motmetrics")
    found = evaluate_model(seer(scene=SceneConfig(classes=("Player",), slots={"Player": 0})), [test], validation)
    assert math.isnan(found.sets["all"]["identity_switches"]) and "cannot be tracked" in found.notes[0]


def test_a_model_that_sees_nothing(test: Split, validation: Split) -> None:
    found = evaluate_model(seer(blind=tuple(COLORS)), [test], validation)
    assert (found.sets["all"]["f1"], found.sets["all"]["ap"], found.sets["all"]["undercount"]) == (0, 0, 1)
    assert math.isnan(found.sets["all"]["name_accuracy"]) and math.isnan(found.sets["all"]["few_shot_1"])
    assert math.isnan(found.sets["all"]["ami"])


def test_the_same_evaluation_each_time(test: Split, validation: Split, tmp_path: Path) -> None:
    first = evaluate_model(seer(blur=6), [test], validation)
    assert same(first, evaluate_model(seer(blur=6), [test], validation))
    assert not same(first, evaluate_model(seer(blur=6), [test], validation, seed=1))
    assert 0 < first.sets["all"]["few_shot_4"] < 1 and first.sets["all"]["f1"] == 1
    model = load_model(write_model(tmp_path / "tiny"))
    first = evaluate_model(model, [test], validation)
    assert same(first, evaluate_model(model, [test], validation))
    predictions = predict(model, test)
    direct = detection_scores(predictions.detections, predictions.truth)
    assert first.sets["all"]["f1"] == direct.f1 and first.sets["all"]["overcount"] == 1  # 16 cells for 2 objects


def test_an_evaluation_does_not_change(test: Split) -> None:
    found = evaluate_model(seer(), [test])
    with pytest.raises(FrozenInstanceError):
        found.frames = 5  # type: ignore[misc]


def test_what_cannot_be_evaluated(test: Split, validation: Split) -> None:
    with pytest.raises(EvaluationError, match="at least one labelled split"):
        evaluate_model(seer(), [])
    with pytest.raises(EvaluationError, match=r"few-shot samples would come from .*test-random, which is tested too"):
        evaluate_model(seer(), [validation, test], test)


def test_sizes_of_the_made_up_game() -> None:
    """What the tests above lean on: a ball's colour is seen in full, whatever lies beside it."""
    frame = np.zeros((*NATIVE, 3), np.uint8)
    (w, h), color = SIZES["Ball"], COLORS["Ball"]
    frame[5 : 5 + h, 3 : 3 + w] = color
    assert Seer().see(frame).boxes.tolist() == [[3, 5, w, h]] and MODEL.z_what_dim == 3
