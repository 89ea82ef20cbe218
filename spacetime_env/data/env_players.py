"""Who plays an environment that is no Atari game while its frames are recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from spacetime_env.config import ConfigError
from spacetime_env.data.players import HOLD, PLUS
from spacetime_env.envs.any_env import make_rendered


class EnvPlayer(Protocol):
    """Who plays. It may have a ``fingerprint``: text that changes when the player does."""

    name: str

    def make_env(self, env_id: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
        """The environment, with ``render_mode="rgb_array"``."""

    def reset(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Start anew. The same seed and the same observations give the same actions."""

    def act(self, env: gym.Env[Any, Any], observation: Any) -> Any:
        """The action to take."""


class RandomActions:
    """Actions drawn from the environment's action space, of any kind; each is held for some steps.

    Args:
        hold: the mean number of steps, 1 or more, of a geometric distribution.
    """

    def __init__(self, hold: float = 1.0) -> None:
        self.hold = hold
        self.name = "random" if hold == 1 else "sticky-random" + ("" if hold == HOLD else f"-{hold:g}")
        self._rng, self._action, self._left = np.random.default_rng(0), None, 0

    def make_env(self, env_id: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
        """See :func:`~spacetime_env.envs.any_env.make_rendered`."""
        return make_rendered(env_id, kwargs)

    def reset(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Seed the actions, and the numbers of steps for which they are held."""
        env.action_space.seed(seed)
        self._rng, self._left = np.random.default_rng(seed), 0

    def act(self, env: gym.Env[Any, Any], observation: Any) -> Any:
        """The action that is held, or a new one."""
        if not self._left:
            self._action = env.action_space.sample()
            self._left = int(self._rng.geometric(1 / self.hold))
        self._left -= 1
        return self._action


class TrainedAgent:
    """An agent of ``train_agent.py --env SpaceTime/Any-v0``, which plays the environment that it was trained on.

    Args:
        name: of a shipped agent, or a folder.

    Raises:
        AgentError: there is no such agent, or its folder is damaged.
    """

    def __init__(self, name: str) -> None:
        from spacetime_env.agent import as_policy

        self._policy = as_policy(name, trust=True)  # who names it on a command line means to run its environment
        self.name, self.fingerprint = self._policy.name, self._policy.fingerprint

    def make_env(self, env_id: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
        """The environment that it was trained on.

        Raises:
            AgentError: it plays another one.
            ConfigError: it plays with other options.
        """
        own = self._policy.about["env_kwargs"]
        for name, value in kwargs.items():
            if own.get(name, value) != value:
                raise ConfigError(f"the agent {self.name} was trained with {name}={own[name]!r}, not {value!r}.")
        return self._policy.make_env(env_id)

    def reset(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Seed the draws of a policy that samples."""
        self._policy.reset(seed)

    def act(self, env: gym.Env[Any, Any], observation: Any) -> Any:
        """What the agent chooses."""
        return self._policy.act(env, observation)


def env_player(agent: str) -> EnvPlayer:
    """The player that ``--agent`` names: ``random``, ``sticky-random``, ``sticky-random-3``, or a trained agent.

    Raises:
        ConfigError: several players are named.
        AgentError: there is no such agent.
    """
    held = re.fullmatch(r"sticky-random(?:-(\d{1,9}))?", agent)
    if agent == "random" or held:
        hold = 1.0 if held is None else float(held[1] or HOLD)
        if hold < 1:
            raise ConfigError(f"--agent: expected actions that are held for 1 step or more, got {agent}.")
        return RandomActions(hold)
    if PLUS in agent:
        raise ConfigError(f"--agent: with --env-id one player records, and {agent!r:.100} names several.")
    return TrainedAgent(agent)
