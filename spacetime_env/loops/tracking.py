"""From boxes to rows: loops of :mod:`spacetime_env.slot_arrays`."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.loops.compiler import compiled


@compiled
def match(at, velocity, missed, seen, confidence, reach, growth, turn, doubt, stale):  # type: ignore[no-untyped-def]
    """The cheapest detection of each object: :meth:`spacetime_env.slots.ManySlots._match` without its last resort.

    Args:
        at, velocity, missed: (n,) of the objects; places are complex.
        seen, confidence: (m,) of the detections, m > 0.
        reach, growth, turn, doubt, stale: see :mod:`spacetime_env.slots`.

    Returns:
        (n,) the detection of each object, or -1; and whether no two have the same.
    """
    taken, wanted, unique = np.empty(len(at), np.int64), np.zeros(len(seen), np.bool_), True
    for i in range(len(at)):
        ahead, far = velocity[i] * (missed[i] + 1), reach * (1.0 + growth * missed[i])
        lost = stale * missed[i] if len(at) > 1 else 0.0
        best, least, limit = -1, 1.0, far * far
        for j in range(len(seen)):
            off = seen[j] - at[i]
            left = off - ahead
            from_last = off.real * off.real + off.imag * off.imag
            expected = left.real * left.real + left.imag * left.imag
            if from_last >= limit and expected >= limit:
                continue  # out of reach, whatever lies between
            from_last, expected = math.sqrt(from_last), math.sqrt(expected)
            distance = expected + min(from_last - expected, 0.0) * turn
            cost = math.sqrt(distance / far) + doubt * (1.0 - confidence[j]) + lost
            if cost < least:
                best, least = j, cost
        taken[i] = best
        if best >= 0:
            unique = unique and not wanted[best]
            wanted[best] = True
    return taken, unique


@compiled
def see(taken, number, seen, sizes, at, step, velocity, size, missed, moved, source, smooth):  # type: ignore[no-untyped-def]
    """Each object has moved to its detection, or is missed; all but the first four and the last are brought up to date.

    Args:
        taken: (n,) as :func:`match` says.
        number, seen, sizes: (m,), (m,), (m, 2) of the detections.
        at, step, velocity, size, missed, moved, source: (n, ...) of the objects.
        smooth: see :mod:`spacetime_env.slots`.

    Returns:
        how many are seen, and the most steps that one was missed.
    """
    hits = most = 0
    for i in range(len(taken)):
        j = taken[i]
        if j < 0:
            missed[i] += 1
            step[i] = 0
            source[i] = -1
            most = max(most, missed[i])
            continue
        hits += 1
        step[i] = (seen[j] - at[i]) / (missed[i] + 1)
        velocity[i] += (smooth if moved[i] else 1.0) * (step[i] - velocity[i])
        at[i], size[i, 0], size[i, 1], source[i] = seen[j], sizes[j, 0], sizes[j, 1], number[j]
        missed[i] = 0
        moved[i] = True
    return hits, most


@compiled
def rows(slot, at, step, size, missed, slots, height, width, max_speed):  # type: ignore[no-untyped-def]
    """:meth:`spacetime_env.slots.ManySlots.rows`."""
    out = np.zeros((slots, 7))
    for i in range(len(slot)):
        row = out[slot[i]]
        row[0] = missed[i] == 0
        row[1], row[2] = at[i].real * 2 / width - 1, at[i].imag * 2 / height - 1
        row[3], row[4] = size[i, 0] / width, size[i, 1] / height
        row[5], row[6] = step[i].real / max_speed, step[i].imag / max_speed
        for k in range(7):
            row[k] = min(max(row[k], -1.0), 1.0)
    return out
