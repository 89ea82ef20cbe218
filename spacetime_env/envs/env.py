"""``gym.make("SpaceTime/<Game>-v5")``: the game, the wrapper and how the registry makes them."""

from __future__ import annotations

import os
from typing import Any, SupportsFloat

import ale_py
import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

from spacetime_env.envs.choose_model import default_model
from spacetime_env.envs.emulator import ScreenEnv, has_ntsc_colors
from spacetime_env.envs.wrapper import Frame, SpaceTimeObservation
from spacetime_env.games import ale_spec, canonical
from spacetime_env.models.screens import Screen
from spacetime_env.models.watcher import ObjectModel


class SpaceTimeEnv(SpaceTimeObservation):
    """What ``gym.make("SpaceTime/<Game>-v5")`` makes.

    Its spec is the registered one with the options that were given, and no wrapper on top: so
    ``gym.make(env.spec, obs_format="flat")`` makes the same environment with another option.

    With ``noop_max``, an episode begins after 0 to that many steps of doing nothing, drawn from the
    environment's own random numbers; nothing is looked at until then.
    """

    noop_max = 0
    _screen: ScreenEnv | None = None  # the game, where the model looks at its screen and not at RGB frames

    def begin(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Reset and wait, but leave the first frame to :meth:`observe`."""
        frame, info = super().begin(seed, options)
        if self.noop_max:
            started = {key: value for key, value in info.items() if key == "seeds"}
            # ALE lists NOOP first in every game; a stick that is not moved does nothing either
            noop = np.zeros(3, np.float32) if isinstance(self.action_space, Box) else 0
            for _ in range(int(self.env.unwrapped.np_random.integers(self.noop_max + 1))):
                frame, _, terminated, truncated, info = self.advance(noop)
                if terminated or truncated:
                    frame, info = super().begin(options=options)
            info = {**info, **started}
        return frame, info

    def _reset_game(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Frame, dict[str, Any]]:
        self._screen = None
        frame, info = super()._reset_game(seed, options)
        game: Any = self.env
        if getattr(self.model, "sees_screens", False) and has_ntsc_colors(game):
            if not isinstance(game, ScreenEnv):
                game.__class__ = ScreenEnv
            self._screen = game
            if self._subframes is not None:
                self._subframes.before_ids = game.ale.getScreen()
            return self._shown(), info
        return frame, info

    def advance(self, action: Any) -> tuple[Frame, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment, but leave the new frame, or the game's screen, to :meth:`observe`."""
        if self._screen is None:
            return super().advance(action)
        self._screen.quiet = True  # nobody needs the RGB frame; render() makes its own
        try:
            _, reward, terminated, truncated, info = self.env.step(action)
        finally:
            self._screen.quiet = False
        return self._shown(), reward, terminated, truncated, info

    def _shown(self) -> Screen:
        assert self._screen is not None
        before = None if self._subframes is None else self._subframes.before_ids
        return Screen(self._screen.ale.getScreen(), before)

    @property
    def spec(self) -> gym.envs.registration.EnvSpec | None:  # type: ignore[override]
        """The spec of the environment as a whole."""
        return self.env.spec


def make_env(
    game: str,
    model: str | os.PathLike[str] | ObjectModel | None = None,
    obs_format: str = "objects",
    history: int = 1,
    overlay: bool = False,
    allow_game_mismatch: bool = False,
    noop_max: int = 0,
    scene_info: bool | str = True,
    **kwargs: Any,
) -> SpaceTimeEnv:
    """The entry point of ``SpaceTime/<Game>-v5``.

    Args:
        game: any name that :func:`spacetime_env.games.canonical` knows.
        model, obs_format, history, overlay, allow_game_mismatch, scene_info: see :class:`SpaceTimeObservation`.
        noop_max: begin each episode with 0 to this many steps of doing nothing, so that no two are alike.
        **kwargs: for the game itself: ``render_mode``, ``frameskip``, ``repeat_action_probability``,
            ``full_action_space``, ``mode``, ``difficulty`` and what else ALE's Gymnasium environment takes,
            with the defaults of ``ALE/<Game>-v5``.

    Raises:
        UnknownGameError: no such game.
        ValueError: see :class:`SpaceTimeObservation`.
    """
    if isinstance(noop_max, bool) or not isinstance(noop_max, (int, np.integer)) or noop_max < 0:
        raise ValueError(f"expected noop_max to be a whole number, 0 or more, got {noop_max!r}.")
    spec = ale_spec(game)
    if isinstance(kwargs.get("frameskip"), list):  # JSON has no tuples
        kwargs["frameskip"] = tuple(kwargs["frameskip"])
    spec.kwargs = {**spec.kwargs, **kwargs}
    if model is None:
        default_model(canonical(game))  # say so before the game is loaded
    env = ale_py.AtariEnv(**spec.kwargs)
    env.spec = spec
    made = SpaceTimeEnv(env, model, obs_format, history, overlay, allow_game_mismatch, scene_info)
    made.noop_max = int(noop_max)
    return made


# Gymnasium asks the entry point what it can render, and so adds "rgb_array_list" by itself.
make_env.metadata = dict(ale_py.AtariEnv.metadata)  # type: ignore[attr-defined]
