"""From a network's latents to named objects: a :class:`Describer` makes the detections of some frames."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spacetime_env.compiled import INSTALLED
from spacetime_env.config import SceneConfig
from spacetime_env.frames import z_where_to_boxes
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.snap import Pictures, snap

loops: Any = None
if INSTALLED:
    from spacetime_env.objects import describe_compiled

    loops = describe_compiled


@dataclass(frozen=True)
class Describer:
    """Makes the detections of some frames, all at once: one call costs little more than one frame.

    Args:
        predict: (n, D) float32 z_what -> (n,) whole numbers, indices into the class names. It is not called if nothing
            was found.
        class_names: all classes, in the order of the indices.
        config: ``threshold``: a cell whose z_pres is over it is an object. ``ignore``: objects with their centre in one
            of these regions are dropped. ``overlap``: of two boxes of a frame with a greater IoU, the less certain one
            is dropped. ``whole_pixels``: the edges of boxes are put on whole pixels; ``cut``: they end at the frame's
            edges. ``snap``: see :mod:`spacetime_env.objects.snap`. z_where stays as it is.
        native: H, W of a frame in pixels.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    class_names: tuple[str, ...]
    config: SceneConfig
    native: tuple[int, int]

    def describe(
        self,
        frame: np.ndarray,
        frames: int,
        z_pres: np.ndarray,
        z_where: np.ndarray,
        z_what: np.ndarray,
        pictures: Pictures | None = None,
    ) -> list[Detections]:
        """The objects of each frame, the most certain one first.

        Args:
            frame: (M,) the frame of each cell, 0 to ``frames`` - 1.
            frames: how many there are.
            z_pres: (M,) probabilities.
            z_where: (M, 4), see :mod:`spacetime_env.frames`.
            z_what: (M, D).
            pictures: the frames in native pixels before their background; None: edges stay where they are.

        Raises:
            ValueError: a present cell whose place is not a number.
        """
        arranged = _arranged if loops is None else _arranged_quickly
        order, places, boxes, frame = arranged(frame, z_pres, z_where, self.config, self.native)
        if pictures is not None and self.config.snap and self.config.whole_pixels:
            boxes = snap(boxes, frame, pictures)
        if self.config.cut:
            boxes = _cut(boxes, self.native)
        confidence, what = z_pres[order].astype(np.float32), z_what[order].astype(np.float32)
        class_ids = np.asarray(self.predict(what), np.int64) if len(what) else np.zeros(0, np.int64)
        ends = np.bincount(frame, minlength=frames).cumsum().tolist()
        parts = (slice(start, end) for start, end in zip([0, *ends], ends, strict=False))  # the last end starts nothing
        return [
            Detections(boxes[i], places[i], class_ids[i], confidence[i], what[i], self.class_names) for i in parts
        ]


FEW = 64  # boxes of all frames together, up to which it is quicker to ask first whether any two touch

Arranged = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_DIVERGED = "z_where of a present object is not finite: the network has diverged."


def _arranged(
    frame: np.ndarray, z_pres: np.ndarray, z_where: np.ndarray, config: SceneConfig, native: tuple[int, int]
) -> Arranged:
    """Which cells are kept, frame by frame, the most certain first; their z_where, boxes and frames."""
    order = np.lexsort((-z_pres, frame))  # frame by frame, the most certain first
    order = order[z_pres[order] > config.threshold]
    places = z_where[order].astype(np.float32)
    if not np.isfinite(places).all():
        raise ValueError(_DIVERGED)
    boxes, frame = z_where_to_boxes(places, native), frame[order]
    overlapping, boxes = boxes, _whole(boxes) if config.whole_pixels else boxes
    kept = ~in_regions(boxes, config.ignore)
    _drop_overlaps(overlapping, frame, kept, config.overlap)
    if not kept.all():
        order, places, boxes, frame = order[kept], places[kept], boxes[kept], frame[kept]
    return order, places, boxes, frame


