"""Named objects, made of a network's latents, and rows in which each object keeps its place. Numpy only.

In: the latents of the present cells of some frames. Out: of each frame its :class:`Detections`, named objects with
boxes, and from these the rows of a :class:`Tracker`, (slots, 7) float32 with the columns :data:`FEATURES`.

A :class:`Describer` makes the detections. :func:`by_name` and :func:`as_arrays` give their centres by class.
:func:`draw` and :func:`side_by_side` make pictures of them, and a :class:`Film` makes a GIF.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

_CONTENTS = {
    "Describer": "describe",
    "Detections": "detections",
    "FEATURES": "tracker",
    "Film": "film",
    "Tracker": "tracker",
    "as_arrays": "detections",
    "by_name": "detections",
    "draw": "drawing",
    "side_by_side": "drawing",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
