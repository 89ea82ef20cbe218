"""Slots: which detection is which object, and what is known of each object.

The rules are here in arrays, all classes at once. :mod:`spacetime_env.objects.slots_compiled` has the same rules as a
compiled loop. :class:`spacetime_env.objects.tracker.Tracker` says what they are for, and chooses one of the two.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.objects import slots_names

# The tracker's own numbers. They are ratios, so they hold for any game; max_speed and keep are the game's.
REACH = 1.5  # max_speeds an object may be from where it was expected (a diagonal step is 1.41 of them) ...
REACH_GROWTH = 0.25  # ... and this part more for each step it was not seen
TURN = 0.75  # weight of the last place, beside the expected one, for an object that may have turned round
DOUBT = 0.25  # cost of a detection of no confidence; one at the edge of the reach costs 1
STALE = 0.1  # cost for each step an object was not seen: where two merge into one box, it stays one's own
SMOOTH = 0.5  # part of the newest displacement in the velocity that predicts
PLACE = 0.3  # IoU with the expected box from which on a detection of another class is the object itself
TRUST = 8  # votes for its class that an object can have; so many steps it may be called otherwise
LIKE = 0.8  # ratio of sizes from which on two are alike
HIDDEN = 2  # steps that an object behind another is shown where it is expected ...
COVERED = 0.1  # ... if one other covers this part of it ...
LARGER = 4.0  # ... and is at most so many times as large

# What is known of the object in a slot. Where none is alive, all but class_id means nothing.
# Places are complex numbers x + iy in native pixels: a difference and its length are one operation each.
OBJECT = np.dtype(
    [
        ("at", np.complex128),  # the last place of its centre
        ("w", np.float64),
        ("h", np.float64),
        ("step", np.complex128),  # the last displacement
        ("velocity", np.complex128),  # the smoothed displacement, which predicts the next place
        ("weight", np.float64),  # of the next displacement in the velocity: 1 for the first, then SMOOTH
        ("missed", np.int64),  # steps not seen
        ("trust", np.int64),  # votes that it is of its class, 0 to TRUST
        ("source", np.int64),  # the index of its detection, or -1
        ("class_id", np.int64),  # its class among those of the detections; -1 where the model does not know it
        ("alive", np.bool_),
    ],
    align=True,
)
_NUMBERS = np.dtype((np.float64, (OBJECT.itemsize // 8,)))
SHOWN, SIZE = slice(0, 6), slice(2, 4)  # of an object's numbers: x, y, w, h, step's two; w, h

# A detection of the last step for which no slot was free.
WAITING = np.dtype([("class_id", np.int64), ("at", np.complex128)], align=True)


class Rules(NamedTuple):
    """The numbers that a step needs.

    Attributes:
        keep: steps that a lost object is kept.
        reach: native pixels that an object may be from where it was expected.
        max_speed: native pixels a step that a displacement of 1 stands for.
        height, width: of the frame, in native pixels.
        growth and the rest: the constants of this module.
    """

    keep: int
    reach: float
    max_speed: float
    height: float
    width: float
    growth: float = REACH_GROWTH
    turn: float = TURN
    doubt: float = DOUBT
    stale: float = STALE
    smooth: float = SMOOTH
    place: float = PLACE
    trust: int = TRUST
    like: float = LIKE
    hidden: int = HIDDEN
    covered: float = COVERED
    larger: float = LARGER


def empty(class_ids: np.ndarray) -> np.ndarray:
    """Free slots for objects of these classes (S,): (S,) of :data:`OBJECT`."""
    objects = np.zeros(len(class_ids), OBJECT)
    objects["class_id"] = class_ids
    return objects


def step(
    objects: np.ndarray,
    waiting: np.ndarray,
    boxes: np.ndarray,
    class_ids: np.ndarray,
    confidence: np.ndarray,
    rules: Rules,
    out: np.ndarray,
) -> np.ndarray:
    """Take the detections of the next frame.

    Args:
        objects: (S,) of :data:`OBJECT`, the slots of a class beside each other; brought up to date.
        waiting: (k,) of :data:`WAITING`, what the last step returned.
        boxes: (m, 4) float32, x, y, w, h in native pixels.
        class_ids: (m,) int64.
        confidence: (m,) float32 in [0, 1].
        rules: see :class:`Rules`.
        out: (S, 7) float32, gets the columns of :data:`spacetime_env.objects.tracker.FEATURES`.

    Returns:
        The detections of this step that found no slot.
    """
    exact = boxes.astype(np.float64)
    at = (exact[:, :2] + exact[:, 2:] / 2).view(np.complex128)[:, 0]
    taken = _match(objects, at, class_ids, confidence, rules) if len(at) else np.full(len(objects), -1)
    numbers, count = _numbers(objects), np.count_nonzero(taken >= 0)
    if count < len(at) and count < np.count_nonzero(objects["alive"]):
        slots_names.match_by_place(objects, taken, exact, class_ids, rules)
    seen = taken >= 0
    count = np.count_nonzero(seen)
    if count:
        rows, which = (slice(None), taken) if count == len(seen) else ((there := seen.nonzero()[0]), taken[there])
        doubt = slots_names.vote(objects, rows, which, exact[:, 2:], class_ids, rules)
        _see(objects, rows, which, at, rules.smooth)
        numbers[rows, SIZE] = exact[which, 2:]
        if doubt:
            slots_names.rename(objects, taken, class_ids)
            seen = taken >= 0
    objects["source"] = taken
    if count < len(seen) and count < np.count_nonzero(objects["alive"]):
        _miss(objects, seen, rules.keep)
    after = waiting[:0]
    if count < len(at):
        new = np.full(len(at), True)
        new[taken[seen]] = False
        newcomers = set(class_ids[new].tolist())
        for class_id in dict.fromkeys(objects["class_id"].tolist()):
            if class_id in newcomers:
                slots = (objects["class_id"] == class_id).nonzero()[0]
                mine = (new & (class_ids == class_id)).nonzero()[0]
                surplus = _place(objects, slots, mine, at, exact, confidence)
                after = np.concatenate([after, _replace(objects, slots, surplus, at, exact, waiting, rules.reach)])
    _write(objects, numbers, rules, out)
    return after


def _match(
    objects: np.ndarray, at: np.ndarray, class_ids: np.ndarray, confidence: np.ndarray, rules: Rules
) -> np.ndarray:
    """The detection of each object (S,), or -1: so that the sum of the costs is least.

    A cost is the root of the distance from the expected place in reaches, plus the doubt. The root makes one far
    and many near cheaper than all at middle distance: where one of a row of invaders is missed and another appears
    at its end, the rest stay themselves. An object that turned round is nearer to its last place than to the
    expected one, and that counts too, but less: or two that cross would be taken for two that stand still.
    """
    alive, missed, classes, ahead = objects["alive"], objects["missed"], objects["class_id"], objects["velocity"]
    late = np.count_nonzero(missed)  # none is missed in a slot without an object
    off = at[:, None] - objects["at"]  # a row for each detection
    # A pair that costs 1 means "neither", and so does the first row: an object may go without rather than take one far
    # away.
    costs = np.empty((len(at) + 1, len(objects)))
    costs[0] = 1.0
    cost = np.abs(off, out=costs[1:])
    off -= ahead * (missed + 1) if late else ahead
    expected = np.abs(off)
    cost -= expected
    np.minimum(cost, 0.0, out=cost)
    cost *= rules.turn
    cost += expected
    cost /= rules.reach * (1.0 + rules.growth * missed) if late else rules.reach
    np.sqrt(cost, out=cost)
    cost += (rules.doubt * np.subtract(1.0, confidence, dtype=np.float64))[:, None]
    if late:  # an object that is alone in its class is never stale
        many = np.bincount(classes + 1, alive)[classes + 1] > 1
        cost += np.where(many, rules.stale * missed, 0.0)
    others = class_ids[:, None] != classes
    if np.count_nonzero(alive) < len(alive):
        others |= ~alive
    np.putmask(cost, others, 1.0)
    taken = costs.argmin(axis=0)  # of equals the first
    taken -= 1
    wanted = [column for column in taken.tolist() if column >= 0]
    if len(set(wanted)) == len(wanted):  # where no two want the same, no assignment costs less
        return taken
    for class_id in {class_ids[column] for column in wanted if wanted.count(column) > 1}:
        rows, columns = ((classes == class_id) & alive).nonzero()[0], (class_ids == class_id).nonzero()[0]
        part = np.minimum(cost[columns, rows[:, None]], 1.0)
        mine, theirs = linear_sum_assignment(part)
        near = part[mine, theirs] < 1.0
        taken[rows] = -1
        taken[rows[mine[near]]] = columns[theirs[near]]
    return taken


def _see(objects: np.ndarray, rows: np.ndarray | slice, which: np.ndarray, at: np.ndarray, smooth: float) -> None:
    """The objects ``rows`` are the detections ``which``, with centres ``at``. (A slice of all rows copies nothing.)"""
    missed, velocity, last = objects["missed"], objects["velocity"], objects["at"]
    there = at[which]
    moved = there - last[rows]
    if np.count_nonzero(missed):
        moved.view(np.float64).reshape(-1, 2)[:] /= (missed[rows] + 1)[:, None]  # complex division would round twice
        missed[rows] = 0
    velocity[rows] += objects["weight"][rows] * (moved - velocity[rows])
    last[rows], objects["step"][rows], objects["weight"][rows] = there, moved, smooth


def _miss(objects: np.ndarray, seen: np.ndarray, keep: int) -> None:
    """The objects that are not ``seen`` (S,) are missed; those that are lost for longer than ``keep`` are forgotten."""
    alive, missed = objects["alive"], objects["missed"]
    lost = alive & ~seen
    missed += lost
    objects["step"][lost] = 0
    alive &= missed <= keep
    missed *= alive


def _place(
    objects: np.ndarray, slots: np.ndarray, new: np.ndarray, at: np.ndarray, boxes: np.ndarray, confidence: np.ndarray
) -> np.ndarray:
    """Give the free ones of a class's ``slots`` to its ``new`` detections, and return those that found none."""
    free = slots[~objects["alive"][slots]]
    surplus = new[:0]
    if len(new) > len(free):
        new = new[np.argsort(-confidence[new], kind="stable")]
        new, surplus = new[: len(free)], new[len(free) :]
    if len(new) > 1:  # line by line, as one reads: a level that starts the same way fills its slots so
        line = boxes[new, 3].max() or 1.0
        new = new[np.lexsort((at[new].real, at[new].imag // line))]
    _begin(objects, free[: len(new)], new, at, boxes)
    return surplus


def _replace(
    objects: np.ndarray,
    slots: np.ndarray,
    surplus: np.ndarray,
    at: np.ndarray,
    boxes: np.ndarray,
    waiting: np.ndarray,
    reach: float,
) -> np.ndarray:
    """Give the slots of lost objects to those of ``surplus`` that were seen before, and return who waits now."""
    if not len(surplus):
        return waiting[:0]
    class_id = objects["class_id"][slots[0]]
    before = waiting["at"][waiting["class_id"] == class_id]
    after = []
    for one in surplus.tolist():
        missed = np.where(objects["alive"][slots], objects["missed"][slots], 0)
        if missed.any() and (np.abs(at[one] - before) <= reach).any():
            _begin(objects, slots[[missed.argmax()]], np.array([one]), at, boxes)
        else:
            after.append((class_id, at[one]))
    return np.array(after, WAITING)


def _begin(objects: np.ndarray, slots: np.ndarray, which: np.ndarray, at: np.ndarray, boxes: np.ndarray) -> None:
    """The detections ``which`` are new objects, in ``slots``."""
    known = empty(objects["class_id"][slots])  # no trust yet: the second name that it gets may be another
    known["alive"], known["at"], known["source"], known["weight"] = True, at[which], which, 1.0
    _numbers(known)[:, SIZE] = boxes[which, 2:]
    objects[slots] = known


def _numbers(objects: np.ndarray) -> np.ndarray:
    """The same memory as an array of float64, a row for each object."""
    return objects.view(_NUMBERS)


def _write(objects: np.ndarray, numbers: np.ndarray, rules: Rules, out: np.ndarray) -> None:
    """What the rows show: (S, 7), zeros where there is no object. ``numbers``: see :func:`_numbers`."""
    out[:, 0] = objects["missed"] == 0
    shown = numbers[:, SHOWN]
    if np.count_nonzero(objects["missed"]) and (behind := slots_names.hidden(objects, rules)).any():
        out[behind, 0], shown = 1, shown.copy()
        ahead = objects["velocity"][behind]
        expected = objects["at"][behind] + ahead * objects["missed"][behind]
        shown[behind, :2] = np.stack([expected.real, expected.imag], axis=1)
        shown[behind, 4:] = np.stack([ahead.real, ahead.imag], axis=1)
    now = shown / _units(rules)
    now -= _SHIFT
    np.minimum(np.maximum(now, -1, out=now), 1, out=out[:, 1:])
    alive = objects["alive"]
    if np.count_nonzero(alive) < len(alive):
        out[~alive] = 0


# Of x, y, width, height, dx, dy: a place of 0 to 2 half frames is shown as -1 to 1.
_SHIFT = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])


@functools.lru_cache(maxsize=64)
def _units(rules: Rules) -> np.ndarray:
    """What x, y, width, height, dx and dy are measured in, in native pixels: places in half a frame."""
    speed = rules.max_speed
    return np.array([rules.width / 2, rules.height / 2, rules.width, rules.height, speed, speed])
