"""Boxes put on what is drawn: an edge that is a pixel off moves to where the pixels begin that are not background.

A network places an object of 2 x 2 pixels to a pixel or so, and a box that is a pixel off has an IoU of a third. Where
it sees the game's own pixels before a fixed background, the edge can be read from the picture.
:mod:`spacetime_env.objects.snap_compiled` has the same rule, compiled.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import cv2
import numpy as np

from spacetime_env.compiled import INSTALLED

loops: Any = None
if INSTALLED:
    from spacetime_env.objects import snap_compiled

    loops = snap_compiled


_PLACES = np.array([1 << 16, 1 << 8, 1], np.int32)


class Backdrop(NamedTuple):
    """A fixed background in native pixels, of the rows that a network sees."""

    pixels: np.ndarray  # (h, w) int32, see :func:`packed`
    top: int  # the row of the frame that is its first


def packed(colors: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8 as one number each: (...) int32."""
    numbers: np.ndarray = colors.astype(np.int32) @ _PLACES
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
    frame = packed(pixels[f]) if colors is None else cv2.LUT(pixels[f], packed(colors))
    integral: np.ndarray = cv2.integral((frame != background).view(np.uint8))
    return integral


def _snapped(boxes: np.ndarray, integral: np.ndarray, top: int) -> np.ndarray:
    """The boxes (n, 4) of one frame."""
    high, wide = integral.shape
    low = boxes[:, :2].astype(np.int64)
    low[:, 1] -= top
    both = np.concatenate([low, low + boxes[:, 2:].astype(np.int64)], axis=1)  # left, up, right, down
    around = both[:, :, None] + _AROUND
    limits = _limits(wide - 1, high - 1)
    np.minimum(np.maximum(around, 0, out=around), limits, out=around)
    ends = around[:, :, 2]  # the edges themselves, within the picture
    flat = integral.ravel()
    columns, rows = around[:, ::2].reshape(-1, 10), around[:, 1::2].reshape(-1, 10) * wide
    counts = np.empty((2, len(boxes), 10), integral.dtype)  # pixels above or left of each line, as far as the box goes
    counts[0] = flat.take(columns + ends[:, 3:] * wide) - flat.take(columns + ends[:, 1:2] * wide)
    counts[1] = flat.take(rows + ends[:, 2:3]) - flat.take(rows + ends[:, :1])
    drawn = counts[..., 1:] != counts[..., :-1]  # (2, n, 9): a line of pixels each; the one in the middle is none
    first = drawn[..., 3] > drawn[..., 2]  # inwards: inside, but not its own
    first = first.astype(np.int64) - (drawn[..., 2] & drawn[..., 1] & ~drawn[..., 0])
    last = (drawn[..., 6] & drawn[..., 7] & ~drawn[..., 8]).astype(np.int64) - (drawn[..., 5] > drawn[..., 6])
    gone = both[:, 2:].T + last <= low.T + first
    if gone.any():
        first[gone], last[gone] = 0, 0
    moved = boxes.copy()
    moved[:, :2] += first.T
    moved[:, 2:] += (last - first).T
    return moved


_AROUND = np.arange(-2, 3)  # of an edge: the lines that are looked at lie between these


@functools.lru_cache(maxsize=64)
def _limits(wide: int, high: int) -> np.ndarray:
    """The largest value of left, up, right, down: (4, 1)."""
    return np.array([wide, high, wide, high])[:, None]
