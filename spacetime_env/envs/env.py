"""What ``gym.make("SpaceTime/<Game>-v5")`` makes: an Atari game with the wrapper that shows its objects."""

from __future__ import annotations

import os
from typing import Any, SupportsFloat

import ale_py
import gymnasium as gym

from spacetime_env.envs.choose_model import default_model
from spacetime_env.envs.emulator import EmulatorEnv, has_ntsc_colors
from spacetime_env.envs.noop import do_nothing
from spacetime_env.envs.options import check_game, check_noops
from spacetime_env.envs.wrapper import Frame, SpaceTimeObservation
from spacetime_env.games import ale_spec, canonical
from spacetime_env.models.screens import Screen
from spacetime_env.models.watcher import ObjectModel


class SpaceTimeEnv(SpaceTimeObservation):
    """An Atari game whose observations are the objects that a model finds.

    Its spec is the registered one with the options that were given, without a wrapper on top. So
    ``gym.make(env.spec, obs_format="flat")`` makes the same environment with another option.

    A model that ``sees_screens`` is given the emulator's screen in place of an RGB frame, if the game has the colours
    of an NTSC console. It finds the same objects, and a step takes less time.

    Attributes:
        noop_max: an episode begins with 0 to this many steps of doing nothing. The number is drawn from the
            environment's own random numbers. The model does not look at these steps.
    """

    noop_max = 0
    _screen: EmulatorEnv | None = None  # the game, if the model looks at its screen
    _undecided = False  # whether it may do so as soon as a screen tells the colours of the console

    def begin(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frame, dict[str, Any]]:
        """Reset the game and take the steps of doing nothing, but leave the first frame to :meth:`observe`."""
        frame, info = super().begin(seed, options)
        if self.noop_max:
            # The infos of steps lack the emulator's seeds.
            seeds = {key: value for key, value in info.items() if key == "seeds"}
            steps = int(self.env.unwrapped.np_random.integers(self.noop_max + 1))
            begin = super().begin
            frame, info = do_nothing(
                steps, (frame, info), self.advance, lambda: begin(options=options), self.action_space
            )
            info = {**info, **seeds}
        return frame, info

    def _reset_game(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Frame, dict[str, Any]]:
        self._screen = None
        frame, info = super()._reset_game(seed, options)
        self._undecided = getattr(self.model, "sees_screens", False) and isinstance(self.env, EmulatorEnv)
        self._choose_screen()
        return (frame if self._screen is None else self._shown()), info

    def _play(self, action: Any) -> tuple[Frame, SupportsFloat, bool, bool, dict[str, Any]]:
        if self._screen is None:
            result = super()._play(action)
            self._choose_screen()  # from the next frame on
            return result
        self._screen.quiet = True  # the RGB frame is not needed; render() makes its own
        try:
            _, reward, terminated, truncated, info = self.env.step(action)
        finally:
            self._screen.quiet = False
        return self._shown(), reward, terminated, truncated, info

    def _choose_screen(self) -> None:
        """Let the model look at the screen from now on, if the game is known to have the colours of an NTSC console."""
        if not self._undecided:
            return
        game: Any = self.env
        ntsc = has_ntsc_colors(game)
        self._undecided = ntsc is None
        if ntsc:
            self._screen = game
            if self._subframes is not None:
                self._subframes.before_ids = game.ale.getScreen()

    def _shown(self) -> Screen:
        """The screen of the game as it is now."""
        assert self._screen is not None
        before = None if self._subframes is None else self._subframes.before_ids
        return Screen(self._screen.ale.getScreen(), before)

    @property
    def spec(self) -> gym.envs.registration.EnvSpec | None:  # type: ignore[override]
        """The spec of the whole environment."""
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
    device: str | None = None,
    **kwargs: Any,
) -> SpaceTimeEnv:
    """The entry point of ``SpaceTime/<Game>-v5``.

    Args:
        game: any name that :func:`spacetime_env.games.canonical` knows.
        model, obs_format, history, overlay, allow_game_mismatch, scene_info, device: see :class:`SpaceTimeObservation`.
        noop_max: begin each episode with 0 to this many steps of doing nothing, so that no two are alike.
        **kwargs: arguments of ALE's Gymnasium environment: ``render_mode``, ``frameskip``,
            ``repeat_action_probability``, ``full_action_space``, ``mode``, ``difficulty`` and others. Their defaults
            are those of ``ALE/<Game>-v5``.

    Raises:
        UnknownGameError: there is no such game.
        ValueError: there is no such option, or one has a value that it cannot have; see also
            :class:`SpaceTimeObservation`.
    """
    check_noops(noop_max)
    check_game(kwargs, make_env)
    spec = ale_spec(game)
    if isinstance(kwargs.get("frameskip"), list):  # JSON has no tuples
        kwargs["frameskip"] = tuple(kwargs["frameskip"])
    spec.kwargs = {**spec.kwargs, **kwargs}
    if model is None:
        default_model(canonical(game))  # raises if there is none, before the game is loaded
    env = EmulatorEnv(**spec.kwargs)
    env.spec = spec
    made = SpaceTimeEnv(env, model, obs_format, history, overlay, allow_game_mismatch, scene_info, device)
    made.noop_max = int(noop_max)
    return made


# Gymnasium reads the render modes here, and then offers "rgb_array_list" itself.
make_env.metadata = dict(ale_py.AtariEnv.metadata)  # type: ignore[attr-defined]
