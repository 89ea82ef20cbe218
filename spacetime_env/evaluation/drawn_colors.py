"""The colours of each class and the scenery of a game, found by counting: what :mod:`.drawn` needs to draw true boxes.

A colour belongs to a class if it fills the class's RAM boxes far more often than the rest of the screen. A colour is
scenery at a place if it is often there while no RAM box is near. Nothing is typed in for a game.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from spacetime_env.data.shards import FrameBoxes, Shard

COLORS = 128  # of the Atari; palette ids are even: 0, 2, ..., 254
CLEAR = 4  # pixels around a RAM box that are not counted as free of it, since RAM boxes are off by so much
SCENERY = 0.3  # fraction of the frames in which a place is free that has a colour of the scenery
OFTEN = 10  # frames in which a place must be free, so that its colours say what the scenery is
OWN = (0.003, 20.0)  # a colour of a class fills this fraction of its boxes at least, so many times more than elsewhere
# Shots have the colours of who fired them. So have small boxes, up to so many pixels in the median, rarer colours.
SMALL, OWN_SMALL = 32, (0.001, 100.0)


@dataclass(frozen=True)
class DrawnColors:
    """What was counted in the frames of a split. Colours are halved palette ids, 0 to 127."""

    classes: tuple[str, ...]  # C names
    own: np.ndarray  # (C, COLORS) bool, whether a colour belongs to a class
    scenery: np.ndarray  # (COLORS, H, W) bool, whether a colour is scenery at a place

    def shares(self) -> np.ndarray:
        """(C, C) bool: whether two classes have a colour in common."""
        return (self.own[:, None] & self.own[None]).any(axis=2)


def rectangles(boxes: np.ndarray, native: tuple[int, int], grow: int = 0) -> np.ndarray:
    """The pixels that boxes x, y, w, h cover, grown and cut at the screen: (n, 4) -> (n, 4) int x0, y0, x1, y1."""
    height, width = native
    low = np.floor(boxes[:, :2]).astype(int) - grow
    high = np.ceil(boxes[:, :2] + boxes[:, 2:]).astype(int) + grow
    return np.concatenate([low, high], axis=1).clip(0, [width, height, width, height])


def learn_colors(shards: Sequence[Shard]) -> DrawnColors:
    """Count the colours in the frames and labels of a split.

    Args:
        shards: with labels. The emulator's frames before are counted too, where they are there: a sprite that is drawn
            in every other frame may never be in the last.
    """
    native = (shards[0].ids.shape[2], shards[0].ids.shape[3])
    classes = tuple(sorted({name for shard in shards for name in _labels(shard).names.tolist()}))
    counts = np.zeros((COLORS, *native), np.uint32)
    free_in = [~_covered(shard, native) for shard in shards]
    for shard, free in zip(shards, free_in, strict=True):
        for ids in _screens(shard):
            for color in np.unique(ids):
                counts[color >> 1] += ((ids == color) & free).sum(axis=0, dtype=np.uint32)
    scenery = _filled(counts)
    inside, outside, more = _rates(shards, free_in, classes, scenery)
    small = np.array([_median_area(shards, name) <= SMALL for name in classes], bool)[:, None]
    own = np.zeros((len(classes), COLORS), bool)
    for those, (least, ratio) in ((True, OWN), (small, OWN_SMALL)):
        own |= those & more & (inside >= least) & (inside >= ratio * np.maximum(outside, 1e-5))
    return DrawnColors(classes, own, scenery)


def _filled(counts: np.ndarray) -> np.ndarray:
    """The scenery, from how often each colour is at each free place; where that is rare, that of the neighbour."""
    total = counts.sum(axis=0)
    rare = total < OFTEN
    scenery = counts > SCENERY * total
    if rare.any() and not rare.all():
        # A neighbour in the same row before one above: the Atari draws its scenery in bands.
        _, (rows, columns) = distance_transform_edt(rare, sampling=(4, 1), return_indices=True)
        scenery = scenery[:, rows, columns]
    return scenery


def _rates(
    shards: Sequence[Shard], free_in: Sequence[np.ndarray], classes: Sequence[str], scenery: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often a colour that is not scenery is seen, per pixel: in boxes of a class, (C, COLORS), and elsewhere.

    The third array, (C, COLORS) bool, is whether a colour is at least half as frequent in the boxes as elsewhere,
    scenery counted too. Pixels in several boxes are not counted: one object hides the other there.
    """
    native = scenery.shape[1:]
    rows, columns = np.indices(native)
    number = {name: i for i, name in enumerate(classes)}
    # The first of two: pixels that are no scenery; the second: all.
    inside, area = np.zeros((2, len(classes), COLORS)), np.zeros((len(classes), 1))
    outside, rest = np.zeros((2, COLORS)), 0
    for shard, free in zip(shards, free_in, strict=True):
        labels = _labels(shard)
        for ids in _screens(shard):
            for f, colors in enumerate(ids >> 1):
                plain = scenery[colors, rows, columns]
                outside[0] += np.bincount(colors[free[f] & ~plain], minlength=COLORS)
                outside[1] += np.bincount(colors[free[f]], minlength=COLORS)
                rest += int(free[f].sum())
                found = rectangles(labels[f], native)
                times = np.zeros(native, np.int32)
                for x0, y0, x1, y1 in found:
                    times[y0:y1, x0:x1] += 1
                for (x0, y0, x1, y1), name in zip(found, labels.names_of(f), strict=True):
                    alone = times[y0:y1, x0:x1] == 1
                    box, hidden = colors[y0:y1, x0:x1], plain[y0:y1, x0:x1]
                    inside[0, number[name]] += np.bincount(box[alone & ~hidden], minlength=COLORS)
                    inside[1, number[name]] += np.bincount(box[alone], minlength=COLORS)
                    area[number[name]] += alone.sum()
    inside, outside = inside / np.maximum(area, 1), outside / max(rest, 1)
    return inside[0], outside[0], inside[1] > outside[1] / 2


def _median_area(shards: Sequence[Shard], name: str) -> float:
    boxes = np.concatenate([_labels(shard).boxes[_labels(shard).names == name] for shard in shards])
    return float(np.median(boxes[:, 2] * boxes[:, 3]))


def _labels(shard: Shard) -> FrameBoxes:
    assert shard.labels is not None
    return shard.labels


def _screens(shard: Shard) -> list[np.ndarray]:
    """The emulator's last frames, and those before where they are recorded: (frames, H, W) uint8 palette ids."""
    both = [shard.ids] if shard.before is None else [shard.ids, shard.before]
    return [ids.reshape(-1, *ids.shape[2:]) for ids in both]


def _covered(shard: Shard, native: tuple[int, int]) -> np.ndarray:
    """Whether a pixel is in a box, grown by CLEAR pixels: (frames, H, W) bool."""
    labels = _labels(shard)
    covered = np.zeros((len(labels), *native), bool)
    for f in range(len(labels)):
        for x0, y0, x1, y1 in rectangles(labels[f], native, CLEAR):
            covered[f, y0:y1, x0:x1] = True
    return covered
