"""The pixels of a frame that belong to each RAM box: of its class's colours, near it, and not nearer to others."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from spacetime_env.evaluation.drawn_colors import DrawnColors, rectangles

REACH = 30  # pixels that an object can reach beyond its RAM box: Boxing's arms
NEAR = 6  # an object none of whose pixels touch its RAM box can be so many pixels away from it
GAP = 2  # parts of an object can be so many pixels apart
NOWHERE = 10**6


@dataclass(frozen=True)
class OwnPixels:
    """The pixels of the colours of some class that are no scenery, in one frame."""

    rows: np.ndarray  # (P,) int
    columns: np.ndarray  # (P,) int
    owned: np.ndarray  # (n, P) bool, whether a pixel belongs to an object


def own_colored(ids: np.ndarray, colors: DrawnColors) -> np.ndarray:
    """Where a frame of palette ids, (H, W) uint8, has a colour of some class that is no scenery there: (H, W) bool."""
    halved = ids >> 1
    scenery = np.take_along_axis(colors.scenery, halved[None].astype(int), axis=0)[0]
    some = colors.own.sum(axis=0) > 0
    return some[halved] & ~scenery


def own_pixels(
    ids: np.ndarray, boxes: np.ndarray, classes: np.ndarray, colors: DrawnColors, shown: np.ndarray
) -> OwnPixels:
    """Find the pixels of each object of a frame.

    A pixel goes to the object that has its colour and whose RAM box is nearest. Where RAM boxes overlap, it goes to all
    of them. Of an object's pixels, those are kept that touch its RAM box, and what they touch; if none does, the
    nearest part.

    Args:
        ids: (H, W) uint8 palette ids.
        boxes: (n, 4) RAM boxes x, y, w, h.
        classes: (n,) int, the classes of the boxes, as numbers of ``colors.classes``.
        shown: (H, W) bool, the pixels that the model is shown.
    """
    native = (ids.shape[0], ids.shape[1])
    rows, columns = np.nonzero(own_colored(ids, colors) & shown)
    fits = colors.own[classes][:, ids[rows, columns] >> 1]  # (n, P)
    distance, centers = _distances(rectangles(boxes, native), rows, columns)
    rank = np.where(fits, distance + centers, NOWHERE)  # of two boxes as near, that with the nearer centre
    wanted = fits & (distance <= REACH) & ((distance == 0) | (rank <= rank.min(axis=0, initial=NOWHERE)))
    owned = np.zeros_like(wanted)
    for i in range(len(boxes)):
        at = np.flatnonzero(wanted[i])
        if len(at):
            owned[i, at[_attached(rows[at], columns[at], distance[i, at])]] = True
    return OwnPixels(rows, columns, owned)


def _distances(boxes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel to each box x0, y0, x1, y1: the larger of dx and dy, and under 0.5 that to the centre; (n, P)."""
    low_x, low_y, high_x, high_y = (boxes[:, i, None] for i in range(4))
    dx = np.maximum(np.maximum(low_x - columns, columns - (high_x - 1)), 0)
    dy = np.maximum(np.maximum(low_y - rows, rows - (high_y - 1)), 0)
    centers = np.hypot((low_x + high_x - 1) / 2 - columns, (low_y + high_y - 1) / 2 - rows)
    return np.maximum(dx, dy), centers / 1000


def _attached(rows: np.ndarray, columns: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(p,) bool: which pixels of an object's colours hang together with its RAM box."""
    part = _numbered(rows - rows.min(), columns - columns.min(), GAP)
    touching = np.unique(part[distance <= 1])
    if not len(touching):
        if distance.min() > NEAR:
            return np.zeros(len(rows), bool)
        touching = part[[int(distance.argmin())]]
    return np.isin(part, touching)


def _numbered(rows: np.ndarray, columns: np.ndarray, gap: int) -> np.ndarray:
    """The number of the part that each pixel belongs to; up to ``gap`` pixels can lie between pixels of a part."""
    mask = np.zeros((int(rows.max()) + 1 + gap, int(columns.max()) + 1 + gap), np.uint8)
    mask[rows, columns] = 1
    # Each pixel is spread to the right and down, so that parts that near touch.
    spread = cv2.dilate(mask, np.ones((gap + 1, gap + 1), np.uint8), anchor=(gap, gap))
    return cv2.connectedComponents(spread, connectivity=8)[1][rows, columns]


def parts(rows: np.ndarray, columns: np.ndarray, gap: int) -> list[np.ndarray]:
    """The pixels of each part of a mask, as positions in ``rows``; up to ``gap`` pixels can lie within a part."""
    if not len(rows):
        return []
    number = _numbered(rows, columns, gap)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def tight_box(rows: np.ndarray, columns: np.ndarray) -> tuple[int, int, int, int]:
    """The box x, y, w, h around pixels; at least one."""
    x, y = int(columns.min()), int(rows.min())
    return x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y
