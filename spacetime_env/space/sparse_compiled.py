"""The inner steps of :mod:`spacetime_env.space.sparse`, compiled."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled, fused


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
