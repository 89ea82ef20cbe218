"""The slots of one class: which detection is which object, and what is known of each. See :mod:`spacetime_env.tracker`.

Two forms of the same rules, as a test shows: :class:`FewSlots` in plain numbers and :class:`ManySlots` in arrays. For
one object arrays take six times as long, for three dozen half as long.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.fast import loops

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
        """What each detection costs; see :meth:`ManySlots._match`."""
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
        """The detection of each object, or None; see :meth:`ManySlots._match`."""
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
        """Each slot's :data:`spacetime_env.tracker.FEATURES`, zeros where there is no object.

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


class ManySlots:
    """The slots of a class with many objects.

    Args:
        slots: how many.
        reach, keep: see :class:`FewSlots`.
    """

    def __init__(self, slots: int, reach: float, keep: int) -> None:
        self.slots = slots
        self.reach = reach
        self.keep = keep
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        # Of the n objects there are: their slots, ascending, and what _Track has.
        self.slot = np.zeros(0, int)
        self.at, self.step, self.velocity = (np.zeros(0, complex) for _ in range(3))
        self.size = np.zeros((0, 2))  # w, h
        self.missed = np.zeros(0, int)
        self.moved = np.zeros(0, bool)
        self.source = np.zeros(0, int)
        self.waiting = np.zeros(0, complex)  # where some were seen in the last step for which no slot was free

    def update(self, number: np.ndarray, at: np.ndarray, size: np.ndarray, confidence: np.ndarray) -> None:
        """Take the detections of the next frame: numbers, centres (m,) complex, w and h (m, 2), confidence."""
        taken = self._match(at, confidence) if len(self.slot) and len(at) else np.full(len(self.slot), -1)
        if loops is not None:
            state = (self.at, self.step, self.velocity, self.size, self.missed, self.moved, self.source)
            hits, most = loops.see(taken, number, at, size, *state, SMOOTH)
            if hits < len(taken):
                taken = taken[taken >= 0]
                if most > self.keep:
                    self._keep(self.missed <= self.keep)
        elif (hit := taken >= 0).all():
            self._see(taken, number, at, size)
        else:
            self._see_some(hit, taken, number, at, size)
            taken = taken[hit]
        if len(taken) == len(at):
            self.waiting = self.waiting[:0]
            return
        new = np.ones(len(at), bool)
        new[taken] = False
        self._place(new.nonzero()[0], number, at, size, confidence)

    def _see(self, taken: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray) -> None:
        """Each object is seen."""
        there = at[taken]
        step = (there - self.at) / (self.missed + 1)
        self.velocity += np.where(self.moved, SMOOTH, 1.0) * (step - self.velocity)
        self.at, self.step, self.size, self.source = there, step, size[taken], number[taken]
        self.missed = np.zeros(len(taken), int)
        self.moved = np.ones(len(taken), bool)

    def _see_some(
        self, hit: np.ndarray, taken: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray
    ) -> None:
        """Those that are ``hit`` are seen; of the others, those that are lost for long are forgotten."""
        missed, source, last = np.where(hit, 0, self.missed + 1), np.full(len(hit), -1), self.at
        self.step = np.zeros(len(hit), complex)
        self.at, self.size = self.at.copy(), self.size.copy()
        which, rate = taken[hit], np.where(self.moved, SMOOTH, 1.0)[hit]
        self.at[hit], self.size[hit], source[hit] = at[which], size[which], number[which]
        self.step[hit] = (self.at[hit] - last[hit]) / (self.missed[hit] + 1)
        self.velocity[hit] += rate * (self.step[hit] - self.velocity[hit])
        self.moved, self.missed, self.source = self.moved | hit, missed, source
        self._keep(missed <= self.keep)

    def _match(self, at: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """The detection of each object, or -1: so that the sum of the costs is least.

        A cost is the root of the distance from the expected place in reaches, plus the doubt. The root makes one far
        and many near cheaper than all at middle distance: where one of a row of invaders is missed and another appears
        at its end, the rest stay themselves. An object that turned round is nearer to its last place than to the
        expected one, and that counts too, but less: or two that cross would be taken for two that stand still.
        """
        if loops is not None:
            state, rules = (self.at, self.velocity, self.missed), (REACH_GROWTH, TURN, DOUBT, STALE)
            taken, unique = loops.match(*state, at, confidence, self.reach, *rules)
            if unique:
                return taken
        missed, late = self.missed, self.missed.any()
        off = at - self.at[:, None]
        ahead = self.velocity * (missed + 1) if late else self.velocity
        cost = np.abs(off)
        expected = np.abs(off - ahead[:, None])
        cost -= expected
        np.minimum(cost, 0, out=cost)
        cost *= TURN
        cost += expected
        cost /= (self.reach * (1.0 + REACH_GROWTH * missed))[:, None] if late else self.reach
        np.sqrt(cost, out=cost)
        cost += DOUBT * (1.0 - confidence)
        if late and len(missed) > 1:
            cost += STALE * missed[:, None]
        # A pair that costs 1 means "neither": so an object may go without rather than take one far away.
        columns = cost.argmin(axis=1)
        taken = np.where(cost.min(axis=1) < 1.0, columns, -1)
        wanted = [column for column in taken.tolist() if column >= 0]
        if len(set(wanted)) == len(wanted):  # where no two want the same, no assignment costs less
            return taken
        np.minimum(cost, 1.0, out=cost)
        rows, columns = linear_sum_assignment(cost)
        near = cost[rows, columns] < 1.0
        taken = np.full(len(missed), -1)
        taken[rows[near]] = columns[near]
        return taken

    def _place(
        self, new: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray, confidence: np.ndarray
    ) -> None:
        """Give slots to detections that belong to no object; those without one wait."""
        free = np.setdiff1d(np.arange(self.slots), self.slot)
        surplus = new[:0]
        if len(new) > len(free):
            new = new[np.argsort(-confidence[new], kind="stable")]
            new, surplus = new[: len(free)], new[len(free) :]
        if len(new) > 1:  # line by line, as one reads: a level that starts the same way fills its slots so
            line = size[new, 1].max() or 1.0
            new = new[np.lexsort((at[new].real, at[new].imag // line))]
        self._begin(free[: len(new)], new, number, at, size)
        waited, waiting = self.waiting, []
        for one in surplus.tolist():
            if self.missed.any() and (np.abs(at[one] - waited) <= self.reach).any():
                longest = self.missed.argmax()
                slot = self.slot[longest : longest + 1]
                self._keep(np.arange(len(self.slot)) != longest)
                self._begin(slot, np.array([one]), number, at, size)
            else:
                waiting.append(at[one])
        self.waiting = np.array(waiting, complex)

    def _begin(
        self, slots: np.ndarray, which: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray
    ) -> None:
        """These detections are new objects, in those slots."""
        none = np.zeros(len(slots))
        self.slot = np.concatenate([self.slot, slots])
        self.at, self.size = np.concatenate([self.at, at[which]]), np.concatenate([self.size, size[which]])
        self.step, self.velocity = np.concatenate([self.step, none]), np.concatenate([self.velocity, none])
        self.missed, self.moved = np.append(self.missed, none.astype(int)), np.append(self.moved, none.astype(bool))
        self.source = np.concatenate([self.source, number[which]])
        self._keep(self.slot.argsort())

    def _keep(self, which: np.ndarray) -> None:
        """Leave out some of the objects, or put them into another order."""
        for name in ("slot", "at", "step", "velocity", "size", "missed", "moved", "source"):
            setattr(self, name, getattr(self, name)[which])

    def rows(self, native: tuple[int, int], max_speed: float) -> np.ndarray:
        """As :meth:`FewSlots.rows`, (slots, 7)."""
        if loops is not None:
            return loops.rows(self.slot, self.at, self.step, self.size, self.missed, self.slots, *native, max_speed)
        width, height = native[1], native[0]
        now = np.empty((len(self.slot), 7))
        now[:, 0] = self.missed == 0
        now[:, 1:3] = self.at.view(float).reshape(-1, 2) * 2 / (width, height) - 1
        now[:, 3:5] = self.size / (width, height)
        now[:, 5:7] = self.step.view(float).reshape(-1, 2) / max_speed
        rows = np.zeros((self.slots, 7))
        rows[self.slot] = np.minimum(np.maximum(now, -1, out=now), 1, out=now)
        return rows

    def sources(self) -> list[int]:
        """As :meth:`FewSlots.sources`."""
        sources = np.full(self.slots, -1)
        sources[self.slot] = self.source
        return sources.tolist()
