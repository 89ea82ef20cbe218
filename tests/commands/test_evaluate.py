"""The command evaluate.py: what it writes, and its errors."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from spacetime_env.commands import evaluate
from spacetime_env.commands.evaluate import main
from tests.helpers.seer import seer
from tests.helpers.tiny import write_data, write_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, test=True)
    return folder


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_script_only_calls_the_package() -> None:
    assert len((ROOT / "evaluate.py").read_text().splitlines()) < 15
    done = subprocess.run([sys.executable, ROOT / "evaluate.py", "--help"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and "--save-crops" in done.stdout


def test_command(
    root: Path, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--model", str(model_folder), "--data-root", str(root), "--save-crops", "--max-crops", "5"]
    assert main(words) == 0
    about = yaml.safe_load((model_folder / "model.yaml").read_text())
    about["trained"] = {"steps": "9" * 5000}  # a text of digits that Python makes no number of
    (model_folder / "model.yaml").write_text(yaml.safe_dump(about))
    assert main([*words, "--no-plots"]) == 0
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
    monkeypatch.setattr(evaluate, "load_model", lambda *_: seer())
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


def test_a_device(root: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--model", str(model_folder), "--data-root", str(root), "--no-plots", "--out", str(model_folder / "out")]
    assert main([*given, "--device", "gpu"]) == 2
    assert capsys.readouterr().err.startswith("evaluate.py: 'gpu' cannot be used (")
    assert not (model_folder / "out").exists()


def test_ctrl_c(root: Path, model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "predict", pressed)
    assert main(["--model", str(model_folder), "--data-root", str(root)]) == 130
    assert "stopped" in capsys.readouterr().err
