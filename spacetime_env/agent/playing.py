"""Agents at play: what they choose, with the memory that recurrent policies have, and the returns they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from spacetime_env.agent.envs import NOOPS, RandomStart


class Acting:
    """An agent that chooses actions step by step, in one env or in several at once.

    A recurrent policy has a state, which goes from each step to the next and is cleared where an episode begins. SB3's
    ``agent.predict`` leaves both to its caller; without them such a policy has no memory at all. Policies without a
    state choose as ``agent.predict`` does.

    Args:
        agent: an SB3 agent.
        deterministic: the most probable action; otherwise the policy samples.
        envs: how many envs are played at once.

    Example:
        >>> from spacetime_env.agent import Acting, load_agent  # doctest: +SKIP
        >>> agent, env = load_agent("pong-ppo")  # doctest: +SKIP
        >>> act = Acting(agent)  # doctest: +SKIP
        >>> observation, _ = env.reset()  # doctest: +SKIP
        >>> act.begin()  # doctest: +SKIP
        >>> observation, reward, *_ = env.step(act(observation))  # doctest: +SKIP
    """

    def __init__(self, agent: BaseAlgorithm, deterministic: bool = True, envs: int = 1) -> None:
        self.agent, self.deterministic = agent, deterministic
        self._state: Any = None
        self._starts = np.ones(envs, bool)  # the next observation is an episode's first

    def begin(self) -> None:
        """An episode begins in every env: the next observations are those of a reset."""
        self._state = None
        self._starts[:] = True

    def ended(self, dones: np.ndarray) -> None:
        """Say where an episode has ended, (envs,) bool; the next observation there is one of a reset."""
        self._starts = np.array(dones, bool)

    def __call__(self, observation: Any) -> Any:
        """The action for the observation of one env, or the actions for those of several, (envs, ...)."""
        action, self._state = self.agent.predict(
            observation, state=self._state, episode_start=self._starts, deterministic=self.deterministic
        )
        self._starts = np.zeros_like(self._starts)
        return action

    def following(self, env: gym.Env) -> gym.Env:
        """The env, which tells of its resets: then nobody else calls :meth:`begin`."""
        return _TellsOfResets(env, self)


class _TellsOfResets(gym.Wrapper):
    def __init__(self, env: gym.Env, acting: Acting) -> None:
        super().__init__(env)
        self._acting = acting

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the env, and the memory of who acts in it."""
        self._acting.begin()
        return self.env.reset(seed=seed, options=options)


def evaluate(
    agent: BaseAlgorithm,
    env: gym.Env | VecEnv,
    episodes: int = 30,
    seed: int = 0,
    deterministic: bool = True,
    noops: int = NOOPS,
) -> np.ndarray:
    """Play ``episodes`` with random starts: (episodes,) float64 returns.

    Args:
        agent: an SB3 agent.
        env: one env, or several of :func:`spacetime_env.agent.envs.make_envs`, which play at once and have their
            own random starts. Each plays its share of whole episodes, so that short ones are not counted more often.
        episodes: how many in all.
        seed: fixes starts, sticky actions and, where the policy samples, its draws.
        deterministic: the most probable action; otherwise the policy samples.
        noops: a single env's episodes begin with 0 to this many steps of doing nothing.
    """
    if not isinstance(env, VecEnv):
        alone = DummyVecEnv([lambda: RandomStart(env, noops)])
        alone.seed(seed)
        return _play(agent, alone, episodes, seed, deterministic, lambda observation: observation)
    normalization = agent.get_vec_normalize_env()
    normalized = normalization is not None and normalization.norm_obs
    env.seed(seed)
    see = normalization.normalize_obs if normalized and normalization is not None else lambda observation: observation
    return _play(agent, env, episodes, seed, deterministic, see)


def _play(
    agent: BaseAlgorithm, envs: VecEnv, episodes: int, seed: int, deterministic: bool, see: Callable[[Any], Any]
) -> np.ndarray:
    """Returns of ``episodes``, env by env."""
    shares = [len(part) for part in np.array_split(np.arange(episodes), envs.num_envs)]
    returns: list[list[float]] = [[] for _ in shares]
    running = np.zeros(envs.num_envs)
    act = Acting(agent, deterministic, envs.num_envs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        observations = envs.reset()
        while any(len(done) < share for done, share in zip(returns, shares, strict=True)):
            observations, rewards, dones, _ = envs.step(act(see(observations)))
            act.ended(dones)
            running += rewards
            for i in np.flatnonzero(dones).tolist():
                returns[i].append(float(running[i]))
                running[i] = 0.0
    return np.array([one for done, share in zip(returns, shares, strict=True) for one in done[:share]])
