"""SB3 sees in a bridged vector environment what it sees in its own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from spacetime_env.agent import VectorEnvBridge
from spacetime_env.agent.envs import EnvMaker, make_envs
from tests.helpers.fakes import ColourModel

OPTIONS: dict[str, Any] = {"model": ColourModel(), "max_num_frames_per_episode": 160}


def bridged(count: int = 3, **kwargs: Any) -> VectorEnvBridge:
    return VectorEnvBridge(gym.make_vec("SpaceTime/Pong-v5", count, autoreset_mode="SameStep", **{**OPTIONS, **kwargs}))


@pytest.mark.parametrize("limit", [None, 17])
def test_what_sb3_s_own_vec_env_gives(limit: int | None) -> None:
    """Observations, rewards, ends, terminal observations and time limits of 3 x 120 steps.

    ALE's own limit of frames is a truncation, and so is ``max_episode_steps``.
    """
    kwargs = {"max_episode_steps": limit} if limit else {}
    ours: VecEnv = bridged(**kwargs)
    theirs = DummyVecEnv([lambda: gym.make("SpaceTime/Pong-v5", **OPTIONS, **kwargs)] * 3)
    try:
        for envs in (ours, theirs):
            envs.seed(5)
        np.testing.assert_array_equal(ours.reset(), theirs.reset())
        assert [info["lives"] for info in ours.reset_infos] == [0, 0, 0]
        rng, ends = np.random.default_rng(1), 0
        for _ in range(120):
            actions = rng.integers(6, size=3)
            mine, others = ours.step(actions), theirs.step(actions)
            for a, b in zip(mine[:3], others[:3], strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)
            for a, b in zip(mine[3], others[3], strict=True):
                assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"] and a["scene"] == b["scene"]
                assert a["episode_frame_number"] == b["episode_frame_number"]
                assert ("terminal_observation" in a) == ("terminal_observation" in b)
                if "terminal_observation" in a:
                    ends += 1
                    assert a["TimeLimit.truncated"]
                    np.testing.assert_array_equal(a["terminal_observation"], b["terminal_observation"])
        assert ends >= 6
    finally:
        ours.close()
        theirs.close()


def test_other_reset_modes_are_refused() -> None:
    envs = gym.make_vec("SpaceTime/Pong-v5", 1, **OPTIONS)
    with pytest.raises(ValueError, match="autoreset_mode='SameStep'"):
        VectorEnvBridge(envs)
    envs.close()


def test_gymnasium_s_vector_envs_are_bridged_too() -> None:
    mode = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    venv = VectorEnvBridge(gym.make_vec("CartPole-v1", 2, vectorization_mode="sync", vector_kwargs=mode))
    PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, seed=0).learn(64)
    assert venv.get_attr("render_mode") == [None, None]
    venv.close()


def test_attributes_methods_and_pictures() -> None:
    venv = bridged(2, render_mode="rgb_array")
    venv.reset()
    assert venv.get_attr("feature_names", 1)[0][0] == "presence"
    venv.set_attr("noop_max", 3)
    assert venv.get_attr("noop_max") == [3, 3]
    assert [picture.shape for picture in venv.get_images()] == [(210, 160, 3)] * 2
    assert venv.env_is_wrapped(gym.Wrapper) == [False, False]
    assert len(venv.env_method("get_wrapper_attr", "noop_max")) == 2
    with pytest.raises(NotImplementedError, match="leave indices out"):
        venv.set_attr("noop_max", 1, indices=[0])
    venv.set_options([{"a": 1}, {}])
    with pytest.raises(ValueError, match="same options"):
        venv.reset()
    venv.close()


@pytest.mark.parametrize(
    ("kind", "start"), [("vector", None), ("subproc", "fork"), ("subproc", "forkserver"), ("subproc", "spawn")]
)
def test_kinds_of_envs_to_train_on(kind: str, start: str | None) -> None:
    maker = EnvMaker("spacetime_env:SpaceTime/Pong-v5", {"model": ColourModel(), "max_episode_steps": 9}, noops=0)
    threads = torch.get_num_threads() + 1
    torch.set_num_threads(threads)
    envs, alone = make_envs(maker, 2, 4, kind, start), make_envs(maker, 2, 4, "dummy")
    try:
        assert torch.get_num_threads() == threads  # one thread a worker, and this process keeps its own
        assert isinstance(envs, VecMonitor) == (kind == "vector")
        np.testing.assert_array_equal(envs.reset(), alone.reset())
        for _ in range(9):
            mine, theirs = envs.step(np.array([2, 3])), alone.step(np.array([2, 3]))
            np.testing.assert_array_equal(mine[0], theirs[0])
        for a, b in zip(mine[3], theirs[3], strict=True):
            assert a["episode"]["r"] == b["episode"]["r"] and a["episode"]["l"] == b["episode"]["l"] == 9
    finally:
        envs.close()
        alone.close()
