"""The tables of a run, from a made-up evaluation and a model folder that is there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from spacetime_env.evaluation import figures_json
from spacetime_env.models.settings import read_settings
from spacetime_env.training.outputs import write_evaluations
from tests.helpers.made import EVALUATION
from tests.helpers.tiny import write_model


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def row(path: Path) -> dict[str, str]:
    with open(path, newline="") as file:
        (only,) = csv.DictReader(file)
    return only


def test_one_game(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path / "model")
    write_evaluations(folder, {"Pong": EVALUATION}, run, step=7, several=False)
    assert sorted(path.name for path in run.iterdir()) == [
        "evaluation.csv",
        "evaluation.md",
        "figures.json",
        "tensorboard",
    ]
    assert figures_json.read(run) == figures_json.of_evaluation(EVALUATION)
    found = row(run / "evaluation.csv")
    assert (found["moving/ap"], found["sha256"]) == ("0.5", read_settings(folder).sha256)
    assert f"wrote {run / 'evaluation.csv'}" in capsys.readouterr().out


def test_several_games_of_which_one_has_a_test_split(tmp_path: Path, run: Path) -> None:
    write_evaluations(write_model(tmp_path / "both"), {"Pong": EVALUATION}, run, step=7, several=True)
    assert sorted(path.name for path in run.iterdir()) == ["evaluation", "figures.json", "games.csv", "games.md"]
    assert row(run / "evaluation" / "Pong" / "evaluation.csv")["moving/f1"] == "0.75"
    assert list(json.loads((run / "figures.json").read_text())) == ["mean over games", "Pong/test-pong-ppo"]
    assert (run / "games.md").read_text().startswith("# both: 1 games\n")


@pytest.mark.parametrize("several", [False, True])
def test_no_test_split(several: bool, tmp_path: Path, run: Path) -> None:
    write_evaluations(write_model(tmp_path / "model"), {}, run, step=7, several=several)
    assert [path.name for path in run.iterdir()] == ["figures.json"] and figures_json.read(run) == {}
