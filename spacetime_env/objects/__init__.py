"""Named objects, made of a network's latents, and rows in which each object keeps its place. Numpy only.

In: the latents of the present cells of some frames. Out: of each frame its :class:`Detections`, named objects with
boxes, and from these the rows of a :class:`Tracker`, (slots, 7) float32 with the columns :data:`FEATURES`.

:func:`describe_all` makes the detections. :func:`scene_dict` gives their centres by class name. :func:`draw` and
:func:`side_by_side` make pictures of them, and a :class:`Film` makes a GIF.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
