"""Pretraining from recorded frames to a model folder, interrupted in every way, on a made-up game of two objects."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spacetime_env import load_model
from spacetime_env.commands import evaluate
from spacetime_env.commands.pretrain import main
from spacetime_env.config import Config, ConfigError, SceneConfig, Schedule, from_dict, to_dict
from spacetime_env.data.labels import LabelsError
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.motion import targets
from spacetime_env.data.players import RandomPolicy
from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation import figures_json
from spacetime_env.evaluation.boxes import detection_scores
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import label_truth
from spacetime_env.frames import resize
from spacetime_env.locks import hold
from spacetime_env.models.classifier_file import read_classifiers
from spacetime_env.objects.tracker import Tracker
from spacetime_env.shipped import find
from spacetime_env.space import Space
from spacetime_env.training import game_data, naming, pretrain
from spacetime_env.training import loop as training_loop
from spacetime_env.training import splits as prepare
from spacetime_env.training.checkpoint import CheckpointError, State, checkpoints, read_checkpoint, resume
from spacetime_env.training.examples import Examples, load_examples, within
from spacetime_env.training.loop import Interrupted, TrainingError, train_loop
from spacetime_env.training.splits import require_classes
from spacetime_env.training.step import train_step
from spacetime_env.training.validation import quick_scores
from tests.helpers.tiny import CONFIG, NATIVE, make_space, write_data, write_split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Train, validation and test split with labels, and the config that uses them."""
    return write_data(tmp_path_factory.mktemp("data"), test=True)


@pytest.fixture(scope="module")
def splits(data: Config) -> tuple[Split, Split]:
    return prepare.prepare_split(data, "train"), prepare.prepare_split(data, "validation")


@pytest.fixture(scope="module")
def examples(data: Config, splits: tuple[Split, Split]) -> Examples:
    return load_examples(splits[0], data)


@pytest.fixture(scope="module")
def whole(data: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption: ``run`` and ``model``."""
    folder = tmp_path_factory.mktemp("whole")
    pretrain.pretrain(data, folder / "model", folder / "run")
    return folder


@pytest.fixture(scope="module")
def trained(data: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is just long enough to find some of what moves, made by the command."""
    folder = tmp_path_factory.mktemp("trained")
    scene = SceneConfig(classes=("Player", "Ball"), slots={"Ball": 1})
    often = {"eval_every": 100, "save_every": 100, "picture_every": 100, "log_every": 50}
    decay = Schedule(1.0, 0.1, 0.5, 1.0)
    config = replace(with_train(data, steps=100, learning_rate=1e-2, decay=decay, **often), scene=scene)
    words = ["--config", str(config_file(folder, config)), "--export-classifier"]
    assert main([*words, "--out", str(folder / "model"), "--run", str(folder / "run")]) == 0
    return folder


def with_train(config: Config, **changes: object) -> Config:
    return replace(config, train=replace(config.train, **changes))  # type: ignore[arg-type]


def config_file(folder: Path, config: Config) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(to_dict(config)))
    return path


