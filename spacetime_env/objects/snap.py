"""Boxes put on what is drawn: an edge that is a pixel off moves to where the pixels begin that are not background.

A network places an object of 2 x 2 pixels to a pixel or so, and a box that is a pixel off has an IoU of a third. Where
it sees the game's own pixels before a fixed background, the edge can be read from the picture.
:mod:`spacetime_env.objects.snap_compiled` has the same rule, compiled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from spacetime_env.compiled import INSTALLED

loops: Any = None
if INSTALLED:
    from spacetime_env.objects import snap_compiled

    loops = snap_compiled


class Backdrop(NamedTuple):
    """A fixed background in native pixels, of the rows that a network sees."""

    pixels: np.ndarray  # (h, w) int32, see :func:`packed`
    top: int  # the row of the frame that is its first


def packed(colors: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8 as one number each: (...) int32."""
    wide = colors.astype(np.int32)
    numbers: np.ndarray = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return numbers


class Pictures(NamedTuple):
    """B frames as a network sees them, in native pixels."""

    pixels: np.ndarray  # (B, h, w, 3) uint8 RGB; or (B, h, w) uint8, numbers of ``colors``
    colors: np.ndarray | None  # (256, 3) uint8 RGB
    backdrop: Backdrop


_NO_COLORS = np.zeros((0, 3), np.uint8)


def snap(boxes: np.ndarray, frame: np.ndarray, pictures: Pictures) -> np.ndarray:
    """Boxes whose edges are moved by one pixel where that puts them on what is drawn.

    A line of pixels is empty if all of those that the box spans are background. An edge moves outwards if its line and
    the next one outside are not empty, and the one after that is: the object ends there. It moves inwards if its line
    is empty and the next one inside is not.

    Args:
        boxes: (n, 4) float32, x, y, w, h in whole native pixels.
        frame: (n,) int64, the frame of each.
        pictures: the frames.
    """
    if not len(boxes):
        return boxes
    pixels, colors, (background, top) = pictures
    result: np.ndarray
    if loops is not None:
        deep = pixels if colors is None else pixels[..., None]
        result = loops.snap(boxes, frame, deep, _NO_COLORS if colors is None else colors, background, top)
        return result
    result = boxes.copy()
    for f in np.unique(frame).tolist():
        mine = frame == f
        result[mine] = _snapped(boxes[mine], _drawn(pictures, f), top)
    return result


def _drawn(pictures: Pictures, f: int) -> np.ndarray:
    """(h + 1, w + 1) int32: how many pixels above and left of each corner are not background."""
    pixels, colors, (background, _) = pictures
    frame = packed(pixels[f]) if colors is None else packed(colors).take(pixels[f])
    integral: np.ndarray = cv2.integral((frame != background).view(np.uint8))
    return integral


def _snapped(boxes: np.ndarray, integral: np.ndarray, top: int) -> np.ndarray:
    """The boxes (n, 4) of one frame."""
    high, wide = integral.shape[0] - 1, integral.shape[1] - 1
    x0, y0 = boxes[:, 0].astype(np.int64), boxes[:, 1].astype(np.int64) - top
    x1, y1 = x0 + boxes[:, 2].astype(np.int64), y0 + boxes[:, 3].astype(np.int64)

    def lines(across: np.ndarray, begin: np.ndarray, end: np.ndarray, columns: bool) -> np.ndarray:
        """Whether some lines, (n, k), have a pixel that is not background from ``begin`` to ``end``."""
        limit, length = (wide, high) if columns else (high, wide)
        a, b = across.clip(0, limit), (across + 1).clip(0, limit)
        c, d = begin.clip(0, length)[:, None], end.clip(0, length)[:, None]
        if columns:
            count = integral[d, b] - integral[c, b] - integral[d, a] + integral[c, a]
        else:
            count = integral[b, d] - integral[b, c] - integral[a, d] + integral[a, c]
        drawn: np.ndarray = count > 0
        return drawn

    left, right = _moves(lambda at: lines(at, y0, y1, True), x0, x1)
    up, down = _moves(lambda at: lines(at, x0, x1, False), y0, y1)
    moved = np.stack([x0 + left, y0 + up + top, x1 - x0 + right - left, y1 - y0 + down - up], axis=1)
    return moved.astype(np.float32)


def _moves(lines: Any, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By how much (n,) the lower and the upper edge of each box move along one axis."""
    offsets = np.array([-2, -1, 0, 1])
    far, near, own, inside = lines(low[:, None] + offsets).T
    first = np.where(own, -1 * (near & ~far), inside)
    far, near, own, inside = lines(high[:, None] - 1 - offsets).T
    last = np.where(own, near & ~far, -1 * inside)
    empty = high + last <= low + first
    first[empty], last[empty] = 0, 0
    return first, last
