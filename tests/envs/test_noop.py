"""Random starts, against a made-up environment that ends after three steps."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.envs.noop import do_nothing


class Short:
    """Episodes of three steps; observations say episode and step."""

    def __init__(self, truncates: bool) -> None:
        self.episode, self.time, self.truncates = 0, 0, truncates
        self.actions: list[Any] = []

    def reset(self) -> tuple[Any, dict[str, Any]]:
        self.episode, self.time = self.episode + 1, 0
        return (self.episode, 0), {"lives": 5}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        self.time += 1
        over = self.time == 3
        return (self.episode, self.time), 1.0, over and not self.truncates, over and self.truncates, {"lives": 4}


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize(
    ("steps", "observation", "lives"), [(0, (1, 0), 5), (2, (1, 2), 4), (3, (2, 0), 5), (7, (3, 1), 4)]
)
def test_the_steps_go_on_in_the_next_episode(
    truncates: bool, steps: int, observation: tuple[int, int], lives: int
) -> None:
    game = Short(truncates)
    found = do_nothing(steps, game.reset(), game.step, game.reset, gym.spaces.Discrete(6))
    assert found == (observation, {"lives": lives}) and game.actions == [0] * steps


def test_a_joystick_is_not_moved() -> None:
    game = Short(False)
    do_nothing(1, game.reset(), game.step, game.reset, gym.spaces.Box(-1, 1, (3,), np.float32))
    assert game.actions[0].dtype == np.float32 and game.actions[0].tolist() == [0, 0, 0]
