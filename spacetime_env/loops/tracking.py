"""From boxes to rows: the usual step of :class:`spacetime_env.tracker.Tracker`, of all classes in one go."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.loops.compiler import compiled


@compiled
def _move(i, j, boxes, alive, at, step, velocity, size, missed, moved, source, keep, smooth):  # type: ignore[no-untyped-def]
    """Object ``i`` is seen as detection ``j``; where that is -1, it is missed."""
    if j < 0:
        missed[i] += 1
        step[i] = 0
        source[i] = -1
        alive[i] = missed[i] <= keep
        return
    there = complex(boxes[j, 0] + boxes[j, 2] / 2.0, boxes[j, 1] + boxes[j, 3] / 2.0)
    step[i] = (there - at[i]) / (missed[i] + 1)
    velocity[i] += (smooth if moved[i] else 1.0) * (step[i] - velocity[i])
    at[i], size[i, 0], size[i, 1], source[i] = there, boxes[j, 2], boxes[j, 3], j
    missed[i] = 0
    moved[i] = True


@compiled
def track(  # type: ignore[no-untyped-def]
    boxes,
    class_ids,
    confidence,
    group_of,
    ends,
    alive,
    at,
    step,
    velocity,
    size,
    missed,
    moved,
    source,
    keep,
    reach,
    rules,
    native,
    max_speed,
    out,
):
    """Take the detections of the next frame, of each class where no two objects want the same and none must wait.

    Args:
        boxes, class_ids, confidence: (m, 4), (m,), (m,) of the detections.
        group_of: (classes,) the group of each class, or -1.
        ends: (groups,) where the slots of each group end.
        alive ... source: see :class:`spacetime_env.slot_arrays.SlotArrays`; brought up to date.
        keep, reach: see :class:`spacetime_env.slots.FewSlots`.
        rules: REACH_GROWTH, TURN, DOUBT, STALE and SMOOTH of :mod:`spacetime_env.slots`.
        native: H, W of the frame.
        max_speed: native pixels a step that a displacement of 1 stands for.
        out: (slots, 7) float32: :data:`spacetime_env.tracker.FEATURES`.

    Returns:
        (groups,) which are left to do: nothing of these was changed.
    """
    growth, turn, doubt, stale, smooth = rules
    height, width = native
    left = np.zeros(len(ends), np.bool_)
    taken, free = np.empty(len(alive), np.int64), np.empty(len(boxes), np.bool_)
    for group in range(len(ends)):
        start, end = ends[group - 1] if group else 0, ends[group]
        count = new = 0
        for i in range(start, end):
            count += alive[i]
        for j in range(len(boxes)):
            free[j] = group_of[class_ids[j]] == group
            new += free[j]
        room = end - start - count
        for i in range(start, end):
            taken[i] = -1
            if not alive[i]:
                continue
            ahead, far = velocity[i] * (missed[i] + 1), reach * (1.0 + growth * missed[i])
            lost = stale * missed[i] if count > 1 else 0.0
            best, least, limit = -1, 1.0, far * far
            for j in range(len(boxes)):
                if group_of[class_ids[j]] != group:
                    continue
                x = boxes[j, 0] + boxes[j, 2] / 2.0 - at[i].real
                y = boxes[j, 1] + boxes[j, 3] / 2.0 - at[i].imag
                from_last = x * x + y * y
                expected = (x - ahead.real) ** 2 + (y - ahead.imag) ** 2
                if from_last >= limit and expected >= limit:
                    continue  # out of reach, whatever lies between
                from_last, expected = math.sqrt(from_last), math.sqrt(expected)
                distance = expected + min(from_last - expected, 0.0) * turn
                cost = math.sqrt(distance / far) + doubt * (1.0 - confidence[j]) + lost
                if cost < least:
                    best, least = j, cost
            if best < 0:
                room += missed[i] + 1 > keep
            elif free[best]:
                free[best] = False
                new -= 1
                taken[i] = best
            else:
                left[group] = True
                break
        if left[group] or new > min(room, 1):
            left[group] = True
            continue
        for i in range(start, end):
            if alive[i]:
                _move(i, taken[i], boxes, alive, at, step, velocity, size, missed, moved, source, keep, smooth)
        for j in range(len(boxes)) if new else range(0):
            for i in range(start, end) if free[j] else range(0):
                if not alive[i]:
                    alive[i], moved[i], missed[i], source[i] = True, False, 0, j
                    at[i] = complex(boxes[j, 0] + boxes[j, 2] / 2.0, boxes[j, 1] + boxes[j, 3] / 2.0)
                    step[i] = velocity[i] = 0
                    size[i, 0], size[i, 1] = boxes[j, 2], boxes[j, 3]
                    break
        for i in range(start, end):
            for k in range(7):
                out[i, k] = 0
            if alive[i]:
                out[i, 0] = missed[i] == 0
                out[i, 1], out[i, 2] = at[i].real * 2 / width - 1, at[i].imag * 2 / height - 1
                out[i, 3], out[i, 4] = size[i, 0] / width, size[i, 1] / height
                out[i, 5], out[i, 6] = step[i].real / max_speed, step[i].imag / max_speed
                for k in range(1, 7):
                    out[i, k] = min(max(out[i, k], np.float32(-1)), np.float32(1))
    return left
