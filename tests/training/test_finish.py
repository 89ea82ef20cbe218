"""The end of a training: each frame goes through the network once, and all files tell of the same evaluation."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from spacetime_env.config import Config, SceneConfig
from spacetime_env.data.players import RandomPolicy
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.evaluate import evaluate_model
from spacetime_env.evaluation.tables import csv_row, markdown
from spacetime_env.models.folder import load_model
from spacetime_env.models.model import Model
from spacetime_env.training.checkpoint import State
from spacetime_env.training.finish import finish
from spacetime_env.training.game_data import gather
from spacetime_env.training.pretrain import start
from tests.helpers.tiny import write_data, write_joint_data, write_split


def finished(config: Config, folder: Path, games: Sequence[Config]) -> State:
    """What is left to do after a training of no steps: the untrained network is the model."""
    data = {one.game: gather(one, RandomPolicy(), RandomPolicy()) for one in games}
    state = start(config, next(iter(data.values())).examples)
    folder.joinpath("run").mkdir()
    finish(config, state, data, folder / "model", folder / "run", 1.0, "make it", export_classifier=False)
    return state


@pytest.fixture
def detected(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each frame goes through the network of any model to be detected in, from now on."""
    real, seen = Model.detect, Counter[bytes]()

    def watched(self: Model, frames: np.ndarray) -> object:
        seen.update(frame.tobytes() for frame in frames)
        return real(self, frames)

    monkeypatch.setattr(Model, "detect", watched)
    return seen


def frames_of(path: Path) -> Counter[bytes]:
    frames = open_split(path).frames()
    return Counter(frame.tobytes() for stack in frames for frame in stack)


def test_each_frame_goes_through_the_network_once(tmp_path: Path, detected: Counter[bytes]) -> None:
    """Two test splits and the validation split of one game, 12 frames each."""
    config = write_data(tmp_path / "data", test=True)
    write_split(tmp_path / "data", "test", labels=True, seed=4, agent="pong-ppo")
    finished(config, tmp_path, [config])
    splits = [tmp_path / "data" / "Pong" / name for name in ("test-random", "test-pong-ppo", "validation-random")]
    expected: Counter[bytes] = sum((frames_of(path) for path in splits), Counter())
    again = frames_of(splits[-1])  # to settle model.centers
    assert detected == expected + again and expected.total() == 36
    # All is said of these frames, though: the card, both tables and the JSON are there.
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"evaluation.csv", "evaluation.md", "figures.json"}
    assert "### all test splits: 24 frames" in (tmp_path / "model" / "CARD.md").read_text()


def test_each_frame_of_several_games_goes_through_the_network_once(tmp_path: Path, detected: Counter[bytes]) -> None:
    config = write_joint_data(tmp_path / "data")
    games = [replace(config, game=game, games={}, scene=scene) for game, scene in sorted(config.games.items())]
    finished(config, tmp_path, games)
    names = ("test-random", "validation-random")
    splits = [tmp_path / "data" / game / name for game in ("Carnival", "Pong") for name in names]
    expected: Counter[bytes] = sum((frames_of(path) for path in splits), Counter())
    assert detected == expected and expected.total() == 48


def test_all_files_tell_of_one_evaluation(tmp_path: Path) -> None:
    """They have what the saved model's own evaluation has, and the hash of its weights."""
    config = replace(write_data(tmp_path / "data", test=True), scene=SceneConfig(("Player", "Ball"), threshold=0.0))
    finished(config, tmp_path, [config])
    model = load_model(tmp_path / "model")
    test, validation = (open_split(tmp_path / "data" / "Pong" / f"{name}-random") for name in ("test", "validation"))
    direct = evaluate_model(model, [test], validation, "model")
    with open(tmp_path / "run" / "evaluation.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row | {"time": ""} == csv_row(direct)
    assert row["sha256"] == yaml.safe_load((tmp_path / "model" / "model.yaml").read_text())["sha256"] != ""
    assert (tmp_path / "run" / "evaluation.md").read_text() == markdown(direct)
    metrics = json.loads((tmp_path / "run" / "figures.json").read_text())["test-random"]
    assert metrics["evaluation.ap"] == direct.sets["moving"]["ap"]
    assert metrics["detection.f1"] == direct.sets["moving"]["f1"]
    assert f"| F1 at IoU 0.5 | {direct.sets['moving']['f1']:.4f} |" in (tmp_path / "model" / "CARD.md").read_text()


def test_without_a_test_split(tmp_path: Path) -> None:
    config = write_data(tmp_path / "data")
    finished(config, tmp_path, [config])
    assert json.loads((tmp_path / "run" / "figures.json").read_text()) == {}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["figures.json"]
    assert "None: no test split with ground truth" in (tmp_path / "model" / "CARD.md").read_text()
    assert not (tmp_path / "model" / "errors.png").exists() and (tmp_path / "model" / "example.png").is_file()
