"""The functions of :mod:`spacetime_env.space.sparse_arrays`, compiled. What they do and take is said there."""

from __future__ import annotations

import math

import numpy as np

from spacetime_env.compiled import compiled, fused
from spacetime_env.space.latents import HEAD

# numba compiles these in as constants. It does not compile again when they change: delete __pycache__ then.
SCALE, SHIFT, PRES, Z_WHAT = HEAD.scale_mean.start, HEAD.shift_mean.start, HEAD.pres.start, HEAD.z_what.start


@compiled
def changed_cells(rows, last, words, last_words, stream, grid):  # type: ignore[no-untyped-def]
    """(M, 3): frame, row and column of the cells whose pixels are not those of the last frame.

    ``words`` and ``last_words`` are ``rows`` and ``last`` in words of several bytes.
    """
    found = np.empty((rows.shape[0] * grid * grid, 3), np.int64)
    across, size = rows.shape[3] // grid, rows.shape[3] // words.shape[3]
    marked = np.zeros(grid, np.bool_)
    count = 0
    for b in range(rows.shape[0]):
        s = stream[b]
        for row in range(grid):
            some = False
            for y in range(rows.shape[2]):
                for x in range(words.shape[3]):
                    if words[b, row, y, x] != last_words[s, row, y, x]:
                        some = True
                        for k in range(x * size, (x + 1) * size):
                            if rows[b, row, y, k] != last[s, row, y, k]:
                                marked[k // across] = True
            if some:
                for column in range(grid):
                    if marked[column]:
                        found[count, 0], found[count, 1], found[count, 2] = b, row, column
                        count += 1
                        marked[column] = False
    return found[:count]


@compiled
def take_over(rows, last, stream, cells, grid):  # type: ignore[no-untyped-def]
    """Copy the pixels of some cells, (M, 3), into ``last``; returns them."""
    across = rows.shape[3] // grid
    out = np.empty((len(cells), rows.shape[2] * across), np.uint8)
    for i in range(len(cells)):
        b, row, column, k = cells[i, 0], cells[i, 1], cells[i, 2], 0
        for y in range(rows.shape[2]):
            for x in range(column * across, (column + 1) * across):
                last[stream[b], row, y, x] = out[i, k] = rows[b, row, y, x]
                k += 1
    return out


@fused
def patch_features(cut, cell, weight, bias):  # type: ignore[no-untyped-def]
    """The features, (M, C), of a single patch layer with weight (K, C), whose bias is (G * G, C), one for each cell."""
    out = np.empty((len(cut), weight.shape[1]), np.float32)
    for i in range(len(cut)):
        sums = bias[cell[i]].copy()
        for k in range(len(weight)):
            value = np.float32(cut[i, k])
            if value != 0:  # most pixels are black
                for j in range(len(sums)):
                    sums[j] += value * weight[k, j]
        for j in range(len(sums)):
            out[i, j] = max(sums[j], np.float32(0))
    return out


@fused
def neighbour_features(features, places, neighbours, weight, bias):  # type: ignore[no-untyped-def]
    """The output of a 3 x 3 layer in some places, (M, C')."""
    out = np.empty((len(places), weight.shape[1]), np.float32)
    channels = features.shape[1]
    sums = np.empty(len(bias), np.float32)
    for i in range(len(places)):
        sums[:] = bias
        for n in range(9):
            place = places[i] + neighbours[n]
            for c in range(channels):
                value = features[place, c]
                if value != 0:  # ReLU makes about half of them 0
                    k = n * channels + c
                    for j in range(len(sums)):
                        sums[j] += value * weight[k, j]
        for j in range(len(sums)):
            out[i, j] = max(sums[j], np.float32(0))
    return out


@compiled
def open_cells(places, neighbours, differs, home, opened, grid, beside):  # type: ignore[no-untyped-def]
    """Set anew, around some places, in which cells an object can have its centre."""
    side = grid + 2
    for i in range(len(places)):
        if not beside:
            opened[places[i]] = differs[places[i]] or home[places[i] % len(home)]
            continue
        for n in range(9):
            place = places[i] + neighbours[n]
            row, column = place // side % side, place % side
            if 0 < row <= grid and 0 < column <= grid:
                found = home[place % len(home)]
                for k in range(9):
                    found = found or differs[place + neighbours[k]]
                opened[place] = found


@compiled
def widened(places, neighbours, opened, grid, last):  # type: ignore[no-untyped-def]
    """The places and their neighbours, without margins; with ``last`` only those that are open."""
    side = grid + 2
    marked = np.zeros(len(opened), np.bool_)
    out = np.empty(len(places) * 9, np.int64)
    count = 0
    for i in range(len(places)):
        for n in range(9):
            place = places[i] + neighbours[n]
            if marked[place]:
                continue
            marked[place] = True
            row, column = place // side % side, place % side
            inside = 0 < row <= grid and 0 < column <= grid
            if inside and (opened[place] or not last):
                out[count] = place
                count += 1
    return out[:count]


@compiled
def present(raw, opened, stream, grid, limit, scale):  # type: ignore[no-untyped-def]
    """The objects of some streams: frame (M,), z_pres (M,), z_where (M, 4), z_what (M, D)."""
    side, depth = grid + 2, raw.shape[1] - Z_WHAT
    cells = side * side
    places = np.empty(len(stream) * grid * grid, np.int64)
    frames = np.empty(len(stream) * grid * grid, np.int64)
    count = 0
    for b in range(len(stream)):
        for place in range(stream[b] * cells, (stream[b] + 1) * cells):
            if opened[place] and raw[place, PRES] > limit:
                places[count], frames[count] = place, b
                count += 1
    z_pres = np.empty(count, np.float32)
    z_where, z_what = np.empty((count, 4), np.float32), np.empty((count, depth), np.float32)
    one, two = np.float32(1), np.float32(2 / grid)
    for i in range(count):
        place = places[i]
        cell = raw[place]
        column, row = place % side - np.float32(0.5), place // side % side - np.float32(0.5)
        z_pres[i] = one / (one + math.exp(-np.float32(scale) * math.tanh(cell[PRES])))
        z_where[i, 0] = one / (one + math.exp(-cell[SCALE]))
        z_where[i, 1] = one / (one + math.exp(-cell[SCALE + 1]))
        z_where[i, 2] = (column + math.tanh(cell[SHIFT])) * two - one
        z_where[i, 3] = (row + math.tanh(cell[SHIFT + 1])) * two - one
        for d in range(depth):
            z_what[i, d] = cell[Z_WHAT + d]
    return frames[:count], z_pres, z_where, z_what
