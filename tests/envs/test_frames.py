"""Frames that are rendered: their size and type, and what is said where there are none."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env.envs.frames import FrameError, frame_size, rendered
from spacetime_env.envs.wrapper import SpaceTimeObservation
from tests.helpers.fakes import ColourModel
from tests.helpers.squares_env import ACTIONS, COLORS, NATIVE, SIDES, SquareModel


def squares(**options: Any) -> gym.Env:
    return gym.make("toy/Squares-v0", **{"render_mode": "rgb_array", **options})


class Shown(gym.Wrapper):
    """Renders what it is told to."""

    def __init__(self, picture: Any) -> None:
        super().__init__(squares())
        self.picture = picture

    def render(self) -> Any:
        return self.picture


def row(env: gym.Env, name: str, before: tuple[int, int] | None = None) -> list[float]:
    """What an observation should say of an object, by hand."""
    (x, y), (w, h) = env.unwrapped.places[name], SIDES[name]
    moved = (0, 0) if before is None else ((x - before[0]) / 4, (y - before[1]) / 4)
    height, width = NATIVE
    return [1, (2 * x + w) / width - 1, (2 * y + h) / height - 1, w / width, h / height, *moved]


@pytest.mark.parametrize("actions", ACTIONS)
def test_the_objects_of_an_env_that_is_no_atari_game(actions: str) -> None:
    """Rendered at twice the model's size; actions of any kind go through, and one frame is rendered a step."""
    env = SpaceTimeObservation(squares(actions=actions), SquareModel())  # type: ignore[arg-type]
    assert env.slot_names == ("Hero", "Ball") and env.action_space == ACTIONS[actions]
    assert env.observation_space.shape == (2, 7)
    observation, info = env.reset(seed=3)
    np.testing.assert_allclose(observation, [row(env, "Hero"), row(env, "Ball")], atol=1e-6)
    assert list(info["scene"]) == ["Hero", "Ball"] and info["dropped"] == 0
    env.action_space.seed(1)
    for time in range(1, 6):
        before = dict(env.unwrapped.places)
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        expected = [row(env, name, before[name]) for name in ("Hero", "Ball")]
        np.testing.assert_allclose(observation, expected, atol=1e-6)
        assert info["time"] == time and reward in (0, 1) and not terminated and not truncated
    assert env.unwrapped.rendered == 6


def test_other_formats_history_and_overlay() -> None:
    wrapped = [SpaceTimeObservation(squares(), SquareModel(), form, 2) for form in ("flat", "dict", "latents")]  # type: ignore[arg-type]
    flat, named, latent = (env.reset(seed=0)[0] for env in wrapped)
    assert flat.shape == (28,) and latent.shape == (2, 18)
    assert (flat.reshape(2, 14) == named["objects"]).all() and named["mask"].tolist() == [1, 1]
    env = SpaceTimeObservation(squares(), SquareModel(), overlay=True)  # type: ignore[arg-type]
    env.reset(seed=0)
    assert env.render().shape == (3 * NATIVE[0], 3 * NATIVE[1], 3)  # the model's frame, three times as large
    assert env.pooled(env.env.render()).shape == (*NATIVE, 3)
    plain = SpaceTimeObservation(squares(), SquareModel())  # type: ignore[arg-type]
    plain.reset(seed=0)
    assert plain.render().shape == (2 * NATIVE[0], 2 * NATIVE[1], 3)


def test_a_copy_goes_on_where_the_env_is() -> None:
    env = SpaceTimeObservation(squares(), SquareModel())  # type: ignore[arg-type]
    env.reset(seed=0)
    env.step(1)
    other = pickle.loads(pickle.dumps(env))
    for action in (1, -1, 0):
        one, two = env.step(action), other.step(action)
        assert (one[0] == two[0]).all() and one[4]["scene"] == two[4]["scene"]


def test_rendered_frames_are_averaged() -> None:
    """2 x 2 pixels make one, and the sides are not swapped."""
    env = squares()
    env.reset(seed=0)
    assert rendered(env).shape == (76, 64, 3)
    small = rendered(env, NATIVE)
    x, y = env.unwrapped.places["Hero"]
    w, h = SIDES["Hero"]
    assert (small[y : y + h, x : x + w] == COLORS["Hero"]).all() and (small == COLORS["Hero"]).all(-1).sum() == w * h
    assert frame_size(env) is None


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (None, r"Squares.render\(\) to give a picture, uint8 RGB of shape \(H, W, 3\), got nothing\. Put a gymn"),
        ([np.zeros((4, 5, 3), np.uint8)], "got a list"),
        ("ansi", "got a str"),
        (np.zeros((4, 5, 3)), r"got float64 of shape \(4, 5, 3\)"),
        (np.zeros((4, 5), np.uint8), r"got uint8 of shape \(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), r"got uint8 of shape \(4, 5, 4\)"),
        (np.zeros((0, 5, 3), np.uint8), r"got uint8 of shape \(0, 5, 3\)"),
    ],
)
def test_what_is_no_picture(picture: Any, message: str) -> None:
    env = SpaceTimeObservation(Shown(picture), SquareModel())  # type: ignore[arg-type]
    with pytest.raises(FrameError, match=message):
        env.reset()


def test_an_env_that_does_not_render() -> None:
    for env, said in (
        (gym.make("CartPole-v1"), "got CartPoleEnv with render_mode=None. Make it with render_mode='rgb_array'"),
        (squares(render_mode="human"), "render_mode='human'.*HumanRendering around SpaceTimeObservation"),
    ):
        with pytest.raises(FrameError, match=f"expected an environment that renders its frames, {said}|{said}"):
            SpaceTimeObservation(env, SquareModel())  # type: ignore[arg-type]


def test_what_needs_an_atari_game_says_so() -> None:
    with pytest.raises(ValueError, match=r"does not say which game it plays. Pass model="):
        SpaceTimeObservation(squares())
    with pytest.raises(ValueError, match=r"model is of Pong, and the environment is no Atari game"):
        SpaceTimeObservation(squares(), ColourModel())
    two = SquareModel()
    two.config = ColourModel(subframes=2).config
    with pytest.raises(ValueError, match=r"last two frames of the emulator, which only ale_py.*is Squares\."):
        SpaceTimeObservation(squares(), two)  # type: ignore[arg-type]
    env = SpaceTimeObservation(squares(), SquareModel())  # type: ignore[arg-type]
    env.reset()
    with pytest.raises(TypeError, match=r"the state of an episode is ALE's, and under this environment is Squares\."):
        env.clone_state()


def test_a_model_of_a_game_may_look_if_it_is_meant() -> None:
    """Its frames are then of the game's size."""
    env = SpaceTimeObservation(squares(), ColourModel(), allow_game_mismatch=True)
    assert env.reset(seed=0)[0].shape == (3, 7)
    assert env.pooled(env.env.render()).shape == (210, 160, 3)
