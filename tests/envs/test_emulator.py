"""The emulator's frame before the last: it is the right one, and keeping it changes nothing about the game."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.envs import emulator
from spacetime_env.envs.emulator import EmulatorEnv, keep_subframes
from spacetime_env.envs.env import make_env
from tests.helpers.fakes import ColourModel

gym.register_envs(ale_py)


def same(one: Any, other: Any) -> bool:
    """Equal in type and to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(np.array_equal(one, other))


def keeping(game: str, **settings: Any) -> EmulatorEnv:
    """A game that keeps its frame before the last, in RGB."""
    return keep_subframes(EmulatorEnv(game, **settings))


@pytest.mark.parametrize(
    ("game", "frameskip", "limit"),
    [("breakout", 4, None), ("breakout", (2, 5), None), ("pong", 1, 400), ("breakout", 3, 250)],
)
def test_the_same_game_bit_for_bit(game: str, frameskip: Any, limit: int | None) -> None:
    """1200 steps with sticky actions, over ends by the game within a step and by the limit of frames."""
    settings = {"frameskip": frameskip, "repeat_action_probability": 0.25, "max_num_frames_per_episode": limit}
    ours, theirs = keeping(game, **settings), ale_py.AtariEnv(game, **settings)
    actions = np.random.default_rng(1)
    assert same(ours.reset(seed=7), theirs.reset(seed=7))
    ends, earned = np.zeros(2, int), 0.0
    for _ in range(1200):
        action = int(actions.integers(theirs.action_space.n))
        one, other = ours.step(action), theirs.step(action)
        assert same(one, other)
        assert ours._frameskip == frameskip
        earned += one[1]
        ends += one[2:4]
        if one[2] or one[3]:
            assert same(ours.reset(), theirs.reset())
    assert ends.sum() >= 3 and (earned > 0 or game == "pong"), (ends, earned)
    assert same(ours.reset(seed=3), theirs.reset(seed=3))


def test_ram_and_continuous_actions_too() -> None:
    settings: dict[str, Any] = {"obs_type": "ram", "continuous": True, "frameskip": (2, 5)}
    ours, theirs = keeping("breakout", **settings), ale_py.AtariEnv("breakout", **settings)
    rng = np.random.default_rng(0)
    assert same(ours.reset(seed=1), theirs.reset(seed=1))
    for _ in range(60):
        action = rng.uniform((0, -np.pi, 0), (1, np.pi, 1)).astype(np.float32)
        assert same(ours.step(action), theirs.step(action))
    assert ours.before.shape == (210, 160, 3)


@pytest.mark.parametrize("skip", [4, 2, 1])
def test_before_is_the_emulators_frame_before_the_last(skip: int) -> None:
    """SpaceInvaders draws in every other frame: a frame taken one too early or too late would show."""
    settings: dict[str, Any] = {"repeat_action_probability": 0.0}
    ours = keeping("space_invaders", frameskip=skip, **settings)
    slow = ale_py.AtariEnv("space_invaders", frameskip=1, **settings)
    keep_subframes(ours, keep_ids=True)
    first, last = ours.reset(seed=2)[0], slow.reset(seed=2)[0]
    assert (ours.before == first).all() and (first == last).all()
    actions, differ = np.random.default_rng(3), 0
    for _ in range(150):
        action = int(actions.integers(6))
        shown, _, over, *_ = ours.step(action)
        for _ in range(skip):
            before, ids = last, slow.ale.getScreen().copy()
            last = slow.step(action)[0]
        assert not over
        assert (shown == last).all() and (ours.before == before).all() and (ours.before_ids == ids).all()
        differ += (before != last).any()
    assert differ > 30


def test_where_the_game_ends_within_a_step_both_are_its_last_frame() -> None:
    env = keeping("breakout", frameskip=4, max_num_frames_per_episode=10)
    env.reset(seed=0)
    for _ in range(10):
        frame, _, _, truncated, info = env.step(1)
        if truncated:
            break
    assert truncated and info["episode_frame_number"] == 10 and (env.before == frame).all()


