"""All figures together, of a model that sees a made-up game as well as it is told to."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from spacetime_env.commands import evaluate
from spacetime_env.commands.evaluate import main
from spacetime_env.config import SceneConfig
from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation.boxes import detection_scores
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_model
from spacetime_env.evaluation.run_model import EvaluationError, labelled_tests, look, runs_of
from spacetime_env.evaluation.tables import columns
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.models.folder import load_model, save_model
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from tests.helpers.tiny import (
    COLORS,
    CONFIG,
    MODEL,
    NATIVE,
    SIZES,
    make_classifier,
    make_space,
    write_data,
    write_split,
)

ROOT = Path(__file__).parents[2]
SCENE = SceneConfig(classes=("Player", "Ball"), slots={"Player": 1, "Ball": 1})
OFF = 51  # 0.2 of the colours' range


class Seer:
    """Stands in for a :class:`Model`: finds what has a colour, with a z_what of its class.

    ``blur`` lets z_what depend on the place, so that classes are not alike.
    """

    game, config = "Pong", MODEL

    def __init__(
        self,
        names: tuple[str, ...] = ("Player", "Ball"),
        scene: SceneConfig = SCENE,
        blind: Sequence[str] = (),
        blur: float = 0,
    ) -> None:
        self.class_names, self.scene, self.native, self.blind, self.blur = names, scene, NATIVE, blind, blur
        self.settings = SimpleNamespace(sha256="abc", trained={"steps": "7"})

    def detect(self, frames: np.ndarray) -> list[Detections]:
        return [self.see(frame) for frame in frames]

    def see(self, frame: np.ndarray) -> Detections:
        boxes, ids, z_what = [], [], []
        for number, (name, color) in enumerate(COLORS.items()):
            ys, xs = np.nonzero((frame == color).all(axis=-1))
            if name not in self.blind and len(xs):
                boxes.append((xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1))
                ids.append(number)
                z_what.append((10 * number + self.blur * (ys.min() * 7 % 5), 0, 1))
        places = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(
            boxes=places,
            z_where=boxes_to_z_where(places, NATIVE),
            class_ids=np.array(ids, np.int64),
            confidence=np.full(len(boxes), 0.9, np.float32),
            z_what=np.array(z_what, np.float32).reshape(-1, 3),
            class_names=self.class_names,
        )

    def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        return {"reconstruction": np.where(frames > 127, frames - OFF, frames + OFF).astype(np.uint8)}


def seer(**options: Any) -> Model:
    return cast(Model, Seer(**options))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, test=True)
    return folder


@pytest.fixture(scope="module")
def test(root: Path) -> Split:
    return open_split(root / "Pong" / "test-random")


@pytest.fixture(scope="module")
def validation(root: Path) -> Split:
    return open_split(root / "Pong" / "validation-random")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(
        tmp_path_factory.mktemp("models") / "tiny",
        make_space(),
        make_classifier(),
        game="Pong",
        native=NATIVE,
        scene_config=replace(CONFIG.scene, classes=("Player", "Ball"), slots={"Player": 9, "Ball": 9}),
        trained={"steps": 7},
    )


def same(one: Evaluation, other: Evaluation) -> bool:
    return columns(one) == columns(other) and one.notes == other.notes


# Figures


def test_a_model_that_sees_all(test: Split, validation: Split) -> None:
    pytest.importorskip("motmetrics")
    found = evaluate_model(seer(), [test], validation, "seer")
    assert (found.model, found.sha256, found.splits, found.frames) == ("seer", "abc", ("test-random",), 12)
    assert found.reconstruction_mse == pytest.approx(0.2**2) and found.notes == ()
    assert set(found.sets) == {"all", "moving", "relevant"} and set(found.classes) == {"Player", "Ball"}
    ones = ("ap", "ap_10", "ap_90", "precision", "recall", "f1", "center_precision", "center_recall", "center_f1")
    ones += ("perfect", "name_accuracy", "few_shot_1", "few_shot_64", "centroid_accuracy", "cluster_accuracy")
    ones += ("ami", "ari", "kalman_accuracy")
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


def test_the_same_figures_each_time(test: Split, validation: Split, model_folder: Path) -> None:
    first = evaluate_model(seer(blur=6), [test], validation)
    assert same(first, evaluate_model(seer(blur=6), [test], validation))
    assert not same(first, evaluate_model(seer(blur=6), [test], validation, seed=1))
    assert 0 < first.sets["all"]["few_shot_4"] < 1 and first.sets["all"]["f1"] == 1
    model = load_model(model_folder)
    first = evaluate_model(model, [test], validation)
    assert same(first, evaluate_model(model, [test], validation))
    direct = detection_scores(look(model, [test]).found, look(model, [test]).truth)
    assert first.sets["all"]["f1"] == direct.f1 and first.sets["all"]["overcount"] == 1  # 16 cells for 2 objects


def test_splits_are_taken_together(test: Split, validation: Split) -> None:
    seen = look(seer(), [test, validation])
    assert len(seen.found) == len(seen.truth) == 24 and seen.classes == {"Player", "Ball"}
    assert seen.stacks == seen.runs == [range(at, at + 3) for at in range(0, 24, 3)]
    for one, true in zip(seen.found, seen.truth, strict=True):
        assert sorted(one.boxes.tolist()) == sorted(true.boxes.tolist())


def test_runs_of_a_sequential_split() -> None:
    """Stacks go on in the second and fourth; the third begins another episode, the fifth skips, the sixth is a file."""
    steps = np.array([[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5], [7, 8, 9]])
    files = [
        SimpleNamespace(episodes=np.array([0, 0, 1, 1, 1]), steps=steps),
        SimpleNamespace(episodes=np.array([1]), steps=np.array([[10, 11, 12]])),
    ]

    class Recorded:
        meta = SimpleNamespace(order="sequential", length=3)

        def __len__(self) -> int:
            return 6

        def shards(self) -> list[SimpleNamespace]:
            return files

    split = cast(Split, Recorded())
    assert runs_of(split) == [range(0, 6), range(6, 12), range(12, 15), range(15, 18)]
    split.meta.order = "random"  # type: ignore[misc]
    assert runs_of(split) == [range(at, at + 3) for at in range(0, 18, 3)]


# Mistakes


def test_what_cannot_be_evaluated(test: Split, validation: Split, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="at least one labelled split"):
        evaluate_model(seer(), [])
    with pytest.raises(EvaluationError, match=r"few-shot samples would come from .*test-random, which is tested too"):
        evaluate_model(seer(), [validation, test], test)
    bare = open_split(write_split(tmp_path, "test"))
    with pytest.raises(EvaluationError, match="recorded without ground truth"):
        evaluate_model(seer(), [bare])
    other = Seer()
    other.native = (44, 37)
    with pytest.raises(EvaluationError, match=r"frames of \(44, 36\) pixels \(H, W\), and the model reads \(44, 37\)"):
        evaluate_model(cast(Model, other), [test])
    with pytest.raises(EvaluationError, match=r"no labelled test split in .*--split"):
        labelled_tests(tmp_path, "Pong")


# The command


def test_the_script_only_calls_the_package() -> None:
    assert len((ROOT / "evaluate.py").read_text().splitlines()) < 15
    done = subprocess.run([sys.executable, ROOT / "evaluate.py", "--help"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and "--save-crops" in done.stdout


def test_command(
    root: Path, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--model", str(model_folder), "--data-root", str(root), "--save-crops", "--max-crops", "5"]
    assert main(words) == 0 and main([*words, "--no-plots"]) == 0
    out = tmp_path / "runs" / "evaluate" / "tiny"
    with open(out / "evaluation.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["model"] == "tiny" and first["splits"] == "test-random" and first["moving/f1"]
    assert {**first, "time": ""} == {**second, "time": ""}
    said = capsys.readouterr().out
    assert (out / "evaluation.md").read_text() in said
    assert len(list((out / "crops").glob("*.png"))) == 5 and len(list((out / "tensorboard").iterdir())) == 2
    assert f"wrote {Path('runs/evaluate/tiny/evaluation.csv')}" in said


def test_splits_and_samples_by_hand(
    root: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "load_model", lambda _: seer())
    test, validation = root / "Pong" / "test-random", root / "Pong" / "validation-random"
    words = ["--model", str(model_folder), "--no-plots", "--out", str(tmp_path), "--data-root", str(tmp_path)]
    assert main([*words, "--split", str(validation), str(validation), "--few-shot-from", str(test)]) == 0
    assert main([*words, "--split", str(test)]) == 0  # no validation-random in this root
    with open(tmp_path / "evaluation.csv", newline="") as file:
        swapped, alone = csv.DictReader(file)
    assert (swapped["splits"], swapped["frames"]) == ("validation-random", "12") and swapped["all/few_shot_4"]
    assert alone["splits"] == "test-random" and alone["all/few_shot_4"] == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "nobody"], "nobody"),
        (["--split", "nowhere"], "nowhere is not a recorded split"),
        (["--few-shot-from", "nowhere"], "nowhere is not a recorded split"),
        (["--split", "{root}/Pong/validation-random"], "few-shot samples would come from"),
        (["--data-root", "nowhere"], "no labelled test split in nowhere"),
        (["--max-crops", "0"], "expected --max-crops 1 or more"),
        (["--seed", "-1"], "--seed 0 or more, got 256 and -1"),
        (["--out", "{root}/Pong/test-random/meta.yaml"], "meta.yaml"),
    ],
)
def test_mistakes_are_sentences(
    words: list[str], message: str, root: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--model", str(model_folder), "--data-root", str(root), "--no-plots"]
    given += ["--out", str(model_folder / "out")] if "--out" not in words else []
    assert main([*given, *(word.format(root=root) for word in words)]) == 1
    said = capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
    assert said.startswith("evaluate.py: ") and message in said
    assert not (model_folder / "out").exists()


def test_ctrl_c(root: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "look", pressed)
    assert main(["--model", str(model_folder), "--data-root", str(root)]) == 130
    assert "stopped" in capsys.readouterr().err


def test_sizes_of_the_made_up_game() -> None:
    """What the tests above lean on: a ball's colour is seen in full, whatever lies beside it."""
    frame = np.zeros((*NATIVE, 3), np.uint8)
    (w, h), color = SIZES["Ball"], COLORS["Ball"]
    frame[5 : 5 + h, 3 : 3 + w] = color
    assert Seer().see(frame).boxes.tolist() == [[3, 5, w, h]] and MODEL.z_what_dim == 3
