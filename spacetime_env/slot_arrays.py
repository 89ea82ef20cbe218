"""The slots of a class of many objects, in arrays: the rules of :mod:`spacetime_env.slots`."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.fast import loops
from spacetime_env.slots import DOUBT, REACH_GROWTH, SMOOTH, STALE, TURN


class ManySlots:
    """The slots of a class with many objects.

    Args:
        slots: how many.
        reach, keep: see :class:`~spacetime_env.slots.FewSlots`.
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
        """As :meth:`spacetime_env.slots.FewSlots.rows`, (slots, 7)."""
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
        """As :meth:`spacetime_env.slots.FewSlots.sources`."""
        sources = np.full(self.slots, -1)
        sources[self.slot] = self.source
        return sources.tolist()
