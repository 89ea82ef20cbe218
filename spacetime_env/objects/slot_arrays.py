"""The slots of a class of many objects, in arrays: the rules of :mod:`spacetime_env.objects.slots`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.objects.slots import DOUBT, REACH_GROWTH, SMOOTH, STALE, TURN


@dataclass(frozen=True)
class SlotArrays:
    """What is known of the objects of S slots. Where none is alive, the rest means nothing."""

    alive: np.ndarray  # (S,) bool
    at: np.ndarray  # (S,) complex: the last place
    step: np.ndarray  # (S,) complex: the last displacement
    velocity: np.ndarray  # (S,) complex: what predicts
    size: np.ndarray  # (S, 2): w, h
    missed: np.ndarray  # (S,) int: steps not seen
    moved: np.ndarray  # (S,) bool: whether a displacement was measured yet
    source: np.ndarray  # (S,) int: the number of its detection, or -1

    @classmethod
    def of(cls, slots: int) -> SlotArrays:
        """Empty slots."""
        at, step, velocity = np.zeros((3, slots), complex)
        (alive, moved), (missed, source) = np.zeros((2, slots), bool), np.zeros((2, slots), np.int64)
        return cls(alive, at, step, velocity, np.zeros((slots, 2)), missed, moved, source)

    def part(self, start: int, end: int) -> SlotArrays:
        """Some of them: the same memory."""
        return SlotArrays(*(array[start:end] for array in self.all()))

    def all(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order above."""
        return self.alive, self.at, self.step, self.velocity, self.size, self.missed, self.moved, self.source


class ManySlots:
    """The slots of a class with many objects.

    Args:
        slots: how many, or their arrays.
        reach, keep: see :class:`~spacetime_env.objects.slots.FewSlots`.
    """

    def __init__(self, slots: int | SlotArrays, reach: float, keep: int) -> None:
        self.state = SlotArrays.of(slots) if isinstance(slots, int) else slots
        self.slots = len(self.state.alive)
        self.reach = reach
        self.keep = keep
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        self.state.alive[:] = False
        self.waiting = np.zeros(0, complex)  # where some were seen in the last step for which no slot was free

    def update(self, number: np.ndarray, at: np.ndarray, size: np.ndarray, confidence: np.ndarray) -> None:
        """Take the detections of the next frame: numbers, centres (m,) complex, w and h (m, 2), confidence."""
        alive = self.state.alive.nonzero()[0]
        taken = self._match(alive, at, confidence) if len(alive) and len(at) else np.full(len(alive), -1)
        hit = taken >= 0
        self._see(alive[hit], taken[hit], number, at, size)
        if not hit.all():
            self._miss(alive[~hit])
        new = np.ones(len(at), bool)
        new[taken[hit]] = False
        if not new.any():
            self.waiting = self.waiting[:0]
            return
        self._place(new.nonzero()[0], number, at, size, confidence)

    def _see(self, slots: np.ndarray, taken: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray) -> None:
        """These slots' objects are those detections."""
        s, there = self.state, at[taken]
        step = (there - s.at[slots]) / (s.missed[slots] + 1)
        velocity = s.velocity[slots]
        s.velocity[slots] = velocity + np.where(s.moved[slots], SMOOTH, 1.0) * (step - velocity)
        s.at[slots], s.step[slots], s.size[slots], s.source[slots] = there, step, size[taken], number[taken]
        s.missed[slots], s.moved[slots] = 0, True

    def _miss(self, slots: np.ndarray) -> None:
        """These slots' objects are not seen; those that are lost for long are forgotten."""
        s = self.state
        s.missed[slots] += 1
        s.step[slots], s.source[slots] = 0, -1
        s.alive[slots] = s.missed[slots] <= self.keep

    def _match(self, alive: np.ndarray, at: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """The detection of each object, or -1: so that the sum of the costs is least.

        A cost is the root of the distance from the expected place in reaches, plus the doubt. The root makes one far
        and many near cheaper than all at middle distance: where one of a row of invaders is missed and another appears
        at its end, the rest stay themselves. An object that turned round is nearer to its last place than to the
        expected one, and that counts too, but less: or two that cross would be taken for two that stand still.
        """
        s, missed = self.state, self.state.missed[alive]
        late = missed.any()
        off = at - s.at[alive][:, None]
        ahead = s.velocity[alive] * (missed + 1) if late else s.velocity[alive]
        cost = np.abs(off)
        expected = np.abs(off - ahead[:, None])
        cost -= expected
        np.minimum(cost, 0, out=cost)
        cost *= TURN
        cost += expected
        cost /= (self.reach * (1.0 + REACH_GROWTH * missed))[:, None] if late else self.reach
        np.sqrt(cost, out=cost)
        cost += DOUBT * (1.0 - confidence)
        if late and len(alive) > 1:
            cost += STALE * missed[:, None]
        # A pair that costs 1 means "neither": so an object may go without rather than take one far away.
        taken = np.where(cost.min(axis=1) < 1.0, cost.argmin(axis=1), -1)
        wanted = [column for column in taken.tolist() if column >= 0]
        if len(set(wanted)) == len(wanted):  # where no two want the same, no assignment costs less
            return taken
        np.minimum(cost, 1.0, out=cost)
        rows, columns = linear_sum_assignment(cost)
        near = cost[rows, columns] < 1.0
        taken = np.full(len(alive), -1)
        taken[rows[near]] = columns[near]
        return taken

    def _place(
        self, new: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray, confidence: np.ndarray
    ) -> None:
        """Give slots to detections that belong to no object; those without one wait."""
        free = (~self.state.alive).nonzero()[0]
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
            missed = np.where(self.state.alive, self.state.missed, 0)
            if missed.any() and (np.abs(at[one] - waited) <= self.reach).any():
                self._begin(np.array([missed.argmax()]), np.array([one]), number, at, size)
            else:
                waiting.append(at[one])
        self.waiting = np.array(waiting, complex)

    def _begin(
        self, slots: np.ndarray, which: np.ndarray, number: np.ndarray, at: np.ndarray, size: np.ndarray
    ) -> None:
        """These detections are new objects, in those slots."""
        s = self.state
        s.alive[slots] = True
        s.at[slots], s.size[slots], s.source[slots] = at[which], size[which], number[which]
        s.step[slots] = s.velocity[slots] = 0
        s.missed[slots], s.moved[slots] = 0, False

    def rows(self, native: tuple[int, int], max_speed: float) -> np.ndarray:
        """As :meth:`spacetime_env.objects.slots.FewSlots.rows`, (slots, 7)."""
        s, (height, width) = self.state, native
        now = np.empty((self.slots, 7))
        now[:, 0] = s.missed == 0
        now[:, 1:3] = s.at.view(float).reshape(-1, 2) * 2 / (width, height) - 1
        now[:, 3:5] = s.size / (width, height)
        now[:, 5:7] = s.step.view(float).reshape(-1, 2) / max_speed
        np.minimum(np.maximum(now, -1, out=now), 1, out=now)
        now[~s.alive] = 0
        return now

    def sources(self) -> list[int]:
        """As :meth:`spacetime_env.objects.slots.FewSlots.sources`."""
        return np.where(self.state.alive, self.state.source, -1).tolist()