def weights(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path)["space"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


# The whole way


def test_what_a_run_leaves(whole: Path, data: Config) -> None:
    run, model = whole / "run", whole / "model"
    assert sorted(p.name for p in model.iterdir()) == [
        "CARD.md",
        "config.yaml",
        "errors.png",
        "example.png",
        "model.safetensors",
        "model.yaml",
    ]
    assert sorted(p.name for p in (run / "checkpoints").glob("*.pt")) == [
        "best.pt",
        "step-0000004.pt",
        "step-0000006.pt",
    ]
    assert from_dict(Config, yaml.safe_load((model / "config.yaml").read_text())) == data
    found = figures_json.read(run)
    assert found is not None and list(found) == ["test-random"]
    f1 = f"{found['test-random']['detection.f1']:.4f}"
    assert f"| F1 at IoU 0.5 | {f1} |" in (model / "CARD.md").read_text()
    assert from_dict(Config, yaml.safe_load((run / "run.yaml").read_text())["config"]) == data


def test_the_folder_loads_and_detects(whole: Path, data: Config, splits: tuple[Split, Split]) -> None:
    model = load_model(whole / "model")
    assert (model.game, model.native, model.config) == ("Pong", NATIVE, data.model)
    assert model.settings.trained["steps"] == "6" and model.settings.trained["commit"]
    found = model.detect(splits[1].frames([1])[0])
    assert [len(one) for one in found] == [16, 16, 16]  # a threshold of 0: each cell
    assert same(model.space.state_dict(), weights(whole / "run" / "checkpoints" / "best.pt"))
    # The background is the mode of the training frames, at the network's size.
    background = resize(splits[0].background, (38, 32))[0].transpose(2, 0, 1)
    assert torch.equal(model.space.background.image, torch.from_numpy(background.copy()).float() / 255)


def test_classifiers_beside_checkpoints(trained: Path, whole: Path) -> None:
    """The best checkpoint has that of the finished model, which here is named on the same few frames."""
    folder, model = trained / "run" / "checkpoints", load_model(trained / "model")
    assert [path.name for path in sorted(folder.iterdir())] == [
        "best.classifiers.safetensors",
        "best.pt",
        "step-0000100.classifiers.safetensors",
        "step-0000100.pt",
    ]
    found = read_classifiers(folder / "best.classifiers.safetensors")
    assert [*found] == ["1", "4"] and found["4"].class_names == model.class_names == ("Player", "Ball")
    assert np.array_equal(found["4"].coef, model.classifier.coef)
    assert np.array_equal(found["4"].intercept, model.classifier.intercept)
    assert not np.array_equal(found["1"].coef, found["4"].coef)
    # Six steps are enough for boxes near known objects, in each of the validations.
    beside = {path.name for path in (whole / "run" / "checkpoints").glob("*.safetensors")}
    assert beside == {f"{one}.classifiers.safetensors" for one in ("best", "step-0000004", "step-0000006")}


def test_scalars_and_pictures(whole: Path) -> None:
    events = EventAccumulator(str(whole / "run" / "tensorboard")).Reload()
    scalars = events.Tags()["scalars"]
    assert {"validation/center_f1", "validation/ap"} <= set(scalars)
    assert {"train/total", "train/motion_z_pres", "train/gradient_norm", "validation/motion_f1"} <= set(scalars)
    assert {"validation/f1", "validation/recall_Ball"} <= set(scalars)
    assert [event.step for event in events.Scalars("train/total")] == [2, 4, 6]
    assert [event.step for event in events.Scalars("validation/motion_f1")] == [3, 6]
    assert [event.step for event in events.Images("pictures")] == [4]


def test_it_learns(trained: Path, data: Config) -> None:
    """It finds more of what moves than an untrained network does: all parts work together."""
    model = load_model(trained / "model")
    test = open_split(Path(data.data.root) / "Pong" / "test-random")
    truth = label_truth(test, model.scene)

    def center_f1(space: Space) -> float:
        one = naming.as_model(replace(data, scene=model.scene), space, NATIVE)
        return detection_scores(detect_all(one, test), truth).center_f1

    after, before = center_f1(model.space), center_f1(make_space())
    assert after > 0.5 and after > before + 0.2, (before, after)
    assert model.class_names == ("Player", "Ball") == model.scene.classes and model.scene.slots["Ball"] == 1
    Tracker(model.scene, model.native).update(model.detect(test.frames([0])[0, 0])[0])


def test_the_card_has_command_and_figures(trained: Path) -> None:
    card = (trained / "model" / "CARD.md").read_text()
    assert "Made by `python pretrain_space.py --config path/to/config.yaml --export-classifier" in card
    assert "### test-random: 12 frames, policy 'random', seed 0" in card
    assert "| 1-shot accuracy" in card and "| 4-shot accuracy" in card


def test_exported_classifiers(trained: Path, splits: tuple[Split, Split]) -> None:
    assert sorted(p.name for p in (trained / "run").glob("*.pkl")) == [
        "z_what-classifier_1.joblib.pkl",
        "z_what-classifier_4.joblib.pkl",
    ]
    found = load_model(trained / "model").detect(splits[1].frames().reshape(-1, *NATIVE, 3))
    z_what, names = np.concatenate([one.z_what for one in found]), [name for one in found for name in one.names]
    predicted = [joblib.load(path).predict(z_what).tolist() for path in sorted((trained / "run").glob("*.pkl"))]
    assert predicted[1] == names  # the folder's own classifier is that of the most samples
    assert set(predicted[0]) <= {"Player", "Ball"}


def test_the_best_weights_are_used_and_not_the_last(
    data: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.25, 0.75, 0.5])
    monkeypatch.setattr(pretrain, "quick_scores", lambda *_: {"motion_f1": next(scores)})
    pretrain.pretrain(with_train(data, eval_every=2), tmp_path / "model", tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    best = read_checkpoint(folder / "best.pt")
    assert (best["step"], best["best"]) == (4, 0.75)
    used = load_model(tmp_path / "model").space.state_dict()
    assert same(used, best["space"]) and not same(used, weights(folder / "step-0000006.pt"))


def test_the_complete_evaluation_is_in_the_run(trained: Path, data: Config) -> None:
    """One row, the same figures as TensorBoard's, and those that the command has for the folder."""
    with open(trained / "run" / "evaluation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 and (rows[0]["model"], rows[0]["splits"], rows[0]["frames"]) == ("model", "test-random", "12")
    events = EventAccumulator(str(trained / "run" / "tensorboard")).Reload()
    (f1,) = events.Scalars("evaluation/moving/f1")
    assert f1.step == 100 and f1.value == pytest.approx(float(rows[0]["moving/f1"]))
    assert rows[0]["moving/few_shot_4"] and (trained / "run" / "evaluation.md").is_file()
    words = ["--model", str(trained / "model"), "--data-root", data.data.root, "--out", str(trained / "again")]
    assert evaluate.main([*words, "--no-plots"]) == 0
    with open(trained / "again" / "evaluation.csv", newline="") as file:
        (again,) = csv.DictReader(file)
    assert {**again, "time": ""} == {**rows[0], "time": ""}
    found = figures_json.read(trained / "run")  # and some are in figures.json, where sweeps look
    assert found is not None and list(found) == ["test-random"]
    assert found["test-random"]["evaluation.ap"] == pytest.approx(float(rows[0]["moving/ap"]))
    assert found["test-random"]["evaluation.ami"] == pytest.approx(float(rows[0]["moving/ami"]))
    mse = float(rows[0]["reconstruction_mse"])
    assert found["test-random"]["evaluation.reconstruction_mse"] == pytest.approx(mse)


# Interruptions


def stopped_at(step: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``error`` come inside the step after ``step``, when part of the work is done."""
    real = train_step
    calls = iter(range(1, 1000))

    def dying(*args: object, **kwargs: object) -> object:
        if next(calls) == step + 1:
            torch.rand(7)
            raise error
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(training_loop, "train_step", dying)


def loop(config: Config, examples: Examples, validation: Split, run: Path) -> State:
    """What pretrain() does between its data and its end."""
    state = pretrain.start(config, examples)
    resume(run / "checkpoints", state, config)
    train_loop(config, state, examples, lambda space: quick_scores(config, space, validation), run)
    return state


@pytest.mark.parametrize("variant", ["space+motion", "space+motion+continuity"])
def test_resumed_is_uninterrupted_to_the_bit(
    variant: str,
    data: Config,
    examples: Examples,
    splits: tuple[Split, Split],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = replace(data.model, variant=variant, max_objects=5)  # type: ignore[arg-type]
    config = replace(data, model=model, loss=replace(data.loss, dynamic_scheduling=True))
    first = loop(config, examples, splits[1], tmp_path / "whole")
    with monkeypatch.context() as patch:
        stopped_at(3, RuntimeError("the power went"), patch)
        with pytest.raises(RuntimeError, match="the power went"):
            loop(config, examples, splits[1], tmp_path / "twice")
    assert [p.name for p in checkpoints(tmp_path / "twice" / "checkpoints")] == [
        "step-0000002.pt",
        "step-0000003.pt",
    ]
    (tmp_path / "twice" / "checkpoints" / "step-0000003.pt").unlink()  # the last save came to nothing
    second = loop(config, examples, splits[1], tmp_path / "twice")
    assert (first.step, first.best, first.mismatch.values) == (second.step, second.best, second.mismatch.values)
    assert len(first.mismatch.values) > 1
    for name in ("step-0000004.pt", "step-0000006.pt", "best.pt"):
        one, two = (read_checkpoint(tmp_path / run / "checkpoints" / name) for run in ("whole", "twice"))
        assert same(one["space"], two["space"]) and torch.equal(one["rng"], two["rng"]), name
    assert second.seconds > 0


def test_another_seed_is_another_network(
    data: Config, examples: Examples, splits: tuple[Split, Split], tmp_path: Path
) -> None:
    one, two = (
        loop(with_train(replace(data, seed=seed), steps=1), examples, splits[1], tmp_path / str(seed))
        for seed in (0, 1)
    )
    assert not same(one.space.state_dict(), two.space.state_dict())


def test_ctrl_c_inside_a_step_saves(
    data: Config, examples: Examples, splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no signal handler could wait for the step's end, as in a thread."""
    stopped_at(5, KeyboardInterrupt(), monkeypatch)
    with pytest.raises(Interrupted, match=r"interrupted at step 5 of 6, and saved in .*The same command resumes it"):
        loop(data, examples, splits[1], tmp_path)
    state = pretrain.start(data, examples)
    assert resume(tmp_path / "checkpoints", state, data) is not None
    assert state.step == 5 and state.seconds > 0


def test_ctrl_c_waits_for_the_step_and_is_resumed_to_the_bit(
    data: Config, examples: Examples, splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = loop(data, examples, splits[1], tmp_path / "whole")
    real = train_step

    def pressed(*args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "train_step", pressed)
        for step in (1, 2, 3):  # each time one step is done; the third is one that is evaluated
            with pytest.raises(Interrupted, match=f"interrupted at step {step} of 6"):
                loop(data, examples, splits[1], tmp_path / "twice")
    second = loop(data, examples, splits[1], tmp_path / "twice")
    assert same(first.space.state_dict(), second.space.state_dict()) and first.best == second.best


def test_kill_9_while_it_saves_and_the_same_command_again(whole: Path, data: Config, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "model"
    command = ["--config", str(config_file(tmp_path, data)), "--run", str(run), "--out", str(out)]
    # The second best.pt is that of the last step; it dies before the file is made safe.
    code = """
import os, signal, sys
from spacetime_env.commands import pretrain as pretrain_cli
from spacetime_env.training import checkpoint
real, write, names = os.fsync, checkpoint.write_atomically, []
def writing(path, content):
    names.append(path.name)
    write(path, content)
checkpoint.write_atomically = writing
def dying(handle):
    if names.count("best.pt") == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(handle)
os.fsync = dying
pretrain_cli.main(sys.argv[1:])
"""
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    folder = run / "checkpoints"
    assert [p.name for p in checkpoints(folder)] == ["step-0000003.pt", "step-0000004.pt"]
    half = [path for path in folder.iterdir() if path.name.startswith(".best.pt.")]
    assert len(half) == 1 and not out.exists()
    os.utime(half[0], (0, 0))
    assert main(command) == 0
    for name in ("step-0000006.pt", "best.pt"):
        assert same(weights(folder / name), weights(whole / "run" / "checkpoints" / name))
    assert (out / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    assert not half[0].exists()


def test_a_finished_run_is_not_trained_again(
    whole: Path, data: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(whole / "run", tmp_path / "run"))
    stopped_at(0, AssertionError("trained"), monkeypatch)
    pretrain.pretrain(data, tmp_path / "model", run)
    assert f"resuming {run} at step 6 of 6" in capsys.readouterr().out
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        whole / "model" / "model.safetensors"
    ).read_bytes()


def test_damaged_checkpoints(whole: Path, data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(whole / "run", tmp_path / "run"))
    folder = run / "checkpoints"
    (folder / "step-0000006.pt").write_bytes(b"")
    pretrain.pretrain(data, tmp_path / "model", run)
    said = capsys.readouterr().out
    assert "step-0000006.pt is damaged" in said and f"resuming {run} at step 4 of 6" in said
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        whole / "model" / "model.safetensors"
    ).read_bytes()
    (folder / "best.pt").write_bytes(b"")
    pretrain.pretrain(data, tmp_path / "last", run)
    assert "The last weights are used instead of the best" in capsys.readouterr().out
    assert same(load_model(tmp_path / "last").space.state_dict(), weights(folder / "step-0000006.pt"))
    for path in checkpoints(folder):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="Start anew with --restart"):
        pretrain.pretrain(data, tmp_path / "model", run)


def test_restart_throws_the_run_away_and_nothing_else(whole: Path, data: Config, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole / "run", tmp_path / "run"))
    (run / "notes.txt").write_text("mine")
    pretrain.forget(Path(shutil.copytree(run, tmp_path / "forgotten")))
    left = {path.name for path in (tmp_path / "forgotten").iterdir()}
    assert left == {"evaluation.csv", "evaluation.md", "notes.txt", "run.yaml"}
    other = with_train(data, steps=1)
    with pytest.raises(ConfigError, match=r"started with other settings: train.steps: 6 then, 1 now"):
        pretrain.pretrain(other, tmp_path / "model", run)
    pretrain.pretrain(other, tmp_path / "model", run, restart=True)
    assert [p.name for p in checkpoints(run / "checkpoints")] == ["step-0000001.pt"]
    assert (run / "notes.txt").read_text() == "mine"


def test_nan_stops_with_a_sentence_and_is_not_saved(
    data: Config,
    examples: Examples,
    splits: tuple[Split, Split],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = train_step, []

    def breaks(*args: object, **kwargs: object) -> object:
        logs, output = real(*args, **kwargs)  # type: ignore[arg-type]
        calls.append(1)
        return logs | {"nll": torch.tensor(torch.nan if len(calls) == 4 else 0.0)}, output

    monkeypatch.setattr(training_loop, "train_step", breaks)
    config = with_train(data, log_every=5, eval_every=6, save_every=2)
    with pytest.raises(TrainingError, match=r"nll became nan after step 3\. The checkpoints in .*learning_rate"):
        loop(config, examples, splits[1], tmp_path)
    assert [p.name for p in checkpoints(tmp_path / "checkpoints")] == ["step-0000002.pt"]


def test_a_network_that_explodes_stops_with_a_sentence(
    data: Config, examples: Examples, splits: tuple[Split, Split], tmp_path: Path
) -> None:
    config = with_train(data, learning_rate=1e30, log_every=6, eval_every=6, save_every=6)
    with pytest.raises(TrainingError, match=r"z_where became (nan|inf) after step 1\. .*use --restart"):
        loop(config, examples, splits[1], tmp_path)
    assert checkpoints(tmp_path / "checkpoints") == []


# Data


def test_examples_of_some_rows(data: Config, splits: tuple[Split, Split]) -> None:
    train, (top, bottom) = splits[0], (5, 43)
    scene = replace(data.scene, ignore=((0, 0, 36, 11),))
    config = replace(data, scene=scene, model=replace(data.model, rows=(top, bottom), frame_size=(38, 36)))
    found = load_examples(train, config)
    assert (found.frames.transpose(0, 1, 3, 4, 2) == train.frames()[:, :, top:bottom]).all()  # as they are
    assert (found.background.transpose(1, 2, 0) == train.background[top:bottom]).all()
    masks = train.motion_masks() > 127
    assert not found.masks[:, :, : 11 - top].any()
    assert (found.masks[:, :, 11 - top :] == masks[:, :, 11:bottom]).all()
    for f in (0, 7, 17):
        boxes = train.motion_boxes[f]
        boxes = boxes[boxes[:, 1] + boxes[:, 3] / 2 >= 11]
        low, high = boxes[:, 1].clip(top, bottom), (boxes[:, 1] + boxes[:, 3]).clip(top, bottom)
        seen = np.stack([boxes[:, 0], low - top, boxes[:, 2], high - low], axis=1)[high > low]
        z_pres, z_where = targets(seen, (38, 36), 4)
        assert (found.z_pres[f // 3, f % 3] == z_pres).all() and z_pres.any()
        assert (found.z_where[f // 3, f % 3] == z_where).all()
    wrong = replace(config, model=replace(config.model, rows=(5, 45)))
    with pytest.raises(ConfigError, match=r"model.rows: .* 0 to 44, got \[5, 45\]"):
        load_examples(train, wrong)


def test_boxes_between_two_rows() -> None:
    boxes = np.array([[1, 2, 3, 4], [5, 8, 3, 4], [7, 28, 3, 9], [9, 40, 3, 4], [2, 30, 3, 1]], np.float32)
    expected = [[5, 0, 3, 2], [7, 18, 3, 2]]  # above; half in; half out; below; just below
    np.testing.assert_array_equal(within(boxes, 10, 30), expected)
    assert within(boxes[:0], 10, 30).shape == (0, 4)


def test_examples_are_the_splits_frames(data: Config, splits: tuple[Split, Split]) -> None:
    train = splits[0]
    ignore = ((0, 0, 36, 11),)
    config = replace(data, scene=replace(data.scene, ignore=ignore), model=replace(data.model, color_order="bgr"))
    found = load_examples(train, config)
    small = train.small((38, 32))
    assert found.frames.shape == (6, 3, 3, 38, 32) and found.masks.shape == (6, 3, 38, 32)
    assert (found.frames[4, 2, 0] == small[4, 2, ..., 2]).all()  # blue first
    masks = train.motion_masks((38, 32)) > 127
    edge = round(11 * 38 / 44)
    assert not found.masks[:, :, :edge].any() and (found.masks[:, :, edge:] == masks[:, :, edge:]).all()
    for f in (0, 7, 17):
        boxes = train.motion_boxes[f]
        seen = boxes[boxes[:, 1] + boxes[:, 3] / 2 >= 11]
        z_pres, z_where = targets(seen, NATIVE, 4)
        assert (found.z_pres[f // 3, f % 3] == z_pres).all() and z_pres.any()
        assert (found.z_where[f // 3, f % 3] == z_where).all()
    assert found.z_pres.sum() < load_examples(train, data).z_pres.sum()
    assert found.background.shape == (3, 38, 32)


def test_data_of_another_game(tmp_path: Path) -> None:
    write_split(tmp_path, "train")
    (tmp_path / "Pong").rename(tmp_path / "Boxing")
    config = replace(CONFIG, game="Boxing", data=replace(CONFIG.data, root=str(tmp_path)))
    with pytest.raises(DatasetError, match="train-random was recorded with other settings: game: 'Pong' then, 'Box"):
        prepare.prepare_split(config, "train")


def test_who_plays_each_split(tmp_path: Path) -> None:
    mixed = "random+sticky-random"
    write_split(tmp_path, "train", agent=mixed)
    write_split(tmp_path, "validation", labels=True, agent="sticky-random")
    asked = replace(CONFIG.data, root=str(tmp_path / "data"), agent=mixed, eval_agent="sticky-random")
    shutil.move(tmp_path / "Pong", tmp_path / "data" / "Pong")
    config = with_train(replace(CONFIG, data=asked), steps=1)
    assert prepare.prepare_split(config, "train").path.name == f"train-{mixed}"
    assert prepare.prepare_split(config, "validation").path.name == "validation-sticky-random"
    card = (pretrain.pretrain(config, tmp_path / "model", tmp_path / "run") / "CARD.md").read_text()
    assert "in turn, a shard each: 'random' (1 of 2 shards, 4 stacks) and 'sticky-random' (1 of 2 shards, 2 st" in card
    assert "Validation data: policy 'sticky-random'" in card
    assert sorted(path.name for path in (tmp_path / "data" / "Pong").iterdir()) == [
        f"train-{mixed}",
        "validation-sticky-random",
    ]


def test_data_of_other_settings(data: Config) -> None:
    other = replace(data, data=replace(data.data, size=7, seed=1))
    with pytest.raises(DatasetError, match=r"data\.seed: 0 then, 1 now; data\.size: 6 then, 7 now\. Ask for"):
        prepare.prepare_split(other, "train")
    with pytest.raises(DatasetError, match=r"data\.eval_size: 4 then, 5 now"):
        prepare.prepare_split(replace(data, data=replace(data.data, eval_size=5)), "validation")


def recording(monkeypatch: pytest.MonkeyPatch, fails: bool) -> list[bool | None]:
    """Stand in for record(): notes the labels that it is asked for, and writes the made-up split."""
    asked: list[bool | None] = []

    def record(
        game: str, split: str, policy: object, data: object, motion: object, labels: bool | None = None, **_: object
    ) -> None:
        asked.append(labels)
        if fails and labels is not False:
            raise LabelsError("OCAtari is not installed.")
        folder = Path(data.root) / game / f"{split}-random"  # type: ignore[attr-defined]
        shutil.rmtree(folder, ignore_errors=True)
        write_split(Path(data.root), split, labels=labels is not False)  # type: ignore[attr-defined]

    monkeypatch.setattr(prepare, "record", record)
    return asked


def test_missing_data_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(CONFIG, data=replace(CONFIG.data, root=str(tmp_path)))
    asked = recording(monkeypatch, fails=True)
    assert not prepare.prepare_split(config, "validation").meta.labels
    assert asked == [None, False] and "Objects will be named by clusters" in capsys.readouterr().out
    assert not prepare.prepare_split(config, "validation").meta.labels and len(asked) == 2
    # One that was begun without labels goes on without.
    (tmp_path / "Pong" / "validation-random" / "index.yaml").unlink()
    prepare.prepare_split(config, "validation")
    assert asked[2:] == [False]


def test_recording_for_real(tmp_path: Path) -> None:
    """Four stacks of Pong in two files; interrupted after the first, it goes on."""
    data = replace(CONFIG.data, root=str(tmp_path), size=4, shard_size=2, length=2, gap=2, warmup=5)
    config = replace(CONFIG, data=data)
    train = prepare.prepare_split(config, "train", RandomPolicy())
    assert len(train) == 4 and train.native == (210, 160) and not train.meta.labels
    before = (train.path / "frames-00001.npz").read_bytes()
    (train.path / "frames-00001.npz").unlink()
    (train.path / "index.yaml").unlink()
    again = prepare.prepare_split(config, "train", RandomPolicy())
    assert (again.path / "frames-00001.npz").read_bytes() == before
    assert load_examples(again, config).frames.shape == (4, 2, 3, 38, 32)


def test_a_run_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_data(tmp_path / "data", labels=False, test=True)
    config = replace(with_train(config, steps=1), scene=replace(config.scene, slots={}))
    folder = pretrain.pretrain(config, tmp_path / "model", tmp_path / "run", export_classifier=True)
    model = load_model(folder)
    assert model.class_names == tuple(f"object{i}" for i in range(8)) == tuple(model.scene.slots)
    assert "wrote no classifier, since there are no labels" in capsys.readouterr().out
    assert not list((tmp_path / "run").glob("*.pkl"))
    assert "None: no test split with ground truth" in (folder / "CARD.md").read_text()
    Tracker(model.scene, model.native)


def test_a_class_that_the_labels_do_not_have(data: Config, splits: tuple[Split, Split]) -> None:
    wrong = replace(data, scene=SceneConfig(classes=("Player", "Bal")))
    with pytest.raises(ConfigError, match=r"Pong has no 'Bal'; it has Player, Ball\. Did you mean 'Ball'\?"):
        require_classes(wrong, splits[1])
    with pytest.raises(ConfigError, match=r"scene\.still: the ground truth of Pong has no 'Bal'"):
        require_classes(replace(data, scene=SceneConfig(still=("Bal",))), splits[1])
    with pytest.raises(ConfigError, match=r"has no 'xxx.*; it has Player, Ball\.$") as caught:
        require_classes(replace(data, scene=SceneConfig(still=("x" * 10**6,))), splits[1])
    assert len(str(caught.value)) < 300
    require_classes(data, splits[1])


# The command


def test_command(
    data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = config_file(tmp_path, data)
    words = ["--config", str(config), "--out", "here", "--run", "run", "train.steps=1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "wrote here; look at it with: python load_model.py --model ./here" in said
    shown = "python pretrain_space.py --config config.yaml --out here --run run train.steps=1"  # no machine's paths
    assert f"`{shown}`" in (tmp_path / "here" / "CARD.md").read_text()
    assert load_model("./here").settings.trained["steps"] == "1"
    assert not list((tmp_path / "run").glob("*.pkl"))


def test_where_things_go_by_default(data: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_train(replace(data, game="ALE/Pong-v5", name="mine"), steps=1)
    assert pretrain.pretrain(config) == Path("models/mine")
    assert (tmp_path / "runs" / "mine" / "checkpoints" / "best.pt").is_file()


def test_what_ships_is_not_written_over(
    data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(find("models", "pong"), tmp_path / "models" / "pong")  # as in a checkout
    before = {path: path.read_bytes() for path in (tmp_path / "models" / "pong").iterdir()}
    words = ["--config", str(config_file(tmp_path, data)), "train.steps=1"]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("models/pong comes with the package and stays: the model goes to runs/pong/model.")
    assert "wrote runs/pong/model; look" in said and "environments take it as model='runs/pong/model'" in said
    assert {path: path.read_bytes() for path in (tmp_path / "models" / "pong").iterdir()} == before
    trained = load_model("runs/pong/model").settings.sha256
    assert load_model("pong").settings.sha256 != trained
    assert main([*words, "--run", "other"]) == 0 and (tmp_path / "other" / "model" / "model.yaml").is_file()

    assert main([*words, "--out", "models/pong"]) == 0  # said aloud
    assert "environments take it as model='pong'" in capsys.readouterr().out
    assert load_model("pong").settings.sha256 == trained
    assert main(words) == 0 and "stays" not in capsys.readouterr().out  # it is the person's own now


def test_a_model_says_on_which_mode_it_was_trained(data: Config, tmp_path: Path) -> None:
    root = Path(shutil.copytree(data.data.root, tmp_path / "data"))
    (meta,) = root.glob("*/train-*/meta.yaml")
    meta.write_text(meta.read_text() + "mode: 1\n")
    config = with_train(replace(data, data=replace(data.data, root=str(root))), steps=1)
    settings = load_model(pretrain.pretrain(config, tmp_path / "model", tmp_path / "run")).settings
    assert (settings.mode, settings.difficulty) == (1, None)
    text = (tmp_path / "model" / "model.yaml").read_text()
    assert "mode: 1\n" in text and "difficulty" not in text


def test_a_folder_of_other_things_is_refused_before_anything_is_done(
    data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "config.yaml").write_text("mine")
    words = ["--config", str(config_file(tmp_path, data)), "--run", str(tmp_path / "run"), "--out"]
    assert main([*words, str(tmp_path / "thesis")]) == 1
    assert "thesis: it is no model folder and holds config.yaml. Give a new" in capsys.readouterr().err
    assert not (tmp_path / "run").exists() and (tmp_path / "thesis" / "config.yaml").read_text() == "mine"


def test_two_runs_do_not_share_a_folder(data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config", str(config_file(tmp_path, data)), "--run", str(tmp_path / "run")]
    words += ["--out", str(tmp_path / "out"), "train.steps=1"]
    assert main(words) == 0 and not (tmp_path / "run" / "lock").exists()
    there = sorted((tmp_path / "run" / "checkpoints").iterdir())
    with hold(tmp_path / "run"):
        assert main([*words, "--restart", "seed=1"]) == 1
        said = capsys.readouterr().err
        assert re.search(rf"run is in use by process {os.getpid()} since 20\d\d-.*: .*Wait for it, stop it", said), said
    assert sorted((tmp_path / "run" / "checkpoints").iterdir()) == there
    assert main([*words, "--restart", "seed=1"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.stepz=1"], "unknown key 'stepz'. Did you mean 'steps'"),
        (["game=Pongg"], "no game 'Pongg'.*Did you mean Pong"),
        (["train.log_every=0"], "train.log_every: expected 1 or more, got 0"),
        (["train.device=gpu"], "train.device: 'gpu' cannot be used"),
        (["model.grid=5"], "turn a 38x32 frame into 4x4 cells, but model.grid is 5"),
        (["scene.classes=[Bal]"], "Did you mean 'Ball'"),
        (["data.agent=agents/nobody"], "data.agent: no agent 'agents/nobody'"),
        (["data.eval_agent=random+"], "data.eval_agent: expected the name of a policy, got an empty one"),
        (["data.size=9"], "data.size: 6 then, 9 now"),
    ],
)
def test_mistakes_are_sentences(
    words: list[str], message: str, data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path, data)
    status = main(["--config", str(config), "--run", str(tmp_path / "r"), "--out", str(tmp_path / "o"), *words])
    said = capsys.readouterr().err
    assert status == 1 and said.startswith("pretrain_space.py: ") and "Traceback" not in said
    assert re.search(message, said), said
    assert not (tmp_path / "o").exists()


def test_ctrl_c_and_a_folder_that_cannot_be_made(
    data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--config", str(config_file(tmp_path, data)), "--out", str(tmp_path / "o")]
    (tmp_path / "file").write_text("")
    assert main([*words, "--run", str(tmp_path / "file" / "run")]) == 1
    assert f"{tmp_path / 'file' / 'run'}" in (said := capsys.readouterr().err) and "Not a directory" in said
    stopped_at(1, KeyboardInterrupt(), monkeypatch)
    assert main([*words, "--run", str(tmp_path / "r")]) == 130
    assert "interrupted at step 1 of 6" in capsys.readouterr().err

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(game_data, "prepare_split", pressed)
    assert main([*words, "--run", str(tmp_path / "r2")]) == 130
    assert "the same command resumes it" in capsys.readouterr().err
