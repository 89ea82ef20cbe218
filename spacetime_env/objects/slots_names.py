"""Objects that are called otherwise for a step, and objects behind others: two rules of the tracker, in arrays.

A name is decided by evidence over several steps. An object is recognised by its place too, whatever a detection there
is called; each detection is a vote, and the object changes its class when it has no trust left in its own.

:mod:`spacetime_env.objects.slots_names_compiled` has the same rules as compiled loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def match_by_place(
    objects: np.ndarray, taken: np.ndarray, boxes: np.ndarray, class_ids: np.ndarray, rules: Any
) -> None:
    """Give lost objects the detections of other classes that are where they are, the best ones first.

    A detection fits if its box has an IoU of ``rules.place`` with the expected box or the last one. It fits too, but
    less, if it has the object's size and its centre is within half the reach of one of both.

    Args:
        objects: (S,) of :data:`spacetime_env.objects.slots.OBJECT`.
        taken: (S,) the detection of each object, or -1; brought up to date.
        boxes: (m, 4) float64, all detections of the step.
        class_ids: (m,).
    """
    lost = (objects["alive"] & (taken < 0)).nonzero()[0]
    new = np.full(len(boxes), True)
    new[taken[taken >= 0]] = False
    free = new.nonzero()[0]
    if not len(lost) or not len(free):
        return
    one, there = objects[lost], boxes[free]
    last, ahead = one["at"], one["at"] + one["velocity"] * (one["missed"] + 1)
    score = np.maximum(_iou(_boxes(ahead, one), there), _iou(_boxes(last, one), there))
    away = np.minimum(_distance(ahead, there), _distance(last, there)) / (0.5 * rules.reach)
    near = np.where(_alike(one, there, rules.like), rules.place * (1 - away), 0)
    score = np.where(score >= rules.place, score, near)
    score[one["class_id"][:, None] == class_ids[free]] = 0
    while True:
        i, j = np.unravel_index(score.argmax(), score.shape)
        if score[i, j] <= 0:
            return
        taken[lost[i]] = free[j]
        score[i], score[:, j] = 0, 0


def vote(
    objects: np.ndarray,
    rows: np.ndarray | slice,
    which: np.ndarray,
    sizes: np.ndarray,
    class_ids: np.ndarray,
    rules: Any,
) -> bool:
    """Count whether the detections of the objects have the names of the objects; returns whether one has not.

    The vote of a detection whose size is not that of the object the step before does not count: what comes in at the
    edge of the screen or is half hidden looks like something else. An object without trust that is called otherwise,
    whatever its size, is out of its class: its trust is -1.

    Args:
        objects: (S,), with the sizes of the step before.
        rows, which: the objects that are seen, and their detections.
        sizes: (m, 2) w, h of the detections.
        class_ids: (m,).
    """
    trust = objects["trust"]
    agrees, known = class_ids[which] == objects["class_id"][rows], trust[rows]
    doubt = bool(np.count_nonzero(agrees) < len(agrees))
    if not doubt and np.count_nonzero(known == rules.trust) == len(known):
        return False
    before, now = objects["w"][rows] * objects["h"][rows], sizes[which, 0] * sizes[which, 1]
    sure = np.minimum(before, now) >= rules.like * np.maximum(before, now)
    after = np.minimum(known + np.where(agrees, 1, -1) * sure, rules.trust)
    trust[rows] = np.where(~agrees & (known == 0), -1, np.maximum(after, 0)) if doubt else after
    return doubt


def rename(objects: np.ndarray, taken: np.ndarray, class_ids: np.ndarray) -> None:
    """Move objects that are out of their class to the class of their detection, if it has a free slot.

    Args:
        objects: (S,), brought up to date.
        taken: (S,) the detection of each object, or -1; brought up to date.
        class_ids: (m,) of the detections.
    """
    for i in (objects["alive"] & (objects["trust"] < 0)).nonzero()[0].tolist():
        objects["trust"][i] = 0
        class_id = class_ids[taken[i]]
        free = ((objects["class_id"] == class_id) & ~objects["alive"]).nonzero()[0]
        if len(free):
            objects[free[0]] = objects[i]
            objects["class_id"][free[0]] = class_id
            taken[free[0]], taken[i] = taken[i], -1
            objects["alive"][i] = False


def hidden(objects: np.ndarray, rules: Any) -> np.ndarray:
    """(S,) bool: the lost objects that are behind another one.

    The other is seen, is not much larger (a shot on an enemy has hit it), and covers a part of the place where the
    object is expected.
    """
    missed, result = objects["missed"], np.full(len(objects), False)
    lost = (objects["alive"] & (missed > 0) & (missed <= rules.hidden)).nonzero()[0]
    seen = (objects["alive"] & (missed == 0)).nonzero()[0]
    if len(lost) and len(seen):
        ahead = objects["at"] + objects["velocity"] * missed
        boxes, others = _boxes(ahead[lost], objects[lost]), _boxes(objects["at"][seen], objects[seen])
        area, other = boxes[:, 2] * boxes[:, 3], others[:, 2] * others[:, 3]
        covered = _common(boxes, others) >= (rules.covered * area)[:, None]
        result[lost] = (covered & (other <= (rules.larger * area)[:, None])).any(axis=1)
    return result


def _alike(objects: np.ndarray, boxes: np.ndarray, like: float) -> np.ndarray:
    """Whether width and height of boxes are nearly those of objects: (n,) and (m, 4) -> (n, m) bool."""
    w, h = objects["w"][:, None], objects["h"][:, None]
    wide = np.minimum(w, boxes[:, 2]) >= like * np.maximum(w, boxes[:, 2])
    return wide & (np.minimum(h, boxes[:, 3]) >= like * np.maximum(h, boxes[:, 3]))


def _distance(at: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Of places (n,) from the centres of boxes (m, 4): (n, m)."""
    x = at.real[:, None] - (boxes[:, 0] + boxes[:, 2] / 2)
    y = at.imag[:, None] - (boxes[:, 1] + boxes[:, 3] / 2)
    distance: np.ndarray = np.sqrt(x * x + y * y)
    return distance


def _boxes(at: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """(n, 4) x, y, w, h of objects with their centres ``at``."""
    w, h = objects["w"], objects["h"]
    return np.stack([at.real - w / 2, at.imag - h / 2, w, h], axis=1)


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The area that boxes have in common: (n, 4) and (m, 4) -> (n, m)."""
    wide = np.minimum(a[:, None, 0] + a[:, None, 2], b[:, 0] + b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    high = np.minimum(a[:, None, 1] + a[:, None, 3], b[:, 1] + b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    common: np.ndarray = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    return common


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union: (n, 4) and (m, 4) -> (n, m)."""
    common = _common(a, b)
    return common / np.maximum((a[:, 2] * a[:, 3])[:, None] + b[:, 2] * b[:, 3] - common, 1e-9)
