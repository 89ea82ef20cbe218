"""What plays while data are recorded."""

from __future__ import annotations

from typing import Any, Protocol, cast

import ale_py
import gymnasium as gym
import numpy as np


class Policy(Protocol):
    """What plays while data are recorded. It goes to other processes, so it can be pickled.

    It may have a ``fingerprint``, text that changes when the policy does: a split is not continued with
    another one.
    """

    @property
    def name(self) -> str:
        """Stands in the name of the split's folder."""

    def make_env(self, game: str) -> gym.Env:
        """An environment of the game (CamelCase) with ALE underneath: ``env.unwrapped.ale``."""

    def reset(self, seed: int) -> None:
        """Start a shard: from here on the same seed and observations give the same actions."""

    def act(self, env: gym.Env, observation: Any) -> int:
        """The action to take."""


class RandomPolicy:
    """Every action of the game's minimal set, equally likely."""

    name = "random"

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def make_env(self, game: str) -> gym.Env:
        """``ALE/<game>-v5`` with its defaults; it observes RAM, since no one looks."""
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
        return gym.make(f"ALE/{game}-v5", obs_type="ram", disable_env_checker=True)

    def reset(self, seed: int) -> None:
        """Seed the choice of actions."""
        self._rng = np.random.default_rng(seed)

    def act(self, env: gym.Env, observation: Any) -> int:
        """A random action."""
        return int(self._rng.integers(cast(gym.spaces.Discrete, env.action_space).n))
