"""The rules of :mod:`spacetime_env.objects.slots_names`, compiled."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled


@compiled
def match_by_place(objects, taken, boxes, class_ids, rules, free):  # type: ignore[no-untyped-def]
    """As :func:`spacetime_env.objects.slots_names.match_by_place`. ``free``: (m,) bool, brought up to date too."""
    while True:
        best, row, column = 0.0, -1, -1
        for i in range(len(objects)):
            if not objects[i].alive or taken[i] >= 0:
                continue
            for j in range(len(boxes)):
                if free[j] and class_ids[j] != objects[i].class_id:
                    score = _fit(objects[i], boxes[j], rules)
                    if score > best:
                        best, row, column = score, i, j
        if row < 0:
            return
        taken[row], free[column] = column, False


@compiled
def _fit(one, box, rules):  # type: ignore[no-untyped-def]
    """How well a detection fits a lost object."""
    ahead = one.at + one.velocity * (one.missed + 1)
    score = max(_iou(ahead, one, box), _iou(one.at, one, box))
    if score >= rules.place:
        return score
    w, h = np.float64(box[2]), np.float64(box[3])
    if min(one.w, w) < rules.like * max(one.w, w) or min(one.h, h) < rules.like * max(one.h, h):
        return 0.0
    return rules.place * (1 - min(_distance(ahead, box), _distance(one.at, box)) / (0.5 * rules.reach))


@compiled
def _distance(at, box):  # type: ignore[no-untyped-def]
    """Of a place from the centre of a box."""
    x = at.real - (np.float64(box[0]) + np.float64(box[2]) / 2.0)
    y = at.imag - (np.float64(box[1]) + np.float64(box[3]) / 2.0)
    return math.sqrt(x * x + y * y)


@compiled
def vote(one, box, agrees, rules):  # type: ignore[no-untyped-def]
    """As :func:`spacetime_env.objects.slots_names.vote`, of one object, before its size is brought up to date."""
    before, now = one.w * one.h, np.float64(box[2]) * np.float64(box[3])
    if not agrees and one.trust == 0:
        one.trust = -1
    elif min(before, now) >= rules.like * max(before, now):
        one.trust = min(one.trust + 1, rules.trust) if agrees else one.trust - 1


@compiled
def rename(objects, taken, class_ids):  # type: ignore[no-untyped-def]
    """As :func:`spacetime_env.objects.slots_names.rename`."""
    for i in range(len(objects)):
        one = objects[i]
        if not one.alive or one.trust >= 0:
            continue
        one.trust = 0
        for k in range(len(objects)):
            other = objects[k]
            if other.class_id == class_ids[taken[i]] and not other.alive:
                other.at, other.w, other.h, other.step, other.velocity = one.at, one.w, one.h, one.step, one.velocity
                other.weight, other.missed, other.source, other.trust = one.weight, one.missed, one.source, one.trust
                other.alive, one.alive = True, False
                taken[k], taken[i] = taken[i], -1
                break


@compiled
def hidden(objects, i, rules):  # type: ignore[no-untyped-def]
    """Whether object ``i`` is hidden; see :func:`spacetime_env.objects.slots_names.hidden`."""
    one = objects[i]
    if one.missed == 0 or one.missed > rules.hidden:
        return False
    ahead, area = one.at + one.velocity * one.missed, one.w * one.h
    for k in range(len(objects)):
        other = objects[k]
        if other.alive and other.missed == 0 and other.w * other.h <= rules.larger * area:
            left, top = other.at.real - other.w / 2.0, other.at.imag - other.h / 2.0
            if _common(ahead, one, left, top, other.w, other.h) >= rules.covered * area:
                return True
    return False


@compiled
def _common(at, one, left, top, w, h):  # type: ignore[no-untyped-def]
    """The area that object ``one`` with its centre ``at`` has in common with a box."""
    x, y = at.real - one.w / 2.0, at.imag - one.h / 2.0
    wide, high = min(x + one.w, left + w) - max(x, left), min(y + one.h, top + h) - max(y, top)
    return max(wide, 0.0) * max(high, 0.0)


@compiled
def _iou(at, one, box):  # type: ignore[no-untyped-def]
    """Intersection over union of object ``one`` with its centre ``at``, and a box."""
    w, h = np.float64(box[2]), np.float64(box[3])
    common = _common(at, one, np.float64(box[0]), np.float64(box[1]), w, h)
    return common / max(one.w * one.h + w * h - common, 1e-9)
