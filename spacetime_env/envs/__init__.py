"""Play: environments that show the objects of a game, one or many at once.

In: a game's name and options, or an ALE environment to wrap. Out: observations, rows of objects. A
:class:`Block` of environments has its frames looked at in one call; :class:`SpaceTimeVectorEnv` steps some blocks, in
worker processes where there are cores for them.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

_CONTENTS = {
    "Block": "block",
    "OBS_FORMATS": "observation",
    "Observer": "observation",
    "SpaceTimeEnv": "env",
    "SpaceTimeObservation": "wrapper",
    "SpaceTimeVectorEnv": "vector",
    "SubframeEnv": "emulator",
    "keep_subframes": "emulator",
    "make_env": "env",
}

__all__ = [*_CONTENTS]


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
