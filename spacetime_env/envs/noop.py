"""Random starts: an episode begins with some steps of doing nothing, so that no two episodes are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box


def noop(action_space: gym.Space[Any]) -> Any:
    """The action that does nothing in an ALE environment.

    Its discrete actions begin with NOOP in every game; of the continuous ones (radius, angle, fire) zeros do nothing.
    """
    return np.zeros(action_space.shape, np.float32) if isinstance(action_space, Box) else 0


def do_nothing(
    steps: int,
    first: tuple[Any, dict[str, Any]],
    step: Callable[[Any], tuple[Any, Any, bool, bool, dict[str, Any]]],
    reset: Callable[[], tuple[Any, dict[str, Any]]],
    action_space: gym.Space[Any],
) -> tuple[Any, dict[str, Any]]:
    """Take steps of doing nothing. Where the episode ends meanwhile, the next one begins and the steps go on.

    Args:
        steps: how many, 0 or more.
        first: observation and info of the reset before.
        step, reset: of the environment; ``reset`` without a seed.
        action_space: of an ALE environment.

    Returns:
        Observation and info of the last step, or of the last reset.
    """
    observation, info = first
    action = noop(action_space)
    for _ in range(steps):
        observation, _, terminated, truncated, info = step(action)
        if terminated or truncated:
            observation, info = reset()
    return observation, info
