"""The environment in other processes, in vectors, in copies and under other people's checks."""

from __future__ import annotations

import copy
import functools
import pickle
import warnings
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.helpers.fakes import COLOURS, ColourModel, make_pong, play, same

gym.register_envs(ale_py)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies(clone: Any, bundled: list[str]) -> None:
    env = gym.make("SpaceTime/Pong-v5", obs_format="flat")
    play(env, 5)
    for mine, theirs in zip(play(clone(env), 20), play(env, 20), strict=True):
        assert same(mine[0], theirs[0])
    assert bundled == ["pong", "pong"]  # loaded again by its name, not copied


def test_a_pickle_holds_no_model_that_has_a_name(bundled: list[str]) -> None:
    assert b"ColourModel" not in pickle.dumps(gym.make("SpaceTime/Pong-v5"))
    assert b"ColourModel" in pickle.dumps(make_pong())


@pytest.mark.parametrize(("mode", "obs_format"), [("sync", "objects"), ("async", "dict")])
def test_gymnasium_vector_envs(mode: str, obs_format: str) -> None:
    envs = gym.make_vec(
        "SpaceTime/Pong-v5", num_envs=2, vectorization_mode=mode, model=ColourModel(), obs_format=obs_format
    )
    try:
        observation, info = envs.reset(seed=[4, 5])
        single = make_pong(obs_format=obs_format)
        for row, seed in enumerate((4, 5)):
            alone, _ = single.reset(seed=seed)
            batch = {k: v[row] for k, v in observation.items()} if obs_format == "dict" else observation[row]
            assert same(batch, alone)
        observation, reward, *_, info = envs.step(np.array([0, 0]))
        assert reward.shape == (2,) and len(info["scene"]["Player"]) == 2
    finally:
        envs.close()


def test_stable_baselines3_check_env() -> None:
    from stable_baselines3.common.env_checker import check_env as check

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for options in ({}, {"obs_format": "flat"}, {"obs_format": "dict"}):
            check(make_pong(**options))
    said = {str(w.message) for w in caught if "stable_baselines3" in w.filename}
    assert all("unconventional shape" in message for message in said), said  # (slots, features) is no image


@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_stable_baselines3_subproc(start: str, workers: int) -> None:
    from stable_baselines3.common.vec_env import SubprocVecEnv

    envs = SubprocVecEnv([functools.partial(make_pong, obs_format="flat")] * workers, start_method=start)
    try:
        envs.seed(7)
        observation = envs.reset()
        single = make_pong(obs_format="flat")
        assert all(same(observation[i], single.reset(seed=7 + i)[0]) for i in range(workers))
        _, _, _, infos = envs.step([0] * workers)
        assert set(infos[0]["scene"]) == set(COLOURS)
        assert envs.get_attr("slot_names") == [("Player", "Enemy", "Ball")] * workers
    finally:
        envs.close()


def test_threads_of_torch_are_left_alone() -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            play(make_pong(), 1)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
