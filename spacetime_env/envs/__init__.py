"""Environments whose observations are the objects in their frames, not the pixels: a single one, or many at once.

In: a game's name and options, or an environment to wrap. Out: observations, a row of numbers for each object.

:func:`make_env` makes ``SpaceTime/<Game>-v5``, a :class:`SpaceTimeEnv`: an :class:`EmulatorEnv`, which plays the game,
in the wrapper :class:`SpaceTimeObservation`. The wrapper fits around environments that others made, too: Atari games,
and any that render (:func:`make_any_env`). An :class:`Observer` turns tracked objects into an observation of one of
the :data:`OBS_FORMATS`. A :class:`SpaceTimeVectorEnv` has many environments. Each of its processes plays a
:class:`Block` of them, and the model looks at all frames of a block in one call. :func:`keep_subframes` asks a game to
keep the emulator's frame before the one that a step shows.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

_CONTENTS = {
    "Block": "block",
    "EmulatorEnv": "emulator",
    "OBS_FORMATS": "observation",
    "Observer": "observation",
    "SpaceTimeEnv": "env",
    "SpaceTimeObservation": "wrapper",
    "SpaceTimeVectorEnv": "vector",
    "keep_subframes": "emulator",
    "make_any_env": "any_env",
    "make_env": "env",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
