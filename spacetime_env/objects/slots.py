"""The slots of one class: which detection is which object, and what is known of each. See
:mod:`spacetime_env.objects.tracker`.

Two forms of the same rules, as a test shows: :class:`FewSlots` in plain numbers and, in arrays,
:class:`spacetime_env.objects.slot_arrays.ManySlots`. For one object arrays are the slower, for many the faster.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

MANY = 7  # so many slots and more are kept in arrays

# The tracker's own numbers. They are ratios, so they hold for any game; max_speed and keep are the game's.
REACH = 1.5  # max_speeds an object may be from where it was expected (a diagonal step is 1.41 of them) ...
REACH_GROWTH = 0.25  # ... and this part more for each step it was not seen
TURN = 0.75  # weight of the last place, beside the expected one, for an object that may have turned round
DOUBT = 0.25  # cost of a detection of no confidence; one at the edge of the reach costs 1
STALE = 0.1  # cost for each step an object was not seen: where two merge into one box, it stays one's own
SMOOTH = 0.5  # part of the newest displacement in the velocity that predicts

# Places are complex numbers x + iy in native pixels: a difference and its length are one operation each.


class Sight(NamedTuple):
    """A detection: its number in the frame, the place of its centre, its size and confidence."""

    number: int
    at: complex
    w: float
    h: float
    confidence: float


class _Track:
    """An object: its last place and size, last displacement, predicting velocity, steps not seen."""

    __slots__ = ("at", "h", "missed", "moved", "source", "step", "velocity", "w")

    def __init__(self, seen: Sight) -> None:
        self.source, self.at, self.w, self.h, _ = seen
        self.step = self.velocity = 0j
        self.missed = 0
        self.moved = False  # whether a displacement was measured yet

    def see(self, seen: Sight) -> None:
        self.step = (seen.at - self.at) / (self.missed + 1)
        self.velocity += (SMOOTH if self.moved else 1.0) * (self.step - self.velocity)
        self.source, self.at, self.w, self.h, _ = seen
        self.missed = 0
        self.moved = True

    def miss(self) -> None:
        self.missed += 1
        self.step = 0j
        self.source = -1

    def costs(self, seen: list[Sight], reach: float, stale: float) -> list[float]:
        """What each detection costs; see :meth:`spacetime_env.objects.slot_arrays.ManySlots._match`."""
        at, ahead = self.at, self.velocity * (self.missed + 1)
        reach *= 1.0 + REACH_GROWTH * self.missed
        found = []
        for sight in seen:
            off = sight.at - at
            from_last, expected = abs(off), abs(off - ahead)
            distance = min(expected, expected + TURN * (from_last - expected))
            found.append(math.sqrt(distance / reach) + DOUBT * (1.0 - sight.confidence) + stale * self.missed)
        return found


class FewSlots:
    """The slots of a class with one object, or few.

    Args:
        slots: how many.
        reach: native pixels that an object may be from where it was expected.
        keep: steps that a lost object is kept.
    """

    def __init__(self, slots: int, reach: float, keep: int) -> None:
        self.slots = slots
        self.reach = reach
        self.keep = keep
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        self.tracks: list[_Track | None] = [None] * self.slots
        self.waiting: list[Sight] = []  # seen in the last step, but no slot was free

    def update(self, seen: list[Sight]) -> None:
        """Take the detections of the next frame."""
        alive = [track for track in self.tracks if track is not None]
        taken = self._match(alive, seen) if alive and seen else [None] * len(alive)
        for track, sight in zip(alive, taken, strict=True):
            if sight is not None:
                track.see(sight)
            else:
                track.miss()
                if track.missed > self.keep:
                    self.tracks[self.tracks.index(track)] = None
        if len(alive) == len(seen) and None not in taken:
            self.waiting = []
            return
        used = {id(sight) for sight in taken}
        self._place([sight for sight in seen if id(sight) not in used])

    def _match(self, alive: list[_Track], seen: list[Sight]) -> list[Sight | None]:
        """The detection of each object, or None; see :meth:`spacetime_env.objects.slot_arrays.ManySlots._match`."""
        if len(alive) == 1:  # the usual case, and never stale
            row = alive[0].costs(seen, self.reach, 0.0)
            least = min(row)
            return [seen[row.index(least)] if least < 1.0 else None]
        costs = [track.costs(seen, self.reach, STALE) for track in alive]
        best = [min(row) for row in costs]
        wanted = [row.index(least) for row, least in zip(costs, best, strict=True) if least < 1.0]
        if len(set(wanted)) == len(wanted):
            columns = iter(wanted)
            return [seen[next(columns)] if least < 1.0 else None for least in best]
        taken: list[Sight | None] = [None] * len(alive)
        for row, column in zip(*linear_sum_assignment(np.minimum(costs, 1.0)), strict=True):
            if costs[row][column] < 1.0:
                taken[row] = seen[column]
        return taken

    def _place(self, new: list[Sight]) -> None:
        """Give slots to detections that belong to no object; those without one wait."""
        free = [i for i, track in enumerate(self.tracks) if track is None]
        surplus: list[Sight] = []
        if len(new) > len(free):
            new.sort(key=lambda sight: -sight.confidence)
            new, surplus = new[: len(free)], new[len(free) :]
        if len(new) > 1:  # line by line, as one reads: a level that starts the same way fills its slots so
            line = max(sight.h for sight in new) or 1.0
            new.sort(key=lambda sight: (sight.at.imag // line, sight.at.real))
        for i, sight in zip(free, new, strict=False):
            self.tracks[i] = _Track(sight)
        waited, self.waiting = self.waiting, []
        for sight in surplus:
            lost = [i for i, track in enumerate(self.tracks) if track is not None and track.missed]
            if lost and any(abs(sight.at - w.at) <= self.reach for w in waited):
                longest = max(lost, key=lambda i: self.tracks[i].missed)  # type: ignore[union-attr]
                self.tracks[longest] = _Track(sight)
            else:
                self.waiting.append(sight)

    def rows(self, native: tuple[int, int], max_speed: float) -> list[tuple[float, ...]]:
        """Each slot's :data:`spacetime_env.objects.tracker.FEATURES`, zeros where there is no object.

        Args:
            native: H, W of the frame.
            max_speed: native pixels a step that a displacement of 1 stands for.
        """
        height, width = native
        return [
            _EMPTY
            if track is None
            else (
                0.0 if track.missed else 1.0,
                _cut(2 * track.at.real / width - 1),
                _cut(2 * track.at.imag / height - 1),
                _cut(track.w / width),
                _cut(track.h / height),
                _cut(track.step.real / max_speed),
                _cut(track.step.imag / max_speed),
            )
            for track in self.tracks
        ]

    def sources(self) -> list[int]:
        """The number of each slot's detection, or -1."""
        return [-1 if track is None else track.source for track in self.tracks]


_EMPTY = (0.0,) * 7


def _cut(value: float) -> float:
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value
