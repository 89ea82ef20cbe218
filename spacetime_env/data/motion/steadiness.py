"""How steady a place is: for how much of the time around a frame a pixel had the colour that it has there."""

from __future__ import annotations

import numpy as np

LEVELS = 20  # steadiness is stored as whole numbers, 0 to this
STRIDE = 3  # of the frames around one, how many apart are those that it is compared with


class Window:
    """The frames around one, as they are played, and the steadiness of those that were asked for.

    Every :data:`STRIDE`-th frame of the window is compared, and only those of the frame's episode.
    """

    def __init__(self, native: tuple[int, int], window: int) -> None:
        self._window = window
        self._ring = np.zeros((2 * window + 1, *native), np.uint8)
        self._episodes = np.full(len(self._ring), -1)
        self._added = 0  # frames
        self._asked: set[int] = set()
        self.measured: dict[int, np.ndarray] = {}

    def add(self, ids: np.ndarray, episode: int) -> None:
        """Add the newest frame, and measure the one that now lies in the middle, if that was asked for."""
        at = self._added % len(self._ring)
        self._ring[at], self._episodes[at] = ids, episode
        self._added += 1
        middle = self._added - 1 - self._window
        if middle in self._asked:
            self._asked.remove(middle)
            self.measured[middle] = self._measure(middle)

    def ask(self) -> int:
        """Have the newest frame measured when it lies in the middle; returns its number."""
        self._asked.add(self._added - 1)
        return self._added - 1

    def _measure(self, middle: int) -> np.ndarray:
        first, last = max(0, middle - self._window), middle + self._window
        numbers = np.array([n for n in range(first, last + 1) if (n - middle) % STRIDE == 0]) % len(self._ring)
        here = middle % len(self._ring)
        numbers = numbers[self._episodes[numbers] == self._episodes[here]]
        same = (self._ring[numbers] == self._ring[here]).sum(0, dtype=np.uint16)
        return np.round(same * (LEVELS / len(numbers))).astype(np.uint8)
