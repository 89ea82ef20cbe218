"""Envs that see together play the same games as envs that see one by one."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv

from spacetime_env.agent.batched import BatchedVecEnv, same_weights
from spacetime_env.agent.envs import EnvMaker, make_envs
from tests.fakes import ColourModel
from tests.toy_env import __name__ as toy  # registers an env without a model


class CountingModel(ColourModel):
    """Notes how many frames each call looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def detect(self, frames):
        found = super().detect(frames)
        self.calls.append(len(found))
        return found


def play(kind, steps: int = 60):
    """Short games with random starts: observations, rewards and ends, and how many frames each call held."""
    model = CountingModel()
    maker = EnvMaker("SpaceTime/Pong-v5", {"model": model, "max_episode_steps": 23}, noops=4)
    envs = kind([maker, maker, maker])
    envs.seed(5)
    seen = [envs.reset()]
    seeded = len(model.calls)
    ends, infos = [], []
    for t in range(steps):
        observations, _, dones, info = envs.step(np.array([t % 6, 2, 3]))
        seen.append(observations)
        ends.append(dones)
        infos.append(info)
    envs.close()
    return np.array(seen), np.array(ends), infos, model.calls[seeded:]


def test_the_same_games_in_fewer_calls():
    alone, ends, infos, single = play(DummyVecEnv)
    together, ends_too, infos_too, batched = play(BatchedVecEnv)
    assert np.array_equal(alone, together)
    assert np.array_equal(ends, ends_too) and ends.sum() >= 6  # games ended, at different times
    assert set(single) == {1} and max(batched) == 3
    assert len(batched) < len(single) / 2 and sum(batched) == sum(single)
    for one, other in zip(infos, infos_too, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a["scene"] == b["scene"] and a["TimeLimit.truncated"] == b["TimeLimit.truncated"]
            assert ("terminal_observation" in a) == ("terminal_observation" in b)
            if "terminal_observation" in a:
                assert np.array_equal(a["terminal_observation"], b["terminal_observation"])


def test_workers_play_the_same_games_too():
    maker = EnvMaker("SpaceTime/Pong-v5", {"model": ColourModel(), "max_episode_steps": 11}, noops=2)
    rollouts = []
    for kind in ("dummy", "subproc"):
        envs = make_envs(maker, 4, 3, kind, workers=2)
        rollouts.append([envs.reset(), *(envs.step(np.array([2, 3, 2, 0]))[0] for _ in range(15))])
        envs.close()
    assert np.array_equal(*map(np.array, rollouts))


def test_envs_without_a_model_are_stepped_as_usual():
    assert toy
    envs = BatchedVecEnv([EnvMaker("CartPole-v1", {}, noops=0)] * 2)
    assert envs.reset().shape == (2, 4)
    assert envs.step(np.array([0, 1]))[0].shape == (2, 4)
    envs.close()


def test_only_equal_weights_are_shared():
    one, other = ColourModel(), ColourModel()
    assert same_weights(one, one) and not same_weights(one, other)
