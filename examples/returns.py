"""What the examples share: an agent plays some episodes, and the mean of its returns is printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np


def play(env: gym.Env, act: Callable[[np.ndarray], Any], episodes: int, seed: int) -> np.ndarray:
    """The returns of some episodes: (episodes,).

    Args:
        act: an observation -> the action.
        seed: of the first episode; the others go on from it.
    """
    returns = np.zeros(episodes)
    for i in range(episodes):
        observation, _ = env.reset(seed=seed if i == 0 else None)
        done = False
        while not done:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            returns[i] += float(reward)
            done = terminated or truncated
    return returns


def shown(name: str, returns: np.ndarray) -> str:
    """Such as ``random play: mean return -20.3, standard error 0.2, over 10 episodes``."""
    error = returns.std(ddof=1) / len(returns) ** 0.5 if len(returns) > 1 else float("nan")
    return f"{name}: mean return {returns.mean():.2f}, standard error {error:.2f}, over {len(returns)} episodes"


def compare(env: gym.Env, act: Callable[[np.ndarray], Any], episodes: int, seed: int) -> None:
    """Play with ``act``, then at random, and print both."""
    print(shown("trained agent", play(env, act, episodes, seed)), flush=True)
    env.action_space.seed(seed)
    print(shown("random play", play(env, lambda _: env.action_space.sample(), episodes, seed)), flush=True)
