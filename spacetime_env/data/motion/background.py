"""The background of many frames: how often each colour occurs at each pixel, and the mode or median image."""

from __future__ import annotations

from typing import Literal

import numpy as np


class ColorCounts:
    """How often each colour occurs at each pixel of the frames added so far.

    Colours are palette ids. Frames can be added and removed, so it serves a whole set, shard by shard, and a moving
    trail. Memory: one (H, W) int32 image for each colour that occurred.

    Args:
        native: (H, W) of the frames.
    """

    def __init__(self, native: tuple[int, int]) -> None:
        self._native = native
        self._counts: dict[int, np.ndarray] = {}
        self._shares: np.ndarray | None = None
        self.total = 0  # frames

    def add(self, ids: np.ndarray) -> None:
        """Add frames: (N, H, W) uint8 palette ids."""
        self._count(ids, 1)

    def remove(self, ids: np.ndarray) -> None:
        """Remove frames that were added, (N, H, W) uint8 palette ids."""
        self._count(ids, -1)

    def _count(self, ids: np.ndarray, sign: int) -> None:
        if ids.ndim != 3 or ids.shape[1:] != self._native or ids.dtype != np.uint8:
            raise ValueError(f"expected (N, {self._native}) uint8 palette ids, got {ids.shape} {ids.dtype}.")
        for color in np.flatnonzero(np.bincount(ids.ravel(), minlength=256)).tolist():
            seen = self._counts.setdefault(color, np.zeros(self._native, np.int32))
            seen += sign * (ids == color).sum(0, dtype=np.int32)
        self.total += sign * len(ids)
        self._shares = None

    def share(self, ids: np.ndarray) -> np.ndarray:
        """The fraction of the frames in which a pixel has its colour in ``ids``: (H, W) uint8 -> (H, W) in [0, 1]."""
        if self._shares is None:
            self._shares = np.zeros((256, *self._native), np.float32)
            for color, seen in self._counts.items():
                self._shares[color] = seen / max(self.total, 1)
        return np.take_along_axis(self._shares, ids[None].astype(np.intp), 0)[0]

    def image(self, palette: np.ndarray, kind: Literal["mode", "median"] = "mode") -> np.ndarray:
        """The background: (H, W, 3) uint8.

        Args:
            palette: (256, 3) uint8, the colour of each id.
            kind: ``mode``, the most frequent colour (of equally frequent ones the lowest id), or ``median`` of each
                channel (of two middle values the lower one).

        Raises:
            ValueError: no frame was added.
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
    numbers = packed(frames)
    colors = np.unique(numbers)
    if len(colors) > 256:
        raise ValueError(f"the frames have {len(colors)} colours; native Atari frames have at most 128.")
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], -1)
    counts = ColorCounts(frames.shape[1:3])
    counts.add(np.searchsorted(colors, numbers).astype(np.uint8))
    return counts.image(palette, kind)


def packed(frames: np.ndarray) -> np.ndarray:
    """Colours as numbers: (..., 3) uint8 -> (...) int32."""
    wide = frames.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
