"""The rules of :mod:`spacetime_env.objects.slots`, compiled: one loop over the slots of each class."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled
from spacetime_env.objects.assign_compiled import assign
from spacetime_env.objects.slots_names_compiled import hidden, match_by_place, rename, vote


@compiled
def step(objects, waiting, boxes, class_ids, confidence, rules, out):  # type: ignore[no-untyped-def]
    """As :func:`spacetime_env.objects.slots.step`."""
    taken = np.full(len(objects), -1, np.int64)  # the detection of each slot, or -1
    free = np.ones(len(boxes), np.bool_)  # the detections that are no known object
    start = found = alive_count = 0
    while start < len(objects):
        class_id, end, alive, new = objects[start].class_id, start, 0, 0
        while end < len(objects) and objects[end].class_id == class_id:
            alive += objects[end].alive
            end += 1
        for j in range(len(boxes)):
            new += class_ids[j] == class_id
        if alive and new:
            found += _match(objects[start:end], taken[start:end], alive, new, boxes, class_ids, confidence, rules, free)
        alive_count += alive
        start = end
    if found < len(boxes) and found < alive_count:
        match_by_place(objects, taken, boxes, class_ids, rules, free)
    doubt = False
    for i in range(len(objects)):
        if taken[i] >= 0:
            agrees = class_ids[taken[i]] == objects[i].class_id
            vote(objects[i], boxes[taken[i]], agrees, rules)
            _see(objects[i], taken[i], boxes, rules)
            doubt |= not agrees
    if doubt:
        rename(objects, taken, class_ids)
    for i in range(len(objects)):
        if objects[i].alive and taken[i] < 0:
            _miss(objects[i], rules)
    after, count, start = waiting[:0], 0, 0
    while start < len(objects):
        class_id, end, new = objects[start].class_id, start, 0
        while end < len(objects) and objects[end].class_id == class_id:
            end += 1
        for j in range(len(boxes)):
            new += free[j] and class_ids[j] == class_id
        if new:
            mine = _in_order(objects[start:end], class_id, new, boxes, class_ids, confidence, free)
            placed = _place(objects[start:end], mine, boxes)
            for j in mine[placed:]:
                if not _replace(objects[start:end], class_id, j, boxes, waiting, rules.reach):
                    if not count:
                        after = np.empty(len(boxes), waiting.dtype)
                    after[count].class_id, after[count].at = class_id, _center(boxes[j])
                    count += 1
        start = end
    for i in range(len(objects)):
        _write(objects[i], hidden(objects, i, rules), rules, out[i])
    return after[:count]


@compiled
def _center(box):  # type: ignore[no-untyped-def]
    return complex(box[0] + box[2] / 2.0, box[1] + box[3] / 2.0)


@compiled
def _cost(one, alone, box, confidence, rules):  # type: ignore[no-untyped-def]
    """What it costs that object ``one`` is this detection; see :func:`spacetime_env.objects.slots._match`."""
    ahead, far = one.velocity * (one.missed + 1), rules.reach * (1.0 + rules.growth * one.missed)
    off, limit = _center(box) - one.at, far * far
    from_last = off.real * off.real + off.imag * off.imag
    expected = (off.real - ahead.real) ** 2 + (off.imag - ahead.imag) ** 2
    if from_last >= limit and expected >= limit:
        return 1.0  # out of reach, whatever lies between
    from_last, expected = math.sqrt(from_last), math.sqrt(expected)
    distance = expected + min(from_last - expected, 0.0) * rules.turn
    stale = 0.0 if alone else rules.stale * one.missed
    return math.sqrt(distance / far) + rules.doubt * (1.0 - confidence) + stale


@compiled
def _match(objects, taken, alive, new, boxes, class_ids, confidence, rules, free):  # type: ignore[no-untyped-def]
    """Fill ``taken`` for the slots of one class, clear ``free``, and return how many detections are taken."""
    class_id, contested = objects[0].class_id, False
    for i in range(len(objects)):
        if not objects[i].alive:
            continue
        best, least = -1, 1.0
        for j in range(len(boxes)):
            if class_ids[j] == class_id:
                cost = _cost(objects[i], alive == 1, boxes[j], confidence[j], rules)
                if cost < least:
                    best, least = j, cost
        taken[i] = best
        if best >= 0:
            contested |= not free[best]
            free[best] = False
    if contested:
        _match_together(objects, taken, alive, new, boxes, class_ids, confidence, rules, free)
    count = 0
    for i in range(len(objects)):
        count += taken[i] >= 0
    return count


@compiled
def _match_together(objects, taken, alive, new, boxes, class_ids, confidence, rules, free):  # type: ignore[no-untyped-def]
    """As :func:`_match`, where two objects want the same: so that the sum of the costs is least."""
    mine, known = np.empty(new, np.int64), np.empty(alive, np.int64)
    at = 0
    for j in range(len(boxes)):
        if class_ids[j] == objects[0].class_id:
            mine[at], free[j] = j, True
            at += 1
    at = 0
    for i in range(len(objects)):
        taken[i] = -1
        if objects[i].alive:
            known[at] = i
            at += 1
    cost = np.empty((alive, new))
    for n in range(alive):
        for k in range(new):
            j = mine[k]
            cost[n, k] = min(_cost(objects[known[n]], alive == 1, boxes[j], confidence[j], rules), 1.0)
    turned = alive > new
    found = assign(cost.T.copy() if turned else cost)
    for n in range(len(found)):
        row, column = (found[n], n) if turned else (n, found[n])
        if cost[row, column] < 1.0:
            taken[known[row]] = mine[column]
            free[mine[column]] = False


@compiled
def _miss(one, rules):  # type: ignore[no-untyped-def]
    """Object ``one`` is missed."""
    one.missed += 1
    one.step = 0
    one.source = -1
    if one.missed > rules.keep:
        one.alive, one.missed = False, 0


@compiled
def _see(one, j, boxes, rules):  # type: ignore[no-untyped-def]
    """Object ``one`` is seen as detection ``j``."""
    there = _center(boxes[j])
    one.step = (there - one.at) / (one.missed + 1)
    one.velocity += one.weight * (one.step - one.velocity)
    one.at, one.source = there, j
    one.w, one.h = boxes[j, 2], boxes[j, 3]
    one.missed, one.weight = 0, rules.smooth


@compiled
def _in_order(objects, class_id, new, boxes, class_ids, confidence, free):  # type: ignore[no-untyped-def]
    """The new detections of a class: those that get a free slot line by line, then the rest by confidence."""
    mine = np.empty(new, np.int64)
    at = room = 0
    for j in range(len(boxes)):
        if free[j] and class_ids[j] == class_id:
            mine[at] = j
            at += 1
    for i in range(len(objects)):
        room += not objects[i].alive
    if new > room:
        for n in range(1, new):  # by insertion: there are few
            j, k = mine[n], n
            while k and confidence[mine[k - 1]] < confidence[j]:
                mine[k] = mine[k - 1]
                k -= 1
            mine[k] = j
    line = 0.0
    for n in range(min(new, room)):
        line = max(line, boxes[mine[n], 3])
    line = line if line else 1.0
    for n in range(1, min(new, room)):
        j, k = mine[n], n
        while k and _reads_before(boxes[j], boxes[mine[k - 1]], line):
            mine[k] = mine[k - 1]
            k -= 1
        mine[k] = j
    return mine


@compiled
def _reads_before(one, other, line):  # type: ignore[no-untyped-def]
    """Whether box ``one`` comes before ``other`` as one reads, in lines of this height."""
    a, b = _center(one), _center(other)
    mine, theirs = a.imag // line, b.imag // line
    return mine < theirs or (mine == theirs and a.real < b.real)


@compiled
def _place(objects, mine, boxes):  # type: ignore[no-untyped-def]
    """Give free slots to the first of the detections ``mine``, and return how many got one."""
    placed = 0
    for i in range(len(objects)):
        if placed < len(mine) and not objects[i].alive:
            _begin(objects[i], mine[placed], boxes)
            placed += 1
    return placed


@compiled
def _replace(objects, class_id, j, boxes, waiting, reach):  # type: ignore[no-untyped-def]
    """Give detection ``j`` the slot that is lost for longest, if it waited; whether it got one."""
    longest, missed, waited = -1, 0, False
    for i in range(len(objects)):
        if objects[i].alive and objects[i].missed > missed:
            longest, missed = i, objects[i].missed
    for k in range(len(waiting)):
        waited |= waiting[k].class_id == class_id and abs(_center(boxes[j]) - waiting[k].at) <= reach
    if longest < 0 or not waited:
        return False
    _begin(objects[longest], j, boxes)
    return True


@compiled
def _begin(one, j, boxes):  # type: ignore[no-untyped-def]
    """Detection ``j`` is a new object, in slot ``one``."""
    one.alive, one.weight, one.missed, one.source = True, 1.0, 0, j
    one.at, one.step, one.velocity, one.trust = _center(boxes[j]), 0, 0, 0
    one.w, one.h = boxes[j, 2], boxes[j, 3]


@compiled
def _write(one, behind, rules, row):  # type: ignore[no-untyped-def]
    """What the row of slot ``one`` shows; ``behind``: it is hidden behind another."""
    row[:] = 0
    if one.alive:
        at, step = one.at, one.step
        if behind:
            at, step = one.at + one.velocity * one.missed, one.velocity
        row[0] = one.missed == 0 or behind
        row[1], row[2] = at.real * 2 / rules.width - 1, at.imag * 2 / rules.height - 1
        row[3], row[4] = one.w / rules.width, one.h / rules.height
        row[5], row[6] = step.real / rules.max_speed, step.imag / rules.max_speed
        for k in range(1, 7):
            row[k] = min(max(row[k], np.float32(-1)), np.float32(1))
