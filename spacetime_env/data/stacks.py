"""What training and evaluation need of a split, recorded from a game or made of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from spacetime_env.data.meta import SplitMeta
from spacetime_env.data.shards import FrameBoxes


class Stacks(Protocol):
    """Stacks of T consecutive frames: a :class:`~spacetime_env.data.split.Split` of a game, or a
    :class:`~spacetime_env.data.pictures.PictureSplit`. Frame t of a stack is f = stack * T + t.
    """

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def meta(self) -> SplitMeta:
        """Number and length of the stacks, size of the frames, classes of the labels."""

    def __len__(self) -> int: ...

    @property
    def native(self) -> tuple[int, int]:
        """H, W of the frames."""

    def frames(self, stacks: Sequence[int] | None = None) -> np.ndarray:
        """Native frames of some stacks, None: of all: (n, T, H, W, 3) uint8 RGB."""

    def small(self, size: tuple[int, int], rows: tuple[int, int] = (0, 0)) -> np.ndarray:
        """All frames, or some rows of them, at ``size`` (h, w): (stacks, T, h, w, 3) uint8 RGB."""

    @property
    def background(self) -> np.ndarray:
        """Mode or median image of all frames: (H, W, 3) uint8 RGB."""

    @property
    def labels(self) -> FrameBoxes:
        """True boxes and names of the visible objects. Raises DatasetError where ``meta.labels`` is false."""

    @property
    def motion_boxes(self) -> FrameBoxes:
        """Motion boxes of all frames, ``x, y, w, h`` in native pixels."""

    def motion_masks(
        self,
        size: tuple[int, int] | None = None,
        stacks: Sequence[int] | None = None,
        rows: tuple[int, int] = (0, 0),
    ) -> np.ndarray:
        """How much of each pixel moves: (n, T, h, w) uint8, 0 to 255."""

    def prepare(self) -> None:
        """Compute what is missing."""
