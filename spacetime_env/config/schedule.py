"""A value that changes as training goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A value that changes linearly from ``start`` to ``end`` during a part of the training."""

    start: float
    end: float
    begin: float = 0.0  # where the part begins, as a fraction of the training ...
    until: float = 1.0  # ... and where it ends

    def at(self, progress: float) -> float:
        """The value at ``progress``, the fraction of the training that is done (0 to 1)."""
        if progress <= self.begin or self.until <= self.begin:
            return self.start if progress <= self.begin else self.end
        if progress >= self.until:
            return self.end
        part = (progress - self.begin) / (self.until - self.begin)
        return self.start + (self.end - self.start) * part
