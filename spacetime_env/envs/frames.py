"""Where an environment's frames come from: Atari games observe them, and other environments render them."""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from spacetime_env.envs.emulator import EmulatorEnv
from spacetime_env.files import shown
from spacetime_env.frames import Size, resize

RENDERS = "rgb_array"


class FrameError(ValueError):
    """An environment gives no frames that a model can look at; the message says why and what to do."""


def frame_size(env: gym.Env[Any, Any]) -> Size | None:
    """H, W of the frames that ``env`` observes; None if they are rendered.

    An Atari environment, ALE's, observes its frames. Of any other one with ``render_mode="rgb_array"`` each step is
    rendered. One that does not render is taken if it observes RGB frames.

    Raises:
        FrameError: it neither observes RGB frames nor renders them.
    """
    atari = isinstance(env.unwrapped, ale_py.AtariEnv)
    if not atari and env.render_mode == RENDERS:
        return None
    space = env.observation_space
    if isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3:
        return space.shape[0], space.shape[1]
    if atari:
        raise FrameError(
            f"expected an environment with RGB frames, Box(0, 255, (H, W, 3), uint8), got {space}. Make it with "
            "obs_type='rgb', and put SpaceTimeObservation inside wrappers that grey, resize or stack frames."
        )
    raise FrameError(
        f"expected an environment that renders its frames, got {type(env.unwrapped).__name__} with "
        f"render_mode={env.render_mode!r}. Make it with render_mode='rgb_array'. (For a window, put "
        "gymnasium.wrappers.HumanRendering around SpaceTimeObservation.)"
    )


def rendered(env: gym.Env[Any, Any], size: Size | None = None) -> np.ndarray:
    """The picture of an environment as it is now: (H, W, 3) uint8 RGB, at another size if one is given.

    If both sides shrink, pixels that fall together are averaged (``cv2.INTER_AREA``).

    Raises:
        FrameError: what it renders is no such picture.
    """
    return _fitted(env.render(), env, size)


class Observed:
    """The frames that an environment observes.

    Args:
        game: the emulator, of which the frame before the last is looked at too; None: only the frame itself is.
    """

    def __init__(self, game: EmulatorEnv | None = None) -> None:
        self._game = game

    def now(self, observation: Any) -> Any:
        """What the model looks at after a step: the observed frame, or the brighter of it and the one before."""
        return observation if self._game is None else np.maximum(observation, self._game.before)

    fit = now  # of a picture that the environment rendered


class Rendered:
    """The frames that an environment renders, at the size that the model reads.

    Args:
        env: with ``render_mode="rgb_array"``.
        size: H, W.
    """

    def __init__(self, env: gym.Env[Any, Any], size: Size) -> None:
        self._env, self._size = env, size

    def now(self, observation: Any) -> np.ndarray:
        """The picture of the environment after a step; what it observes is not looked at."""
        return rendered(self._env, self._size)

    def fit(self, picture: Any) -> np.ndarray:
        """A picture that the environment rendered, at the model's size."""
        return _fitted(picture, self._env, self._size)


def _fitted(picture: Any, env: gym.Env[Any, Any], size: Size | None) -> np.ndarray:
    """A picture of ``env``, checked, at another size if one is given."""
    came = None
    if not isinstance(picture, np.ndarray):
        came = f"a {type(picture).__name__}" if picture is not None else "nothing"
    elif picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        came = f"{picture.dtype} of shape {shown(picture.shape)}"
    if came is not None:
        raise FrameError(
            f"expected {type(env.unwrapped).__name__}.render() to give a picture, uint8 RGB of shape (H, W, 3), got "
            f"{came}. Put a gymnasium.Wrapper around it whose render() gives one, inside of SpaceTimeObservation."
        )
    return picture if size is None else resize(picture, size, antialias=True)[0]
