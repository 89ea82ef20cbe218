"""Steadiness of a pixel: the fraction of the frames around a frame in which it has the same colour."""

from __future__ import annotations

import numpy as np

LEVELS = 20  # steadiness is stored as a whole number from 0 to LEVELS
STRIDE = 3  # a frame is compared with every third of the frames around it


class Window:
    """A sliding window over the frames as they are played, which measures the steadiness of requested frames.

    A frame is compared with every :data:`STRIDE`-th frame of the window, if that is of the same episode.

    Attributes:
        measured: number of a requested frame -> its steadiness, (H, W) uint8, 0 to LEVELS.

    Args:
        native: (H, W) of the frames.
        window: frames before and after a frame.
    """

    def __init__(self, native: tuple[int, int], window: int) -> None:
        self._window = window
        self._ring = np.zeros((2 * window + 1, *native), np.uint8)
        self._episodes = np.full(len(self._ring), -1)
        self._added = 0  # frames
        self._asked: set[int] = set()
        self.measured: dict[int, np.ndarray] = {}

    def add(self, ids: np.ndarray, episode: int) -> None:
        """Add a frame, (H, W) uint8 palette ids. The one now in the middle of the window is measured, if requested."""
        at = self._added % len(self._ring)
        self._ring[at], self._episodes[at] = ids, episode
        self._added += 1
        middle = self._added - 1 - self._window
        if middle in self._asked:
            self._asked.remove(middle)
            self.measured[middle] = self._measure(middle)

    def ask(self) -> int:
        """Request the steadiness of the newest frame; returns its number. It is measured ``window`` frames later."""
        self._asked.add(self._added - 1)
        return self._added - 1

    def _measure(self, middle: int) -> np.ndarray:
        first, last = max(0, middle - self._window), middle + self._window
        numbers = np.array([n for n in range(first, last + 1) if (n - middle) % STRIDE == 0]) % len(self._ring)
        here = middle % len(self._ring)
        numbers = numbers[self._episodes[numbers] == self._episodes[here]]
        same = (self._ring[numbers] == self._ring[here]).sum(0, dtype=np.uint16)
        return np.round(same * (LEVELS / len(numbers))).astype(np.uint8)
