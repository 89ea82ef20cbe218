"""An agent takes the model whose hash it names, wherever it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium as gym
import pytest
import torch
import yaml

from spacetime_env import shipped
from spacetime_env.agent import AgentError, load_agent
from spacetime_env.agent.find_model import model_files, with_model
from spacetime_env.models.folder import load_model, save_model

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


def test_an_agent_keeps_its_model(models: Path, tmp_path: Path) -> None:
    """A new model in the default's place does not orphan an agent; an own copy of another hash is not taken."""
    agent = tmp_path / "agents" / "mine"
    for name, content in model_files(ENV, {}, hash_of(models)).items():
        (agent / name).parent.mkdir(parents=True, exist_ok=True)
        (agent / name).write_bytes(content)
    assert load_model(agent / "model").settings.sha256 == hash_of(models)
    assert with_model(ENV, {}, hash_of(models), agent) == {}
    newer = tmp_path / "models" / "pong"
    shutil.copytree(models, newer)
    settings = yaml.safe_load((newer / "model.yaml").read_text())
    (newer / "model.yaml").write_text(yaml.safe_dump({**settings, "sha256": "b" * 64}))
    assert with_model(ENV, {}, hash_of(models), agent) == {"model": str(agent / "model")}
    with pytest.raises(AgentError, match="another model than the default one"):
        with_model(ENV, {}, "c" * 64, agent)
    assert model_files(ENV, {}, "c" * 64) == model_files(ENV, {}, None) == {}


def test_a_new_model_of_pong_does_not_orphan_the_shipped_agent(models: Path, tmp_path: Path) -> None:
    """With another model in Pong's place the agent sees what it was trained on, and does what it did."""
    def play() -> tuple[str, list[int]]:
        agent, env = load_agent("pong-ppo")
        observation, _ = env.reset(seed=4)
        actions = []
        for _ in range(60):
            action, _ = agent.predict(observation, deterministic=True)
            actions.append(int(action))
            observation, *_ = env.step(actions[-1])
        sha256 = env.get_wrapper_attr("model").settings.sha256
        env.close()
        return sha256, actions

    asked, before = play()
    newer = load_model(models)
    with torch.no_grad():
        next(newer.space.parameters()).add_(0.5)
    settings = newer.settings
    save_model(
        tmp_path / "models" / "pong",
        newer.space,
        newer.classifier,
        game="Pong",
        native=settings.native,
        scene_config=settings.scene,
    )
    env = gym.make("SpaceTime/Pong-v5")
    assert env.get_wrapper_attr("model").settings.sha256 != asked
    env.close()
    assert play() == (asked, before)
    env = gym.make("SpaceTime/Pong-v5", model=str(models.parent.parent / "agents" / "pong-ppo" / "model"))
    assert env.get_wrapper_attr("model").settings.sha256 == asked
    env.close()


def test_a_model_that_is_nowhere_is_named_with_the_folders_that_were_searched(models: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(AgentError, match=rf"sha256 of its weights is c{{64}}.*{tmp_path / 'models'}"):
        with_model(ENV, {}, "c" * 64)
