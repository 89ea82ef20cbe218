"""Acting and evaluation: what a recurrent policy remembers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv

from spacetime_env.agent import Acting, evaluate
from spacetime_env.agent.build import build
from spacetime_env.agent.hyperparameters import algorithm, parse
from tests.helpers.toy_env import Catch


class Counting:
    """A policy whose action is the number of steps since its episode began, modulo 3; SB3's protocol of states."""

    def __init__(self) -> None:
        self.actions: list[list[int]] = []

    def get_vec_normalize_env(self) -> None:
        return None

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        count = np.zeros(len(episode_start), int) if state is None else np.where(episode_start, 0, state)
        self.actions.append(count.tolist())
        many = len(np.shape(observation)) == 3
        return (count % 3 if many else count[0] % 3), count + 1


def test_evaluation_keeps_the_state_of_each_env_and_clears_it_where_an_episode_ends() -> None:
    agent: Any = Counting()
    envs = DummyVecEnv([lambda: Catch(length=2), lambda: Catch(length=3)])
    assert evaluate(agent, envs, episodes=3, noops=0).shape == (3,)
    assert agent.actions == [[0, 0], [1, 1], [0, 2], [1, 0]]


def test_a_single_env_is_evaluated_with_a_state() -> None:
    agent: Any = Counting()
    evaluate(agent, Catch(length=3), episodes=2, noops=0)
    assert agent.actions == [[0], [1], [2], [0], [1], [2]]


def test_an_env_that_is_followed_clears_the_state_at_each_reset() -> None:
    agent: Any = Counting()
    act = Acting(agent)
    env = act.following(Catch(length=9))
    for steps in (3, 2):
        observation, _ = env.reset(seed=1)
        for _ in range(steps):
            observation, *_ = env.step(act(observation))
    assert agent.actions == [[0], [1], [2], [0], [1]]


def test_a_recurrent_policy_acts_as_sb3_plays_it() -> None:
    pytest.importorskip("sb3_contrib")
    algo = algorithm("recurrentppo")
    settings = parse({"policy": "MlpLstmPolicy", "n_steps": 8, "batch_size": 8}, algo)
    env: gym.Env = Catch(length=6)
    agent = build("recurrentppo", settings, env, seed=3)
    asked: list[tuple[bool, Any]] = []
    predict = agent.predict

    def note(observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False) -> Any:
        asked.append((state is None, episode_start.tolist()))
        return predict(observation, state, episode_start, deterministic)

    agent.predict = note  # type: ignore[method-assign]
    evaluate(agent, env, episodes=2, noops=0)
    assert asked == [(True, [True])] + [(False, [False])] * 5 + [(False, [True])] + [(False, [False])] * 5
