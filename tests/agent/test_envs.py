"""``SpaceTime/Any-v0`` as what an agent is trained on: trust, random starts, and from a training to a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env.agent import load_agent
from spacetime_env.agent.envs import ANY, NOOPS, EnvMaker, RandomStart, make, make_envs, noops_of
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.train import Options, train
from spacetime_env.config import ConfigError, SceneConfig
from spacetime_env.data.env_players import TrainedAgent
from spacetime_env.data.env_recording import EnvRecording, record_env
from spacetime_env.models.folder import save_model
from tests.helpers import tiny
from tests.helpers.squares_env import NATIVE, SquareModel
from tests.helpers.toy_env import Catch

NAMED = "tests.helpers.squares_env:toy/Squares-v0"
SMALL = {"n_envs": 2, "n_steps": 8, "batch_size": 8, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}


def test_a_module_in_its_options_is_imported_for_who_is_trusted() -> None:
    options = {"env_id": NAMED, "model": SquareModel()}
    with pytest.raises(AgentError, match=f"'{NAMED}' names a module, which would be imported"):
        make(ANY, options)
    assert type(make(ANY, options, trust=True).unwrapped).__name__ == "Squares"
    with pytest.raises(AgentError, match="expected the id of an env, such as SpaceTime/Pong-v5, got None"):
        make(ANY, {"model": SquareModel()})
    with pytest.raises(AgentError, match="no env 'toy/Square-v0'"):
        make(ANY, {"env_id": "toy/Square-v0", "model": SquareModel()})


def test_nothing_waits_where_no_action_does_nothing() -> None:
    maker = EnvMaker(ANY, {"env_id": "toy/Squares-v0", "model": SquareModel()})
    env = maker()
    for seed in range(4):
        env.reset(seed=seed)
        assert env.unwrapped.time == 0
    assert RandomStart(Catch()).noops == NOOPS == noops_of("SpaceTime/Pong-v5") and noops_of(ANY) == 0
    envs = make_envs(maker, 2, seed=1)
    assert envs.reset().shape == (2, 2, 7)
    envs.close()


def model_folder(folder: Path) -> Path:
    """A model of random weights, of the env's half size."""
    assert tiny.MODEL.frame_size == NATIVE
    scene = SceneConfig(classes=("a", "b"), slots={"a": 2})
    space, classifier = tiny.make_space(), tiny.make_classifier(("a", "b"))
    return save_model(folder, space, classifier, game="squares", native=NATIVE, scene_config=scene)


def test_an_agent_is_trained_loaded_and_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kwargs: dict[str, Any] = {"env_id": NAMED, "length": 5, "actions": "several"}
    kwargs["model"] = str(model_folder(tmp_path / "models" / "squares"))
    asked: dict[str, Any] = {"env": ANY, "env_kwargs": kwargs, "hyperparams": SMALL, "name": "walker", "trust": True}
    folder = train(Options(**asked, n_timesteps=16, eval_freq=16, eval_episodes=1, seed=3, final_episodes=2, verbose=0))
    assert folder == Path("agents/walker")
    about = yaml.safe_load((folder / "agent.yaml").read_text())
    assert about["evaluation"]["noops"] == 0 and about["env_kwargs"]["env_id"] == NAMED

    with pytest.raises(AgentError, match="names a module"):
        load_agent(folder)
    (tmp_path / "models" / "squares").rename(tmp_path / "models" / "other")  # it is found by its hash
    agent, env = load_agent(folder, trust=True)
    assert agent.predict(env.reset(seed=0)[0])[0].shape == (2,) and env.unwrapped.length == 5
    (tmp_path / "models" / "other").rename(tmp_path / "models" / "squares")

    player = TrainedAgent("agents/walker")
    counts = record_env("data", EnvRecording(NAMED, {"length": 5}, 1, 2, warmup=3), player, progress=False)
    assert counts["train"] == 1 and "agent: walker" in Path("data/recording.yaml").read_text()
    with pytest.raises(AgentError, match=f"the agent walker plays {NAMED}, and CartPole-v1 is to be recorded"):
        record_env("other", EnvRecording("CartPole-v1"), player)
    with pytest.raises(ConfigError, match="the agent walker was trained with length=5, not 6"):
        record_env("other", EnvRecording(NAMED, {"length": 6}), player)
