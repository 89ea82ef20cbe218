"""From frames to motion targets: background, difference, mask, boxes, cells.

The published algorithm of SPACE-Time (Delfosse et al. 2022, arXiv 2211.09771) on native frames: the absolute
difference of a frame to the mode background, over its own mean, closed, gives a mask; each connected part of
it a box; the cell that holds a box's centre gets z_pres 1 and the box as z_where.

Each stage is a function on plain arrays, so that a better one can take its place. One is here: with
``components="color"`` each part of one colour is an object of its own, so that a ball that touches a paddle
stays a ball. On the shipped validation and test splits of Pong (visible RAM boxes, IoU 0.5) F1 goes from
0.995 to 0.999 and the recall of the ball from 0.973 to 0.998.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from spacetime_env.config import ConfigError, MotionConfig
from spacetime_env.frames import boxes_to_z_where

STAGES = 1  # counts up when a change gives other masks or boxes: saved ones are then made again
NO_BOXES = np.zeros((0, 4), np.float32)


class ColorCounts:
    """How often each colour occurred at each pixel; gives the mode or the median image.

    Colours are palette ids. Frames can be added and taken away, so it serves a whole set, shard by shard, and
    a moving trail alike. Memory: one (H, W) int32 image for each colour that occurred.
    """

    def __init__(self, native: tuple[int, int]) -> None:
        self._native = native
        self._counts: dict[int, np.ndarray] = {}
        self.total = 0  # frames

    def add(self, ids: np.ndarray) -> None:
        """Count frames: (N, H, W) uint8 palette ids."""
        self._count(ids, 1)

    def remove(self, ids: np.ndarray) -> None:
        """Take back frames that were added."""
        self._count(ids, -1)

    def _count(self, ids: np.ndarray, sign: int) -> None:
        if ids.ndim != 3 or ids.shape[1:] != self._native or ids.dtype != np.uint8:
            raise ValueError(f"expected (N, {self._native}) uint8 palette ids, got {ids.shape} {ids.dtype}.")
        for color in np.flatnonzero(np.bincount(ids.ravel(), minlength=256)).tolist():
            seen = self._counts.setdefault(color, np.zeros(self._native, np.int32))
            seen += sign * (ids == color).sum(0, dtype=np.int32)
        self.total += sign * len(ids)

    def image(self, palette: np.ndarray, kind: Literal["mode", "median"] = "mode") -> np.ndarray:
        """The background: (H, W, 3) uint8.

        Args:
            palette: (256, 3) uint8, the colour of each id.
            kind: ``mode``, the most frequent colour (the lowest id of equals), or ``median`` of each channel
                (the lower of the two middle values).
        """
        if not self.total:
            raise ValueError("a background needs at least one frame, and none was given.")
        colors = np.array(sorted(self._counts))
        counts = np.stack([self._counts[color] for color in colors])
        if kind == "mode":
            return palette[colors[counts.argmax(0)]]
        image = np.empty((*self._native, 3), np.uint8)
        for channel in range(3):
            order = np.argsort(palette[colors, channel], kind="stable")
            middle = (np.cumsum(counts[order], 0) < (self.total + 1) // 2).sum(0)
            image[..., channel] = palette[colors[order], channel][middle]
        return image


def background_of(frames: np.ndarray, kind: Literal["mode", "median"] = "mode") -> np.ndarray:
    """The mode or median image of frames of at most 256 colours. See :class:`ColorCounts`.

    Args:
        frames: (N, H, W, 3) uint8, N >= 1.

    Returns:
        (H, W, 3) uint8.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"expected frames (N, H, W, 3) uint8, N >= 1, got {frames.shape} {frames.dtype}.")
    packed = _packed(frames)
    colors = np.unique(packed)
    if len(colors) > 256:
        raise ValueError(f"the frames have {len(colors)} colours; native Atari frames have at most 128.")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], -1)
    counts = ColorCounts(frames.shape[1:3])
    counts.add(np.searchsorted(colors, packed).astype(np.uint8))
    return counts.image(palette, kind)


