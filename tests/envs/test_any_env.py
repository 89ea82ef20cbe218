"""``SpaceTime/Any-v0``: made by Gymnasium, alone and in vectors, and what is said of envs that cannot be made."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env.envs.any_env import UnknownEnvError, make_any_env, make_rendered
from tests.helpers.squares_env import SquareModel

ID = "toy/Squares-v0"


def squares(**options: Any) -> gym.Env:
    return gym.make("SpaceTime/Any-v0", env_id=ID, model=SquareModel(), **options)


def test_options_go_to_the_env_and_to_the_wrapper() -> None:
    env = squares(actions="several", length=4, obs_format="flat", history=2)
    assert env.observation_space.shape == (28,) and env.action_space == gym.spaces.MultiDiscrete([3, 2])
    env.reset(seed=0)
    assert [env.step(np.array([1, 0]))[2] for _ in range(4)] == [False, False, False, True]
    again = gym.make(env.spec, obs_format="objects")
    assert again.observation_space.shape == (2, 14) and again.unwrapped.length == 4


def test_gymnasiums_check() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")  # of any wrapper
        check_env(squares(), skip_render_check=True)
    assert squares(render_mode="rgb_array").render_mode == "rgb_array"


def test_vectors_of_gymnasium_and_stable_baselines3() -> None:
    alone, expected = squares(), []
    for i in range(2):
        first, _ = alone.reset(seed=5 + i)
        expected.append((first, alone.step(1)[0]))
    envs = gym.make_vec("SpaceTime/Any-v0", 2, env_id=ID, model=SquareModel())
    firsts, infos = envs.reset(seed=5)
    seconds, *_ = envs.step(np.ones(2, int))
    sb3 = DummyVecEnv([squares, squares])
    sb3.seed(5)
    for i, (first, second) in enumerate(expected):
        assert (firsts[i] == first).all() and (seconds[i] == second).all()
    assert (sb3.reset() == firsts).all() and (sb3.step(np.ones(2, int))[0] == seconds).all()
    assert set(infos["scene"]) >= {"Hero", "Ball"}


def test_what_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="expected a model, a name or folder"):
        make_any_env(ID)
    with pytest.raises(ValueError, match="expected render_mode 'rgb_array' or None, got 'ansi'"):
        make_any_env(ID, SquareModel(), render_mode="ansi")  # type: ignore[arg-type]
    for env_id, options, message in (
        ("", {}, "expected the id of an env, such as CartPole-v1 or module:Env-v0, got ''"),
        (7, {}, "got 7"),
        ("no_such_module:A-v0", {}, "needs a module that cannot be imported: .*no_such_module"),
        ("toy/Square-v0", {}, r"there is no env 'toy/Square-v0'.*Near it: toy/Squares-v0"),
        ("Zyzzyva-v0", {}, r"Of another package, name its module too: module:Env-v0\."),
        (ID, {"lenght": 4}, "'toy/Squares-v0' cannot be made with {'lenght': 4}: .*lenght"),
    ):
        with pytest.raises(UnknownEnvError, match=message):
            make_rendered(env_id, options)  # type: ignore[arg-type]


def test_an_env_that_ignores_the_render_mode() -> None:
    class Blind(gym.Env):
        observation_space, action_space, render_mode = gym.spaces.Discrete(2), gym.spaces.Discrete(2), None

        def __init__(self, **_: Any) -> None: ...

    gym.register("toy/Blind-v0", entry_point=Blind)
    try:
        with pytest.raises(UnknownEnvError, match="'toy/Blind-v0' does not render with render_mode='rgb_array'"):
            make_rendered("toy/Blind-v0", {})
    finally:
        del gym.registry["toy/Blind-v0"]