def _arranged_quickly(
    frame: np.ndarray, z_pres: np.ndarray, z_where: np.ndarray, config: SceneConfig, native: tuple[int, int]
) -> Arranged:
    """As :func:`_arranged`, compiled."""
    certain, where = np.asarray(z_pres, np.float32), np.asarray(z_where, np.float32)
    if (frame[1:] < frame[:-1]).any():
        return _arranged(frame, z_pres, z_where, config, native)
    ignore = np.array(config.ignore, np.float32).reshape(-1, 4)
    limits = (np.float32(config.threshold), ignore, np.float32(config.overlap), config.whole_pixels)
    order, boxes, finite = loops.arrange(np.asarray(frame, np.int64), certain, where, *limits, *native)
    if not finite:
        raise ValueError(_DIVERGED)
    return order, where[order], boxes, frame[order]


def _whole(boxes: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) with each edge on the nearest whole pixel, at least one wide and high."""
    low = np.rint(boxes[:, :2])
    high = np.rint(boxes[:, :2] + boxes[:, 2:])
    return np.concatenate([low, np.maximum(high - low, 1)], axis=1)


def _cut(boxes: np.ndarray, native: tuple[int, int]) -> np.ndarray:
    """Boxes (n, 4) that end at the frame's edges; one that lies outside has no area."""
    sides = np.array([native[1], native[0]], boxes.dtype)
    low, high = np.clip(boxes[:, :2], 0, sides), np.clip(boxes[:, :2] + boxes[:, 2:], 0, sides)
    return np.concatenate([low, high - low], axis=1)


def in_regions(boxes: np.ndarray, regions: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    """Whether the centre of each box (n, 4) lies in one of the regions x, y, w, h: (n,) bool."""
    if not regions:
        return np.zeros(len(boxes), bool)
    low, high = _corners(tuple(map(tuple, regions)), boxes.dtype)
    center = boxes[:, :2] + boxes[:, 2:] / 2
    inside = center >= low  # (R, n, 2)
    inside &= center < high
    return np.logical_or.reduce(inside[..., 0] & inside[..., 1], axis=0)


@functools.lru_cache(maxsize=64)
def _corners(regions: tuple[tuple[int, int, int, int], ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Top-left and bottom-right corners of regions x, y, w, h: (R, 1, 2) each."""
    both = np.array(regions, dtype)[:, None]
    return both[..., :2], both[..., :2] + both[..., 2:]


def _any_touch(boxes: np.ndarray, frame: np.ndarray) -> bool:
    """Whether any two boxes (n, 4) of the same frame have a common area."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    begins = low[:, None] < high  # (n, n, 2): one begins before the other ends
    touch = begins[..., 0] & begins[..., 1]
    touch &= touch.T
    touch &= frame[:, None] == frame
    return bool(np.count_nonzero(touch) > np.count_nonzero(touch.diagonal()))


def _drop_overlaps(boxes: np.ndarray, frame: np.ndarray, kept: np.ndarray, limit: float) -> None:
    """Clear ``kept`` where an earlier kept box of the same frame has an IoU over ``limit``."""
    if len(boxes) < 2 or (len(boxes) <= FEW and not _any_touch(boxes, frame)):
        return
    counts = np.bincount(frame)
    start, most = counts.cumsum() - counts, int(counts.max())
    if most == len(boxes):  # all in one frame
        padded, start = boxes[None], start[-1:]
    else:
        padded = np.zeros((len(counts), most, 4), boxes.dtype)  # an empty box overlaps nothing
        padded[frame, np.arange(len(boxes)) - start[frame]] = boxes
    size = padded[:, :, 2:]
    low, high, area = padded[:, :, :2], padded[:, :, :2] + size, size[:, :, 0] * size[:, :, 1]
    common = np.minimum(high[:, :, None], high[:, None]) - np.maximum(low[:, :, None], low[:, None])
    np.maximum(common, 0, out=common)
    shared, order = common[..., 0] * common[..., 1], np.arange(most)
    too_much = shared > limit * (area[:, :, None] + area[:, None] - shared)
    too_much &= order[:, None] < order  # each pair once
    if not too_much.any():
        return
    for f, i, j in zip(*(index.tolist() for index in too_much.nonzero()), strict=True):  # most certain first
        if kept[start[f] + i]:
            kept[start[f] + j] = False
