"""From pixels to boxes: loops of :mod:`spacetime_env.space.sparse`, screens and scenes."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.loops.compiler import compiled, fused


@compiled
def changed_cells(rows, last, words, last_words, of, grid):  # type: ignore[no-untyped-def]
    """The cells whose pixels are not those of the last frame.

    Args:
        rows: (B, G, patch height, bytes of a row) uint8, pixels of the new frames.
        last: (S, G, patch height, bytes of a row) uint8, of the last frames.
        words, last_words: the same, in words of several bytes.
        of: (B,) the stream of each.
        grid: G.

    Returns:
        (M, 3) frame, row and column of each.
    """
    found = np.empty((rows.shape[0] * grid * grid, 3), np.int64)
    across, size = rows.shape[3] // grid, rows.shape[3] // words.shape[3]
    marked = np.zeros(grid, np.bool_)
    count = 0
    for b in range(rows.shape[0]):
        stream = of[b]
        for row in range(grid):
            some = False
            for y in range(rows.shape[2]):
                for x in range(words.shape[3]):
                    if words[b, row, y, x] != last_words[stream, row, y, x]:
                        some = True
                        for k in range(x * size, (x + 1) * size):
                            if rows[b, row, y, k] != last[stream, row, y, k]:
                                marked[k // across] = True
            if some:
                for column in range(grid):
                    if marked[column]:
                        found[count, 0], found[count, 1], found[count, 2] = b, row, column
                        count += 1
                        marked[column] = False
    return found[:count]


@compiled
def take_over(rows, last, of, cells, grid):  # type: ignore[no-untyped-def]
    """Put what :func:`changed_cells` found, (M, 3) cells, into ``last``; the others are as there.

    Returns:
        (M, patch height * bytes of a patch's row) uint8, the pixels of these cells.
    """
    across = rows.shape[3] // grid
    out = np.empty((len(cells), rows.shape[2] * across), np.uint8)
    for i in range(len(cells)):
        b, row, column, k = cells[i, 0], cells[i, 1], cells[i, 2], 0
        for y in range(rows.shape[2]):
            for x in range(column * across, (column + 1) * across):
                last[of[b], row, y, x] = out[i, k] = rows[b, row, y, x]
                k += 1
    return out


@compiled
def mix(ids, before, words, words_before, numbers, out):  # type: ignore[no-untyped-def]
    """Put the mixture of two frames into ``out``, which holds the later one.

    Args:
        ids, before: (n,) uint8.
        words, words_before: the same, in words of several bytes.
        numbers: (256, 256) the number of each pair, or -1.
        out: (n,) uint8.

    Returns:
        a place whose pair has no number yet, or -1.
    """
    missing, size = -1, len(ids) // len(words)
    for w in range(len(words)):
        if words[w] != words_before[w]:
            for i in range(w * size, (w + 1) * size):
                if ids[i] != before[i]:
                    number = numbers[ids[i], before[i]]
                    if number < 0:
                        missing = i
                    else:
                        out[i] = number
    return missing


@fused
def of_patches(cut, cell, weight, bias):  # type: ignore[no-untyped-def]
    """The first layer, a patch a cell: (M, K) uint8, (M,) which cells, weight (K, C), bias (G * G, C) -> (M, C)."""
    out = np.empty((len(cut), weight.shape[1]), np.float32)
    for i in range(len(cut)):
        sums = bias[cell[i]].copy()
        for k in range(len(weight)):
            value = np.float32(cut[i, k])
            if value != 0:  # black, mostly
                for j in range(len(sums)):
                    sums[j] += value * weight[k, j]
        for j in range(len(sums)):
            out[i, j] = max(sums[j], np.float32(0))
    return out


@fused
def around(features, here, near, weight, bias):  # type: ignore[no-untyped-def]
    """A 3 x 3 layer in some places: (N, C) features of all, (M,) places, (9,) steps to neighbours -> (M, C')."""
    out = np.empty((len(here), weight.shape[1]), np.float32)
    channels = features.shape[1]
    sums = np.empty(len(bias), np.float32)
    for i in range(len(here)):
        sums[:] = bias
        for n in range(9):
            place = here[i] + near[n]
            for c in range(channels):
                value = features[place, c]
                if value != 0:  # after ReLU half of them are
                    k = n * channels + c
                    for j in range(len(sums)):
                        sums[j] += value * weight[k, j]
        for j in range(len(sums)):
            out[i, j] = max(sums[j], np.float32(0))
    return out


@compiled
def widened(here, near, differs, grid, last):  # type: ignore[no-untyped-def]
    """Places and their neighbours, without margins; the ``last`` time, those that differ from the background."""
    side = grid + 2
    marked = np.zeros(len(differs), np.bool_)
    out = np.empty(len(here) * 9, np.int64)
    count = 0
    for i in range(len(here)):
        for n in range(9):
            place = here[i] + near[n]
            if marked[place]:
                continue
            marked[place] = True
            row, column = place // side % side, place % side
            inside = 0 < row <= grid and 0 < column <= grid
            if inside and (differs[place] or not last):
                out[count] = place
                count += 1
    return out[:count]


@compiled
def present(raw, differs, of, grid, limit, scale):  # type: ignore[no-untyped-def]
    """The objects of some streams: of the cells that differ, those of which the encoder says more than ``limit``.

    Args:
        raw: (S * P * P, 11 + D) what it says.
        differs: (S * P * P,).
        of: (B,) the streams.
        grid: G.
        limit: see :func:`spacetime_env.space.foreground.raw_presence`.
        scale: of the logit of z_pres.

    Returns:
        frame (M,), z_pres (M,), z_where (M, 4), z_what (M, D).
    """
    side, depth = grid + 2, raw.shape[1] - 11
    cells = side * side
    places = np.empty(len(of) * grid * grid, np.int64)
    frames = np.empty(len(of) * grid * grid, np.int64)
    count = 0
    for b in range(len(of)):
        for place in range(of[b] * cells, (of[b] + 1) * cells):
            if differs[place] and raw[place, 8] > limit:
                places[count], frames[count] = place, b
                count += 1
    z_pres = np.empty(count, np.float32)
    z_where, z_what = np.empty((count, 4), np.float32), np.empty((count, depth), np.float32)
    one, two = np.float32(1), np.float32(2 / grid)
    for i in range(count):
        place = places[i]
        said = raw[place]
        column, row = place % side - np.float32(0.5), place // side % side - np.float32(0.5)
        z_pres[i] = one / (one + math.exp(-np.float32(scale) * math.tanh(said[8])))
        z_where[i, 0] = one / (one + math.exp(-said[0]))
        z_where[i, 1] = one / (one + math.exp(-said[1]))
        z_where[i, 2] = (column + math.tanh(said[4])) * two - one
        z_where[i, 3] = (row + math.tanh(said[5])) * two - one
        for d in range(depth):
            z_what[i, d] = said[11 + d]
    return frames[:count], z_pres, z_where, z_what


@compiled
def arrange(frame, z_pres, places, threshold, ignore, limit, whole, height, width):  # type: ignore[no-untyped-def]
    """What :func:`spacetime_env.objects.describe.describe_all` keeps, and its boxes.

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
    kept = np.empty(len(frame), np.int64)
    exact, boxes = np.empty((len(frame), 4), np.float32), np.empty((len(frame), 4), np.float32)
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
            return kept[:0], boxes[:0], False
        at = count  # by insertion: a frame has few
        while at > start and z_pres[kept[at - 1]] < z_pres[i]:
            kept[at], exact[at] = kept[at - 1], exact[at - 1]
            at -= 1
        kept[at] = i
        exact[at, 0], exact[at, 1], exact[at, 2], exact[at, 3] = x, y, w, h
        count += 1
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
        if out:
            continue
        for j in range(begin, found):
            common = min(x + w, exact[j, 0] + exact[j, 2]) - max(x, exact[j, 0])
            beside = min(y + h, exact[j, 1] + exact[j, 3]) - max(y, exact[j, 1])
            if common > 0 and beside > 0:
                shared = common * beside
                if shared > limit * (w * h + exact[j, 2] * exact[j, 3] - shared):
                    out = True
                    break
        if out:
            continue
        kept[found] = kept[i]
        exact[found] = exact[i]
        boxes[found, 0], boxes[found, 1], boxes[found, 2], boxes[found, 3] = left, top, across, down
        found += 1
    return kept[:found], boxes[:found], True
