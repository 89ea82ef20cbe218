"""Made-up recordings, pixel by pixel. ``from tests.helpers.screens import Screen, shard``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from spacetime_env.data.shards import FrameBoxes, Shard

NATIVE = (30, 40)  # H, W
RED, GREEN, BLUE, SKY, GROUND = 2, 4, 6, 8, 10  # palette ids; those of the emulator are even
PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[[RED, GREEN, BLUE, SKY, GROUND]] = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 40), (40, 40, 0)]
Box = tuple[int, int, int, int]  # x, y, w, h


@dataclass
class Screen:
    """One frame: a sky above a ground, rectangles of a colour, and what the RAM says."""

    draw: Sequence[tuple[Box, int]]
    ram: Sequence[tuple[Box, str]]
    before: Sequence[tuple[Box, int]] | None = None  # in the emulator's frame before; None: as in ``draw``
    sky: int = SKY
    ids: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.ids = self.picture(self.draw)

    def picture(self, draw: Sequence[tuple[Box, int]]) -> np.ndarray:
        """(H, W) uint8 palette ids."""
        ids = np.full(NATIVE, self.sky, np.uint8)
        ids[24:] = GROUND
        for (x, y, w, h), color in draw:
            ids[max(y, 0) : y + h, max(x, 0) : x + w] = color
        return ids


def shard(screens: Sequence[Screen], length: int = 2) -> Shard:
    """A shard of stacks of ``length`` screens."""
    n = len(screens) // length
    ids = np.stack([one.ids for one in screens]).reshape(n, length, *NATIVE)
    before = np.stack([one.picture(one.draw if one.before is None else one.before) for one in screens])
    boxes = np.array([box for one in screens for box, _ in one.ram], np.float32).reshape(-1, 4)
    names = np.array([name for one in screens for _, name in one.ram], np.str_)
    labels = FrameBoxes.of(boxes, np.array([len(one.ram) for one in screens]), names)
    steps = np.arange(n * length, dtype=np.int32).reshape(n, length)
    return Shard(ids, PALETTE, np.zeros(n, np.int32), steps, labels, None, None, before.reshape(ids.shape))
