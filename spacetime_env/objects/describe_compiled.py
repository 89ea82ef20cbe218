"""Which cells are kept, and their boxes, compiled: the loop of :mod:`spacetime_env.objects.describe`."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled


@compiled
def arrange(frame, z_pres, places, threshold, ignore, limit, whole, height, width):  # type: ignore[no-untyped-def]
    """What :func:`spacetime_env.objects.describe.Describer` keeps, and its boxes.

    Args:
        frame: (M,) ascending.
        z_pres: (M,) float32.
        places: (M, 4) float32 z_where.
        threshold: z_pres over this is an object.
        ignore: (R, 4) x, y, w, h.
        limit: of two boxes of a frame with more IoU than this, the less certain one goes.
        whole: put edges on whole pixels.
        height, width: of the frame in pixels.

    Returns:
        (n,) which are kept, frame by frame, the most certain first, and their boxes (n, 4) float32; None of them if a
        place is not a number.
    """
    kept, exact, count = _sorted(frame, z_pres, places, threshold, height, width)
    boxes, one, two = np.empty((max(count, 0), 4), np.float32), np.float32(1), np.float32(2)
    if count < 0:
        return kept[:0], boxes, False
    found = begin = 0
    current = -1
    for i in range(count):
        if frame[kept[i]] != current:
            current, begin = frame[kept[i]], found
        x, y, w, h = exact[i]
        left, top, across, down = x, y, w, h
        if whole:
            left, top = np.rint(x), np.rint(y)
            across, down = max(np.rint(x + w) - left, one), max(np.rint(y + h) - top, one)
        middle, center, out = left + across / two, top + down / two, False
        for r in range(len(ignore)):
            a, b, c, d = ignore[r]
            out |= a <= middle < a + c and b <= center < b + d
        if out or _overlaps(exact[i], exact[begin:found], limit):
            continue
        kept[found] = kept[i]
        exact[found] = exact[i]
        boxes[found, 0], boxes[found, 1], boxes[found, 2], boxes[found, 3] = left, top, across, down
        found += 1
    return kept[:found], boxes[:found], True


@compiled
def _sorted(frame, z_pres, places, threshold, height, width):  # type: ignore[no-untyped-def]
    """The cells over the threshold, frame by frame, the most certain first; their exact boxes; how many they are.

    The number is -1 if a place is not a number.
    """
    kept, exact = np.empty(len(frame), np.int64), np.empty((len(frame), 4), np.float32)
    wide, high, one, two = np.float32(width), np.float32(height), np.float32(1), np.float32(2)
    count = start = 0
    for i in range(len(frame)):
        if i and frame[i] != frame[i - 1]:
            start = count
        if not z_pres[i] > threshold:
            continue
        w, h = places[i, 0] * wide, places[i, 1] * high
        x, y = ((places[i, 2] + one) * wide - w) / two, ((places[i, 3] + one) * high - h) / two
        if not math.isfinite(x + y + w + h):
            return kept, exact, -1
        at = count  # by insertion: a frame has few
        while at > start and z_pres[kept[at - 1]] < z_pres[i]:
            kept[at], exact[at] = kept[at - 1], exact[at - 1]
            at -= 1
        kept[at] = i
        exact[at, 0], exact[at, 1], exact[at, 2], exact[at, 3] = x, y, w, h
        count += 1
    return kept, exact, count


@compiled
def _overlaps(box, others, limit):  # type: ignore[no-untyped-def]
    """Whether a box (4,) has an IoU over ``limit`` with one of the others (n, 4)."""
    x, y, w, h = box
    for j in range(len(others)):
        common = min(x + w, others[j, 0] + others[j, 2]) - max(x, others[j, 0])
        beside = min(y + h, others[j, 1] + others[j, 3]) - max(y, others[j, 1])
        if common > 0 and beside > 0:
            shared = common * beside
            if shared > limit * (w * h + others[j, 2] * others[j, 3] - shared):
                return True
    return False
