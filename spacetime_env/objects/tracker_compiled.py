"""From boxes to rows: the usual step of :class:`spacetime_env.objects.tracker.Tracker`, of all classes in one go."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled


@compiled
def assign(cost):  # type: ignore[no-untyped-def]
    """What ``scipy.optimize.linear_sum_assignment`` finds, which compiled code cannot call.

    Shortest augmenting paths (Crouse 2016, doi:10.1109/TAES.2016.140952), a row at a time.

    Args:
        cost: (n, m) with n <= m, finite.

    Returns:
        (n,) the column of each row, so that the sum of the costs is least.
    """
    rows, columns = cost.shape
    of_row, of_column = np.zeros(rows), np.zeros(columns)  # the dual variables
    column_of, row_of = np.full(rows, -1, np.int64), np.full(columns, -1, np.int64)
    before, length, left = np.empty(columns, np.int64), np.empty(columns), np.empty(columns, np.int64)
    visited = np.empty(rows, np.bool_)
    for begin in range(rows):
        visited[:] = False
        length[:] = np.inf
        for k in range(columns):
            left[k] = columns - 1 - k
        count, least, row, sink = columns, 0.0, begin, -1
        while sink < 0:
            visited[row] = True
            nearest, at = np.inf, -1
            for k in range(count):
                column = left[k]
                reduced = least + cost[row, column] - of_row[row] - of_column[column]
                if reduced < length[column]:
                    before[column], length[column] = row, reduced
                ends = length[column] == nearest and row_of[column] < 0
                if length[column] < nearest or ends:  # of equals, one that ends the path
                    nearest, at = length[column], k
            least, column = nearest, left[at]
            count -= 1
            left[at], left[count] = left[count], column  # what was visited is at the end
            if row_of[column] < 0:
                sink = column
            else:
                row = row_of[column]
        of_row[begin] += least
        for other in range(rows):
            if visited[other] and other != begin:
                of_row[other] += least - length[column_of[other]]
        for k in range(count, columns):
            of_column[left[k]] -= least - length[left[k]]
        while True:
            row = before[sink]
            row_of[sink] = row
            column_of[row], sink = sink, column_of[row]
            if row == begin:
                break
    return column_of


@compiled
def _together(alive, at, velocity, missed, mine, start, boxes, confidence, reach, growth, turn, doubt, stale, taken):  # type: ignore[no-untyped-def]
    """``taken`` of a group in which two objects want the same, so that the sum of the costs is least."""
    objects = start + alive.nonzero()[0]
    cost = np.empty((len(objects), len(mine)))
    for n in range(len(objects)):
        i = objects[n]
        ahead, far = velocity[i] * (missed[i] + 1), reach * (1.0 + growth * missed[i])
        lost = stale * missed[i] if len(objects) > 1 else 0.0
        for k in range(len(mine)):
            j = mine[k]
            x = boxes[j, 0] + boxes[j, 2] / 2.0 - at[i].real
            y = boxes[j, 1] + boxes[j, 3] / 2.0 - at[i].imag
            from_last = math.sqrt(x * x + y * y)
            expected = math.sqrt((x - ahead.real) ** 2 + (y - ahead.imag) ** 2)
            distance = expected + min(from_last - expected, 0.0) * turn
            cost[n, k] = min(math.sqrt(distance / far) + doubt * (1.0 - confidence[j]) + lost, 1.0)
    turned = len(objects) > len(mine)
    found = assign(cost.T.copy() if turned else cost)
    for n in range(len(found)):
        row, column = (found[n], n) if turned else (n, found[n])
        if cost[row, column] < 1.0:
            taken[objects[row]] = mine[column]


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
    """Take the detections of the next frame, of each class where at most one is new and none must wait.

    Args:
        boxes, class_ids, confidence: (m, 4), (m,), (m,) of the detections.
        group_of: (classes,) the group of each class, or -1.
        ends: (groups,) where the slots of each group end.
        alive ... source: see :class:`spacetime_env.objects.slot_arrays.SlotArrays`; brought up to date.
        keep, reach: see :class:`spacetime_env.objects.slots.FewSlots`.
        rules: REACH_GROWTH, TURN, DOUBT, STALE and SMOOTH of :mod:`spacetime_env.objects.slots`.
        native: H, W of the frame.
        max_speed: native pixels a step that a displacement of 1 stands for.
        out: (slots, 7) float32: :data:`spacetime_env.objects.tracker.FEATURES`.

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
        room, contested = end - start - count, False
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
            if best >= 0:
                contested |= not free[best]
                free[best] = False
                taken[i] = best
        if contested:
            mine = np.empty(new, np.int64)
            new = 0
            for j in range(len(boxes)):
                if group_of[class_ids[j]] == group:
                    mine[new] = j
                    free[j] = True
                    new += 1
            taken[start:end] = -1
            weights = (reach, growth, turn, doubt, stale)
            _together(alive[start:end], at, velocity, missed, mine, start, boxes, confidence, *weights, taken)
        for i in range(start, end):
            if alive[i] and taken[i] >= 0:
                free[taken[i]] = False
                new -= 1
            elif alive[i]:
                room += missed[i] + 1 > keep
        if new > min(room, 1):
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