def test_what_is_seen_of_a_wrapped_environment() -> None:
    env = gym.wrappers.TimeLimit(gym.make("ALE/Pong-v5"), 9)
    found = keep_subframes(env)
    assert found is env.unwrapped and type(found) is EmulatorEnv and isinstance(found, ale_py.AtariEnv)
    assert found.before.shape == (210, 160, 3)  # also before the first reset
    assert not hasattr(found, "before_ids")
    env.reset(seed=0)
    plain = gym.make("ALE/Pong-v5")
    plain.reset(seed=0)
    for action in (0, 2, 3, 2):
        assert same(env.step(action), plain.step(action))
    assert type(plain.unwrapped) is ale_py.AtariEnv  # the others keep their class


def test_ids_and_rgb_of_one_environment() -> None:
    """Who asks first keeps what it asked for: an agent that sees both frames may play while ids are recorded."""
    env = gym.make("ALE/SpaceInvaders-v5", obs_type="ram")
    ids_only = keep_subframes(env, keep_ids=True)
    assert ids_only.before_ids.shape == (210, 160) and not hasattr(ids_only, "before")
    both = keep_subframes(env)
    assert both is ids_only
    env.reset(seed=0)
    palette = np.zeros((256, 3), np.uint8)
    for _ in range(20):
        env.step(1)
        palette[both.ale.getScreen()] = both.ale.getScreenRGB()
        assert both.before.shape == (210, 160, 3) and both.before_ids.shape == (210, 160)
        known = palette[both.before_ids].any(-1)
        assert (palette[both.before_ids] == both.before)[known].all() and known.any()
    assert keep_subframes(env, keep_ids=True) is both and both.keep_rgb and both.keep_ids


def test_what_is_kept_does_not_change_with_the_screen() -> None:
    """ALE gives a new array each time, not a view of the screen that it draws into; that is relied on."""
    env = keeping("space_invaders", frameskip=(2, 5))
    keep_subframes(env, keep_ids=True)
    env.reset(seed=0)
    held, copies = [], []
    for _ in range(60):
        env.step(1)
        held.append((env.before, env.before_ids))
        copies.append((env.before.copy(), env.before_ids.copy()))
    for k in (0, 1):
        assert all((one[k] == other[k]).all() for one, other in zip(held, copies, strict=True))
        assert len({other[k].tobytes() for other in copies}) > 10


@pytest.mark.parametrize("keep_ids", [False, True])
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_keep_it_too(clone: Any, keep_ids: bool) -> None:
    env = gym.make("ALE/Pong-v5")
    keep_subframes(env, keep_ids)
    again = clone(env)
    assert type(again.unwrapped) is EmulatorEnv
    env.reset(seed=4), again.reset(seed=4)
    for _ in range(10):
        assert same(env.step(2), again.step(2))
        one, other = env.unwrapped, again.unwrapped
        assert (one.before_ids == other.before_ids).all() if keep_ids else (one.before == other.before).all()
    assert hasattr(again.unwrapped, "before") != keep_ids  # and nothing else


def test_environments_of_this_package_have_the_class_from_the_beginning() -> None:
    """It is assigned at run time to those that others made, in one place."""
    for model in (ColourModel(), ColourModel(subframes=2)):
        assert type(make_env("Pong", model).unwrapped) is EmulatorEnv
    package = Path(emulator.__file__).parents[1]
    places = [path.name for path in package.rglob("*.py") for _ in re.findall(r"__class__ = ", path.read_text())]
    assert places == ["emulator.py"]


def test_one_that_keeps_nothing_takes_whole_steps() -> None:
    env = EmulatorEnv("pong", frameskip=4)
    env.reset(seed=0)
    env.step(0)
    assert not hasattr(env, "before") and not hasattr(env, "before_ids")


@pytest.mark.parametrize(
    "env", [gym.make("CartPole-v1"), gym.Wrapper(gym.make("CartPole-v1"))], ids=["bare", "wrapped"]
)
def test_an_environment_without_ale_is_refused(env: gym.Env) -> None:
    with pytest.raises(ValueError, match=r"last two frames of the emulator.*only ale_py's AtariEnv.*is CartPoleEnv\."):
        keep_subframes(env)


def test_a_class_of_ones_own_is_not_replaced() -> None:
    """What it changes about a step would be lost."""

    class Mine(ale_py.AtariEnv):
        pass

    with pytest.raises(ValueError, match=r"under this environment is Mine\."):
        keep_subframes(Mine("pong"))


def test_an_error_in_a_step_leaves_the_frames_a_step_as_they_were() -> None:
    env = keeping("pong", frameskip=(2, 5))
    env.reset(seed=0)
    with pytest.raises(IndexError):
        env.step(99)
    assert env._frameskip == (2, 5)
