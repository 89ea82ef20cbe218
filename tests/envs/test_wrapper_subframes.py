"""A model that looks at two frames of the emulator gets both, wherever the environment runs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from spacetime_env.envs.emulator import EmulatorEnv, keep_subframes
from spacetime_env.envs.wrapper import SpaceTimeObservation
from spacetime_env.viewer import watch
from tests.envs.test_vector import make, require_same
from tests.helpers.fakes import ColourModel, make_pong, play, same

gym.register_envs(ale_py)


class Watching(ColourModel):
    """Remembers the frames that it was shown."""

    def __init__(self, subframes: int = 2) -> None:
        super().__init__(subframes=subframes)
        self.shown: list[np.ndarray] = []

    def detect(self, frames: np.ndarray | list[np.ndarray]) -> list[Any]:
        self.shown += list(frames) if isinstance(frames, list) or frames.ndim == 4 else [frames]
        return super().detect(frames)


@pytest.mark.parametrize("registered", [False, True])
def test_the_model_is_shown_the_brighter_of_the_last_two_frames(registered: bool) -> None:
    model = Watching()
    if registered:
        env = make_pong(model, repeat_action_probability=0.0)
    else:
        env = SpaceTimeObservation(gym.make("ALE/Pong-v5", repeat_action_probability=0.0), model)
    slow = ale_py.AtariEnv("pong", frameskip=1, repeat_action_probability=0.0)
    env.reset(seed=6)
    last, _ = slow.reset(seed=6)
    expected = [last]  # nothing was before the first
    actions = np.random.default_rng(2)
    for _ in range(60):
        action = int(actions.integers(6))
        env.step(action)
        for _ in range(4):
            before, last = last, slow.step(action)[0]
        expected.append(np.maximum(before, last))
    assert len(model.shown) == 61
    assert all((a == b).all() for a, b in zip(model.shown, expected, strict=True))
    assert (model.shown[-1] != last).any()  # the ball is there twice


def test_a_model_of_one_frame_leaves_the_environment_as_it_is() -> None:
    model = Watching(subframes=1)
    env = SpaceTimeObservation(gym.make("ALE/Pong-v5"), model)
    plain = gym.make("ALE/Pong-v5")
    assert type(env.unwrapped) is ale_py.AtariEnv
    env.reset(seed=1)
    frame, _ = plain.reset(seed=1)
    for _ in range(30):
        assert (model.shown[-1] == frame).all()
        env.step(2)
        frame = plain.step(2)[0]


def test_the_game_is_the_same_and_only_what_is_seen_differs() -> None:
    one, two = play(make_pong(), 200), play(make_pong(ColourModel(subframes=2)), 200)
    for a, b in zip(one, two, strict=True):
        assert a[1] == b[1]
        assert {k: v for k, v in a[2].items() if k != "scene"} == {k: v for k, v in b[2].items() if k != "scene"}
    width = 3
    ball_one, ball_two = (np.array([o[2, width] for o, _, _ in found if o[2, 0]]) for found in (one, two))
    assert ball_two.mean() > ball_one.mean()  # a ball that flies is seen at two places


@pytest.mark.parametrize(
    ("mode", "workers", "game"), [("NextStep", 2, "Pong"), ("SameStep", 2, "Breakout"), ("SameStep", 0, "Pong")]
)
def test_many_environments_see_what_single_ones_see(mode: str, workers: int, game: str) -> None:
    """3 x 300 steps with sticky actions and random starts, over ends by the game and by the limit of frames."""
    options: dict[str, Any] = {"max_num_frames_per_episode": 500, "noop_max": 3, "allow_game_mismatch": True}

    def single() -> gym.Env:
        return gym.make(f"SpaceTime/{game}-v5", model=ColourModel(subframes=2), **options)

    envs = make(3, game, model=ColourModel(subframes=2), autoreset_mode=mode, workers=workers, **options)
    others = SyncVectorEnv([single] * 3, autoreset_mode=AutoresetMode(mode))
    try:
        require_same(envs.reset(seed=21), others.reset(seed=21))
        rng, ends, pooled = np.random.default_rng(4), 0, 0
        for _ in range(300):
            actions = rng.integers(envs.single_action_space.n, size=3)
            ours = envs.step(actions)
            require_same(ours, others.step(actions))
            ends += (ours[2] | ours[3]).sum()
            kept = others.envs[1].unwrapped
            assert isinstance(kept, EmulatorEnv) and kept.keep_rgb
            pooled += (kept.before != kept.ale.getScreenRGB()).any()
        assert ends >= 3 and pooled > 50
        require_same(envs.reset(seed=[9, 4, 2])[0], others.reset(seed=[9, 4, 2])[0])
    finally:
        envs.close()
        others.close()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("bundled", [2], indirect=True, ids=["two subframes"])
def test_copies_see_both_frames_of_their_own_game(clone: Any, wrapped: bool) -> None:
    env = SpaceTimeObservation(gym.make("ALE/Pong-v5")) if wrapped else gym.make("SpaceTime/Pong-v5")
    play(env, 5)
    again = clone(env)
    assert again.get_wrapper_attr("_subframes") is again.unwrapped is not env.unwrapped
    theirs = play(env, 60)
    for mine, other in zip(play(again, 60), theirs, strict=True):
        assert same(mine[0], other[0])


def test_recording_ids_of_an_environment_does_not_blind_its_model() -> None:
    model = Watching()
    env = make_pong(model)
    keep_subframes(env, keep_ids=True)
    for (a, *_), (b, *_) in zip(play(env, 40), play(make_pong(ColourModel(subframes=2)), 40), strict=True):
        assert (a == b).all()
    assert {frame.shape for frame in model.shown} == {(210, 160, 3)}


def test_pictures_of_watching_are_of_what_the_model_was_shown(tmp_path: Path) -> None:
    """Boxes are drawn where something is, and the reconstruction is that of the same frame."""

    class Rebuilding(Watching):
        def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
            self.pairs.append((frames, self.shown[-1]))
            return super().reconstruct(frames)

    model = Rebuilding()
    model.pairs = []
    watch(model, steps=40, every=10, out=tmp_path)
    assert len(model.pairs) == 5
    assert all((rebuilt == shown).all() for rebuilt, shown in model.pairs)


def test_an_environment_that_cannot_show_both_is_refused() -> None:
    class Frames(gym.Env):
        observation_space = Box(0, 255, (210, 160, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

    assert SpaceTimeObservation(Frames(), ColourModel()).slot_names == ("Player", "Enemy", "Ball")
    with pytest.raises(ValueError, match=r"looks at the last two frames of the emulator.*is Frames\."):
        SpaceTimeObservation(Frames(), ColourModel(subframes=2))
