"""An agent takes the model whose hash it names, wherever it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from spacetime_env import shipped
from spacetime_env.agent import AgentError
from spacetime_env.agent.find_model import with_model

ENV = "SpaceTime/Pong-v5"


def hash_of(folder: Path) -> str:
    return str(yaml.safe_load((folder / "model.yaml").read_text())["sha256"])


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory, and the folder of the shipped model of Pong."""
    monkeypatch.chdir(tmp_path)
    return Path(shipped.find("models", "pong"))


def test_the_default_model_comes_first(models: Path) -> None:
    assert with_model(ENV, {}, hash_of(models)) == {}
    assert with_model(ENV, {"history": 2}, None) == {"history": 2}
    assert with_model("CartPole-v1", {}, "a" * 64) == {}


def test_a_model_is_found_by_its_hash(models: Path, tmp_path: Path) -> None:
    mine = tmp_path / "models" / "mine"
    shutil.copytree(models, mine)
    settings = yaml.safe_load((mine / "model.yaml").read_text())
    (mine / "model.yaml").write_text(yaml.safe_dump({**settings, "sha256": "b" * 64}))
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "model.yaml").write_text("a: [")
    assert with_model(ENV, {"model": "pong"}, "b" * 64) == {"model": str(mine)}
    # The other way round: a model in the default's place, and the one that is meant elsewhere.
    assert with_model(ENV, {"model": str(mine)}, hash_of(models)) == {"model": str(models)}


def test_of_two_with_the_hash_a_model_of_ones_own_comes_first(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models, tmp_path / "models" / "mine")
    other = models.parent / "boxing"
    assert with_model(ENV, {"model": str(other)}, hash_of(models)) == {"model": str(tmp_path / "models" / "mine")}


def test_a_model_that_is_nowhere_is_named_with_the_folders_that_were_searched(models: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(AgentError, match=rf"sha256 of its weights is c{{64}}.*{tmp_path / 'models'}"):
        with_model(ENV, {}, "c" * 64)
