"""Who plays while an env that is no Atari game is recorded."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env.agent.errors import AgentError
from spacetime_env.config import ConfigError
from spacetime_env.data.env_players import RandomActions, env_player
from tests.helpers.squares_env import ACTIONS


@pytest.mark.parametrize("actions", ACTIONS)
def test_random_actions_of_any_kind(actions: str) -> None:
    player = RandomActions()
    env = player.make_env("toy/Squares-v0", {"actions": actions})
    assert env.render_mode == "rgb_array" and env.unwrapped.action_space == ACTIONS[actions]
    drawn = []
    for seed in (3, 3, 4):
        player.reset(env, seed)
        drawn.append([str(player.act(env, None)) for _ in range(9)])
    assert drawn[0] == drawn[1] != drawn[2] and len(set(drawn[0])) > 1


def test_held_actions() -> None:
    """A run of equal actions is as long as it is held, on average; single draws are of the whole space."""
    env = gym.make("toy/Squares-v0", render_mode="rgb_array", actions="continuous")
    player = env_player("sticky-random-4")
    player.reset(env, 0)
    drawn = np.array([player.act(env, None) for _ in range(2000)])
    changes = (np.diff(drawn, axis=0) != 0).any(axis=1).sum()
    assert 2000 / 4 * 0.85 < changes < 2000 / 4 * 1.15


def test_names() -> None:
    for name in ("random", "sticky-random", "sticky-random-3"):
        assert env_player(name).name == name
    with pytest.raises(ConfigError, match="held for 1 step or more, got sticky-random-0"):
        env_player("sticky-random-0")
    with pytest.raises(ConfigError, match=r"'random\+sticky-random' names several"):
        env_player("random+sticky-random")
    with pytest.raises(AgentError, match="no_such_agent"):
        env_player("no_such_agent")
