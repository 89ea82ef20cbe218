"""Which classes of a game move, from the RAM boxes of a recording."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spacetime_env.data.shards import FrameBoxes

MOVED = 0.005  # a class moves if more than this fraction of its boxes are elsewhere in the next frame ...
STEP = 24  # ... up to so many pixels from a box that is gone


def moving_classes(labels: Iterable[tuple[FrameBoxes, int]]) -> frozenset[str]:
    """The classes some of whose boxes move from one frame of a stack to the next.

    A box moves if both its upper left and its lower right corner are where none of its class was, and a box within STEP
    pixels is gone. So a pill that is eaten does not move, nor does a bar that gets shorter.

    Args:
        labels: RAM boxes of the frames of some stacks, and the number of frames in a stack.
    """
    moved: dict[str, int] = {}
    total: dict[str, int] = {}
    for boxes, length in labels:
        for f in range(len(boxes) - 1):
            if (f + 1) % length == 0:
                continue
            before, after = _by_class(boxes, f), _by_class(boxes, f + 1)
            for name, found in after.items():
                total[name] = total.get(name, 0) + len(found)
                moved[name] = moved.get(name, 0) + _count_moved(before.get(name, found[:0]), found)
    return frozenset(name for name, count in moved.items() if count > MOVED * total[name])


def _by_class(labels: FrameBoxes, frame: int) -> dict[str, np.ndarray]:
    names = np.array(labels.names_of(frame), object)
    return {name: labels[frame][names == name] for name in set(names.tolist())}


def _count_moved(before: np.ndarray, after: np.ndarray) -> int:
    """How many of the boxes of a class, x, y, w, h, have moved since the frame before."""
    low_before, low_after = before[:, None, :2], after[None, :, :2]
    high_before, high_after = low_before + before[:, None, 2:], low_after + after[None, :, 2:]
    same = (low_before == low_after).all(axis=2) | (high_before == high_after).all(axis=2)
    near = (np.abs(low_before - low_after) <= STEP).all(axis=2)
    gone, new = ~same.any(axis=1), ~same.any(axis=0)
    return int((new & (near & gone[:, None]).any(axis=0)).sum())