def difference(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Absolute difference, summed over the channels: (H, W) uint16, 0 to 765."""
    if frame.shape != background.shape:
        raise ValueError(f"the frame is {frame.shape}, the background {background.shape}; expected the same.")
    apart: np.ndarray = cv2.absdiff(frame, background)
    return np.add(apart[..., 0], apart[..., 1], dtype=np.uint16) + apart[..., 2]


def close(mask: np.ndarray, side: int) -> np.ndarray:
    """Closing with a square: fills holes and joins parts less than ``side`` px apart. (H, W) bool."""
    if side < 1 or side % 2 == 0:
        raise ConfigError(f"motion.closing: expected an odd number (an even one shifts boxes), got {side}.")
    if side == 1:
        return mask
    kernel = np.ones((side, side), np.uint8)
    # A margin, since OpenCV would let what is near the frame's edge grow to it.
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    return cv2.morphologyEx(wide, cv2.MORPH_CLOSE, kernel)[side:-side, side:-side] > 0


def motion_mask(frame: np.ndarray, background: np.ndarray, config: MotionConfig) -> np.ndarray:
    """Where something moves: the difference over its mean, closed.

    Args:
        frame, background: (H, W, 3) uint8.

    Returns:
        (H, W) bool. All false if the frame is the background.
    """
    apart = difference(frame, background)
    return close(apart > apart.mean(), config.closing)


def motion_boxes(mask: np.ndarray, config: MotionConfig, frame: np.ndarray | None = None) -> np.ndarray:
    """A box around each connected part of the mask (8 neighbours), largest first.

    Args:
        mask: (H, W) bool.
        frame: (H, W, 3) uint8; needed where ``config.components`` is ``"color"``. The mask should then not be
            closed: each colour's part is.

    Returns:
        (n, 4) float32 ``x, y, w, h`` in pixels of the mask.
    """
    if config.components == "color":
        if frame is None or frame.shape[:2] != mask.shape:
            raise ValueError("motion.components=color needs the frame that the mask was made from.")
        parts = _color_parts(mask, frame, config.closing)
    else:
        parts = [mask]
    boxes = np.concatenate([_part_boxes(part) for part in parts]) if parts else NO_BOXES
    area = boxes[:, 2] * boxes[:, 3]
    keep = (area >= config.min_area) & (area <= config.max_area * mask.size)
    boxes, area = boxes[keep], area[keep]
    # Position settles ties, so that the order is the same whatever the way the parts were found.
    return boxes[np.lexsort((boxes[:, 0], boxes[:, 1], -area))]


def motion_of(
    frame: np.ndarray, background: np.ndarray, config: MotionConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and boxes of one frame: every stage, in order. See :func:`motion_mask` and :func:`motion_boxes`.

    Returns:
        (H, W) bool, and (n, 4) float32 ``x, y, w, h``.
    """
    apart = difference(frame, background)
    raw = apart > apart.mean()
    mask = close(raw, config.closing)
    return mask, motion_boxes(raw if config.components == "color" else mask, config, frame)


def targets(boxes: np.ndarray, native: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one frame as targets of the grid's cells; where two share a cell, the larger has it.

    Args:
        boxes: (n, 4) ``x, y, w, h`` in native pixels.
        native: (H, W) of the frame.
        grid: G.

    Returns:
        z_pres (G * G, 1) float32, 1 in the cells that hold a box's centre, and z_where (G * G, 4) float32,
        there ``w, h`` as a part of the frame and the centre ``x, y`` in (-1, 1), else 0. Cells go row by row
        from the top left.
    """
    z_pres, z_where = np.zeros((grid * grid, 1), np.float32), np.zeros((grid * grid, 4), np.float32)
    if len(boxes):
        boxes = boxes[np.argsort(boxes[:, 2] * boxes[:, 3], kind="stable")]  # the larger is written last
        center = (boxes[:, :2] + boxes[:, 2:] / 2) / (native[1], native[0])
        column, row = (center * grid).astype(int).clip(0, grid - 1).T
        for cell, where in zip(row * grid + column, boxes_to_z_where(boxes, native), strict=True):
            z_pres[cell], z_where[cell] = 1, where
    return z_pres, z_where


def _packed(frames: np.ndarray) -> np.ndarray:
    """Colours as numbers: (..., 3) uint8 -> (...) int32."""
    wide = frames.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _color_parts(mask: np.ndarray, frame: np.ndarray, side: int) -> Sequence[np.ndarray]:
    colors = np.where(mask, _packed(frame), -1)
    return [close(colors == color, side) for color in np.unique(colors[mask])]


def _part_boxes(mask: np.ndarray) -> np.ndarray:
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return NO_BOXES
    # A contour with a parent is the edge of a hole; a part inside a hole has none.
    outer = [cv2.boundingRect(c) for c, (*_, parent) in zip(contours, tree[0], strict=True) if parent < 0]
    return np.array(outer, np.float32)
