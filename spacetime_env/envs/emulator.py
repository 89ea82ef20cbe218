"""ALE's environment with what a model wants of the emulator: its screen, and its frame before the last.

An Atari draws few sprites a line, so many games draw some in one frame and some in the next; on a television
both are seen. A step of ``ALE/<Game>-v5`` is four frames, of which the environment shows the last. What is drawn in
every other frame is in one of the last two.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env.models.screens import ntsc_colors


class ScreenEnv(ale_py.AtariEnv):
    """ALE's environment, which leaves out its observation while it is ``quiet``: who asks for the screen needs none."""

    quiet = False

    def _get_obs(self) -> Any:
        return None if self.quiet else super()._get_obs()


def has_ntsc_colors(env: ale_py.AtariEnv) -> bool:
    """Whether what ``env`` shows now is in the colours of :func:`ntsc_colors`."""
    ids = env.ale.getScreen()
    return not (ids & 1).any() and bool((ntsc_colors()[ids] == env.ale.getScreenRGB()).all())


class SubframeEnv(ScreenEnv):
    """ALE's environment, which also keeps the emulator's frame before the one that it shows.

    The same steps, rewards and random numbers as without: a step is taken in two parts. Where the game ends before
    a step does, the emulator stands still for the rest of it, and both frames are the last.
    """

    before: np.ndarray  # (H, W, 3) uint8 RGB, where keep_rgb
    before_ids: np.ndarray  # (H, W) uint8 palette ids, where keep_ids
    # Both, if two ask: what is recorded may be played by an agent that looks at both frames itself.
    keep_rgb, keep_ids = True, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Resets the game. The frame before the first is taken to look like it."""
        result = super().reset(seed=seed, options=options)
        self._keep(result[0])
        return result

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Any]:
        """Takes a step and keeps the frame before its last."""
        skip: Any = self._frameskip  # type: ignore[has-type]
        frames = int(self.np_random.integers(*skip)) if isinstance(skip, tuple) else skip
        earned = 0.0
        try:
            seen = None
            if frames > 1:
                self._frameskip = frames - 1
                seen, earned, *_ = super().step(action)
            self._keep(seen)
            self._frameskip = min(frames, 1)
            observation, reward, terminated, truncated, info = super().step(action)
        finally:
            self._frameskip = skip
        return observation, earned + float(reward), terminated, truncated, info

    def _keep(self, seen: Any = None) -> None:
        """Keep the frame that the emulator shows; ``seen`` is an observation of it, where there is one."""
        if self.keep_rgb and not self.quiet:  # to ask the emulator once more would take a tenth of a step's time
            shown = isinstance(seen, np.ndarray) and seen.ndim == 3
            self.before = seen if shown else self.ale.getScreenRGB()
        if self.keep_ids or self.quiet:
            self.before_ids = self.ale.getScreen()


def keep_subframes(env: gym.Env[Any, Any], keep_ids: bool = False) -> SubframeEnv:
    """Let the ALE environment under ``env`` keep its frame before the last: :class:`SubframeEnv`.

    ALE's environment is already made, perhaps with wrappers around it, so it is not replaced but given the class
    that keeps the frame; the class has no state of its own but that.

    Args:
        env: an environment, wrapped or not.
        keep_ids: keep its palette ids, as ``before_ids`` (H, W), instead of RGB, as ``before`` (H, W, 3). What is
            kept already goes on being kept.

    Raises:
        ValueError: there is no ALE environment under it.
    """
    found: Any = env.unwrapped
    if not isinstance(found, SubframeEnv):
        if type(found) not in (ale_py.AtariEnv, ScreenEnv):
            raise ValueError(
                f"this model looks at the last two frames of the emulator, which only ale_py's AtariEnv can give, "
                f"and under this environment is {type(found).__name__}."
            )
        found.__class__ = SubframeEnv
        found.keep_rgb = False  # it takes a tenth of a step's time
    assert isinstance(found, SubframeEnv)
    if keep_ids:
        found.keep_ids = True
    else:
        found.keep_rgb = True
    found._keep()
    return found
