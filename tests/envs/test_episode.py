"""An episode that is gone on with: saved states, copies, and the emulator restored behind its back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.envs.emulator import EmulatorEnv
from spacetime_env.envs.env import make_env
from spacetime_env.envs.wrapper import SpaceTimeObservation
from tests.helpers.fakes import ColourModel, same

gym.register_envs(ale_py)
OPTIONS: dict[str, Any] = {"obs_format": "dict", "history": 2, "frameskip": (2, 5)}


def wrapped(**options: Any) -> gym.Env:
    frameskip = options.pop("frameskip", 4)
    return SpaceTimeObservation(gym.make("ALE/Pong-v5", frameskip=frameskip), ColourModel(), **options)


def made(**options: Any) -> gym.Env:
    return make_env("Pong", ColourModel(), **options)


def go_on(env: gym.Env, steps: int = 25, seed: int = 1) -> list[tuple[Any, ...]]:
    """Play some steps; numbers of frames since the emulator was made differ between copies."""
    told = []
    for action in np.random.default_rng(seed).integers(0, 6, steps).tolist():
        observation, reward, terminated, truncated, info = env.step(action)
        info = {name: value for name, value in info.items() if name != "frame_number"}
        told.append((copy.deepcopy(observation), float(reward), terminated, truncated, info))
    return told


def require_equal(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert same(a[0], b[0]) and a[1:] == b[1:]


def under_way(make: Callable[..., gym.Env], steps: int = 60, **options: Any) -> gym.Env:
    env = make(**options)
    env.reset(seed=5)
    go_on(env, steps, seed=0)
    return env


@pytest.mark.parametrize("make", [made, wrapped])
def test_an_episode_goes_on_from_a_state_as_often_as_one_likes(make: Callable[..., gym.Env]) -> None:
    env = under_way(make, **OPTIONS)
    state = env.clone_state(include_rng=True)
    before = env.detections
    first = go_on(env)
    assert len({float(row["objects"][2, 5]) for row, *_ in first}) > 3  # the ball moves this way and that
    for one in (state, pickle.loads(pickle.dumps(state))):
        env.restore_state(one)
        assert env.detections is before or one is not state
        require_equal(go_on(env), first)
    other = make(**OPTIONS)
    other.reset(seed=99)
    other.restore_state(state)
    require_equal(go_on(other), first)


def test_without_random_numbers_the_game_is_the_same_where_chance_has_no_part() -> None:
    env = under_way(made, repeat_action_probability=0.0)
    state = env.clone_state()
    assert state.random is None
    first = go_on(env)
    env.restore_state(state)
    require_equal(go_on(env), first)


@pytest.mark.parametrize("how", ["emulator", "environment"])
def test_objects_are_forgotten_where_the_emulator_is_restored_behind_its_back(how: str) -> None:
    """Or the objects would have jumped in one step from where they were to where they are."""
    env = under_way(made, history=2)
    emulator: Any = env.unwrapped
    assert isinstance(emulator, EmulatorEnv)
    if how == "emulator":
        earlier = emulator.ale.cloneState()
        go_on(env)
        emulator.ale.restoreState(earlier)
    else:
        go_on(env)
        emulator.restore_state(emulator.clone_state())  # of this very frame: the emulator's counts do not tell
    observation, *_ = env.step(0)
    assert observation[:, 0].sum() >= 2 and not observation[:, 5:7].any()  # seen for the first time
    np.testing.assert_array_equal(observation[:, 7:], observation[:, :7])  # there is no step before
    again, *_ = env.step(0)
    assert again[:, 5:7].any() and not np.array_equal(again[:, 7:], again[:, :7])


@pytest.mark.parametrize("make", [made, wrapped])
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_as_the_environment_would(make: Callable[..., gym.Env], clone: Any) -> None:
    env = under_way(make, **OPTIONS)
    again = clone(env)
    require_equal(go_on(again), go_on(env))
    assert again.unwrapped is not env.unwrapped


def test_a_copy_of_one_that_was_not_reset() -> None:
    env = made()
    again = copy.deepcopy(env)
    for one in (env, again):
        one.reset(seed=3)
    require_equal(go_on(again), go_on(env))


@pytest.mark.parametrize("game", ["Pong", "SpaceInvaders"])  # one frame at a time, and two
def test_a_copy_with_a_shipped_model(game: str) -> None:
    env = make_env(game)
    env.reset(seed=5)
    go_on(env, 40, seed=0)
    again = copy.deepcopy(env)
    for (a, *mine), (b, *theirs) in zip(go_on(again, 15), go_on(env, 15), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert mine[:3] == theirs[:3]


def test_what_is_no_state_of_such_an_environment_is_refused() -> None:
    env = under_way(made, 20)
    with pytest.raises(TypeError, match="clone_state\\(\\) of such an environment returned, got ALEState"):
        env.restore_state(env.unwrapped.ale.cloneState())
    with pytest.raises(ValueError, match="3 slots, 0 latents and a history of 3, got 3, 0 and 2"):
        under_way(made, 5, history=3).restore_state(under_way(made, 5, history=2).clone_state())
    model = ColourModel()
    model.scene = replace(model.scene, slots={"Ball": 4})
    with pytest.raises(ValueError, match="3 slots, 0 latents and a history of 1, got 6"):
        env.restore_state(under_way(lambda: make_env("Pong", model), 5).clone_state())
    with pytest.raises(gym.error.ResetNeeded, match="clone_state"):
        made().clone_state()
