"""ALE's environment with access to the emulator: its screen, and its frame before the one that a step shows.

An Atari draws few sprites a line, so many games draw some of them in one frame and some in the next; on a television
both are seen. A step of ``ALE/<Game>-v5`` is four frames, and the environment shows the last one. What is drawn in
every other frame is in one of the last two.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env.models.screens import ntsc_colors


class EmulatorEnv(ale_py.AtariEnv):
    """ALE's environment, which can keep the frame before the last, and leave out its observation.

    Steps, rewards and random numbers are those of ``ale_py.AtariEnv``. To keep the frame before the last, a step is
    taken in two parts. If the game ends within a step, the emulator stands still for the rest of it, and both frames
    are the last one. After a reset both are the first one.

    Attributes:
        keep_rgb: keep the frame before as :attr:`before`.
        keep_ids: keep it as :attr:`before_ids`.
        restored: whether somebody restored a state since the last step or reset.
        quiet: the observation of a step is None, and the frame before is kept as :attr:`before_ids` only. For callers
            that read the screen from the emulator: making an RGB frame takes a tenth of a step's time.
        before: (H, W, 3) uint8 RGB.
        before_ids: (H, W) uint8 palette numbers.
    """

    keep_rgb = False
    keep_ids = False
    quiet = False
    restored = False
    before: np.ndarray
    before_ids: np.ndarray

    def load_game(self) -> None:
        """Load the game in the mode and difficulty that were asked for.

        Raises:
            ValueError: the game does not have them.
        """
        try:
            super().load_game()
        except RuntimeError:
            for name, asked, there in (
                ("mode", self._game_mode, self.ale.getAvailableModes()),
                ("difficulty", self._game_difficulty, self.ale.getAvailableDifficulties()),
            ):
                if asked is not None and asked not in there:
                    raise ValueError(
                        f"expected {name} to be one that the game has, {sorted(there)}, got {asked}."
                    ) from None
            raise

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Reset the game."""
        result = super().reset(seed=seed, options=options)
        self.restored = False
        self.keep(result[0])
        return result

    def restore_state(self, state: Any) -> None:
        """Put the emulator into a state of ``clone_state``."""
        super().restore_state(state)
        self.restored = True

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Any]:
        """Take a step; keep the frame before its last, if that is asked for."""
        self.restored = False
        if not (self.keep_rgb or self.keep_ids):
            return super().step(action)
        skip: Any = self._frameskip  # type: ignore[has-type]
        frames = int(self.np_random.integers(*skip)) if isinstance(skip, tuple) else skip
        earned = 0.0
        try:
            observation = None
            if frames > 1:
                self._frameskip = frames - 1
                observation, earned, *_ = super().step(action)
            self.keep(observation)
            self._frameskip = min(frames, 1)
            observation, reward, terminated, truncated, info = super().step(action)
        finally:
            self._frameskip = skip
        return observation, earned + float(reward), terminated, truncated, info

    def keep(self, observation: Any = None) -> None:
        """Keep the frame that the emulator shows now. ``observation`` is an observation of it, if there is one."""
        if self.keep_rgb and not self.quiet:
            is_rgb = isinstance(observation, np.ndarray) and observation.ndim == 3
            self.before = observation if is_rgb else self.ale.getScreenRGB()
        if self.keep_ids or self.quiet:
            self.before_ids = self.ale.getScreen()

    def _get_obs(self) -> Any:
        return None if self.quiet else super()._get_obs()

    def __getstate__(self) -> dict[str, Any]:
        """Copies are made from the constructor's arguments (EzPickle), and keep what this one keeps."""
        return {**super().__getstate__(), "keep_rgb": self.keep_rgb, "keep_ids": self.keep_ids}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.keep_rgb, self.keep_ids = state["keep_rgb"], state["keep_ids"]


def has_ntsc_colors(env: ale_py.AtariEnv) -> bool | None:
    """Whether the game has the colours of :func:`~spacetime_env.models.screens.ntsc_colors`, as far as can be seen.

    None if nothing in the screen tells: the greys, numbers under 16, are the same on other consoles, and some games
    begin with a black screen.
    """
    ids = env.ale.getScreen()
    if (ids & 1).any() or (ntsc_colors()[ids] != env.ale.getScreenRGB()).any():
        return False
    return True if (ids >= 16).any() else None


def keep_subframes(env: gym.Env[Any, Any], keep_ids: bool = False) -> EmulatorEnv:
    """Let the ALE environment under ``env`` keep its frame before the last.

    Environments of this package have an :class:`EmulatorEnv` from the beginning. An environment that others made, such
    as ``gym.make("ALE/Pong-v5")``, has an ``ale_py.AtariEnv`` under perhaps many wrappers, where it cannot be replaced.
    So it is given the class :class:`EmulatorEnv`, here and nowhere else. That is safe: the class adds methods and flags
    to ``AtariEnv``, and sets up nothing in a constructor.

    Args:
        env: an environment, wrapped or not.
        keep_ids: keep palette numbers as ``before_ids`` (H, W); otherwise RGB as ``before`` (H, W, 3). If one of them
            is kept already, both are kept from now on.

    Returns:
        The environment under all wrappers.

    Raises:
        ValueError: it is not ALE's, or of a class that was derived from ALE's: what that changes would be lost.
    """
    found: Any = env.unwrapped
    if not isinstance(found, EmulatorEnv):
        if type(found) is not ale_py.AtariEnv:
            raise ValueError(
                f"this model looks at the last two frames of the emulator, which only ale_py's AtariEnv can give, "
                f"and under this environment is {type(found).__name__}."
            )
        found.__class__ = EmulatorEnv
    assert isinstance(found, EmulatorEnv)
    if keep_ids:
        found.keep_ids = True
    else:
        found.keep_rgb = True
    found.keep()
    return found
