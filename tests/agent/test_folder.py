"""An agent that chooses actions step by step, loaded from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml

from spacetime_env.agent import AgentError, folder, load_actor
from tests.agent.test_agent import ship
from tests.helpers.toy_env import Catch


class Asked:
    """An agent that notes how it is asked, and answers with action 2."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, bool]] = []

    def predict(self, observation: Any, state: Any, episode_start: Any, deterministic: bool) -> tuple[int, None]:
        self.asked.append((observation, deterministic))
        return 2, None


@pytest.mark.parametrize("deterministic", [True, False])
def test_actions_are_drawn_as_the_agent_says(
    tmp_path: Path, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ship(tmp_path / "catch-ppo")
    about = yaml.safe_load((path / "agent.yaml").read_text()) | {"deterministic": deterministic}
    (path / "agent.yaml").write_text(yaml.safe_dump(about))
    agent, options = Asked(), list[Any]()

    def load(path: Path, **given: Any) -> tuple[Asked, gym.Env]:
        options.append((path, given))
        return agent, Catch()

    monkeypatch.setattr(folder, "load_agent", load)
    act, env = load_actor(str(path), length=3)
    assert isinstance(env.unwrapped, Catch) and act("seen") == 2 and agent.asked == [("seen", deterministic)]
    load_actor(path, model="other", length=4)
    assert options == [(str(path), {"length": 3}), (path, {"model": "other", "any_model": True, "length": 4})]


def test_an_agent_of_ones_own_plays(tmp_path: Path) -> None:
    act, env = load_actor(ship(tmp_path / "catch-ppo"))
    observation, _ = env.reset(seed=0)
    assert env.action_space.contains(np.int64(act(observation)))
    with pytest.raises(AgentError, match="no agent 'nobody'"):
        load_actor("nobody")
