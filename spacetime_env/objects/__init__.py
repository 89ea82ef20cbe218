"""What a network says of a frame, as objects. Numpy only: no torch, no environment.

In: the latents of the present cells of some frames. Out: :class:`Detections`, named objects of each frame, which
:class:`Tracker` turns into rows that stay with their object. :mod:`spacetime_env.objects.drawing` shows them.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

_CONTENTS = {
    "Detections": "detections",
    "FEATURES": "tracker",
    "Film": "film",
    "Tracker": "tracker",
    "as_arrays": "detections",
    "by_name": "detections",
    "describe_all": "describe",
    "draw": "drawing",
    "side_by_side": "drawing",
}

__all__ = [*_CONTENTS]


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
