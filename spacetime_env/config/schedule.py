"""A value that changes as training goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A value that goes linearly from ``start`` to ``end`` between two points of the training (0: start, 1: end)."""

    start: float
    end: float
    begin: float = 0.0
    until: float = 1.0

    def at(self, progress: float) -> float:
        """The value when ``progress`` (0 to 1) of the training is done: linear between its two ends."""
        if progress <= self.begin or self.until <= self.begin:
            return self.start if progress <= self.begin else self.end
        if progress >= self.until:
            return self.end
        part = (progress - self.begin) / (self.until - self.begin)
        return self.start + (self.end - self.start) * part
