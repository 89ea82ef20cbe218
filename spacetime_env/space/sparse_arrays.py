"""The inner steps of :mod:`spacetime_env.space.sparse`, written with numpy and torch.

:mod:`spacetime_env.space.sparse_compiled` has the same functions, compiled; this is the form to read. Of S streams of
frames, B have a new one. Each has a grid of G x G cells. P = G + 2, with a margin. A place is an index into the
(S * P * P) cells of all streams.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spacetime_env.space.latents import HEAD

PatchLayers = Sequence[tuple[tuple[int, int], Tensor, Tensor]]  # h, w; weight (h * w * C, C'); bias


def changed_cells(
    rows: np.ndarray, last: np.ndarray, stream: np.ndarray, words: tuple[np.dtype, np.dtype], grid: int
) -> np.ndarray:
    """(M, 3): frame, row and column of the cells whose pixels are not those of the last frame.

    Args:
        rows: (B, G, patch height, bytes of a row) uint8, pixels of the new frames.
        last: (S, G, patch height, bytes of a row) uint8, of the last frames.
        stream: (B,) the stream of each new frame.
        words: the largest integers that a row of a frame and a row of a patch are made of.
        grid: G.
    """
    # The usual case is one new frame of each stream, in order: then ``last`` need not be copied.
    last = last if stream.tolist() == list(range(len(last))) else last[stream]
    whole, part = words
    differ = rows.view(whole) != last.view(whole)
    # Rows of cells first: most have no change, and the words of a frame's row are few.
    bands = np.logical_or.reduce(differ, axis=(2, 3)).ravel().nonzero()[0]
    flat = -1, *rows.shape[2:]
    differ = rows.reshape(flat)[bands].view(part) != last.reshape(flat)[bands].view(part)
    # (bands, G, words of a cell's row)
    cells = np.logical_or.reduce(differ, axis=1).reshape(len(bands), grid, differ.shape[2] // grid)
    band, column = np.logical_or.reduce(cells, axis=2).nonzero()
    changed = np.empty((len(band), 3), np.int64)
    changed[:, 0], changed[:, 1] = np.divmod(bands[band], grid)
    changed[:, 2] = column
    return changed


def take_over(rows: np.ndarray, last: np.ndarray, stream: np.ndarray, cells: np.ndarray, grid: int) -> np.ndarray:
    """Copy the pixels of some cells, (M, 3), into ``last``.

    Args:
        rows, last, stream, grid: see :func:`changed_cells`.
        cells: frame, row and column of each.

    Returns:
        (M, patch height * bytes of a patch's row) uint8, these pixels.
    """
    frame, row, column = cells.T
    shape = (-1, grid, rows.shape[2], grid, rows.shape[3] // grid)
    cut = rows.reshape(shape)[frame, row, :, column]
    last.reshape(shape)[stream[frame], row, :, column] = cut
    return cut.reshape(len(cells), shape[2] * shape[4])


def patch_features(
    cut: np.ndarray, cell: np.ndarray, patch: tuple[int, int], layers: PatchLayers, offset: Tensor | None
) -> np.ndarray:
    """The features, (M, C), that the patch layers make of some cells. These layers look at one cell at a time.

    Args:
        cut: (M, K) uint8, the cells' pixels.
        cell: (M,) index of each in the grid, 0 to G * G - 1.
        patch: height and width of a cell in pixels.
        layers: weights and biases.
        offset: (cells, places of a cell, C'), added after the first layer.
    """
    features, (high, wide), channels = cut.astype(np.float32), patch, 3
    for i, ((down, across), weight, bias) in enumerate(layers):
        high, wide = high // down, wide // across
        if high * wide > 1:
            features = features.reshape(-1, high, down, wide, across, channels).transpose(0, 1, 3, 2, 4, 5)
        values = torch.addmm(bias, torch.from_numpy(features.reshape(-1, weight.shape[0])), weight)
        if i == 0 and offset is not None:
            values += offset[torch.from_numpy(cell)].flatten(0, 1)
        features, channels = _relu(values), weight.shape[1]
    return features.reshape(len(cut), -1)


def neighbour_features(
    features: np.ndarray, places: np.ndarray, neighbours: np.ndarray, weight: Tensor, bias: Tensor
) -> np.ndarray:
    """The output of a 3 x 3 layer in some places, (M, C').

    Args:
        features: (S * P * P, C), its input.
        places: (M,).
        neighbours: (9,) what to add to a place to get each of its neighbours and itself.
        weight: (9 * C, C').
        bias: (C',).
    """
    gathered = features.take(places[:, None] + neighbours, axis=0).reshape(len(places), weight.shape[0])
    return _relu(torch.addmm(bias, torch.from_numpy(gathered), weight))


def open_cells(
    places: np.ndarray,
    neighbours: np.ndarray,
    differs: np.ndarray,
    home: np.ndarray,
    opened: np.ndarray,
    grid: int,
    beside: bool,
) -> None:
    """Set anew, around some places, in which cells an object can have its centre.

    Args:
        places, neighbours: see :func:`neighbour_features`; ``differs`` has changed at these places.
        beside: also beside a cell that differs.
        differs: (S * P * P,) bool, whether a cell differs from the background.
        home: (P * P,) bool, cells in which the background itself shows an object.
        opened: (S * P * P,) bool, see :class:`~spacetime_env.space.sparse_state.SparseState`.
        grid: G.
    """
    if not beside:
        opened[places] = differs[places] | home[places % len(home)]
        return
    around = widened(places, neighbours, differs, grid, last=False)
    opened[around] = differs[around[:, None] + neighbours].any(axis=1) | home[around % len(home)]


def widened(places: np.ndarray, neighbours: np.ndarray, opened: np.ndarray, grid: int, last: bool) -> np.ndarray:
    """The places and their neighbours, without margins: where a 3 x 3 layer gives other values than before.

    Args:
        places, neighbours: see :func:`neighbour_features`.
        opened: (S * P * P,) bool, cells in which an object can have its centre.
        grid: G.
        last: of the last layer; then only places that are open are wanted.
    """
    marked = np.zeros(len(opened), bool)
    marked[places[:, None] + neighbours] = True
    if last:
        marked &= opened
    else:
        square = marked.reshape(-1, grid + 2, grid + 2)
        square[:, [0, -1]] = False
        square[:, :, [0, -1]] = False
    return marked.nonzero()[0]


def present(
    raw: np.ndarray, opened: np.ndarray, stream: np.ndarray, grid: int, limit: np.float32, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The objects of some streams: the cells that are open and present.

    Args:
        raw: (S * P * P, 11 + D) of the head, see :class:`~spacetime_env.space.latents.HeadLayout`.
        opened: (S * P * P,) bool, cells in which an object can have its centre.
        stream: (B,) the streams.
        grid: G.
        limit: a cell is present if ``HEAD.pres`` is over this; see
            :func:`~spacetime_env.space.foreground.raw_presence`.
        scale: :data:`~spacetime_env.space.latents.PRES_SCALE`.

    Returns:
        frame (M,), z_pres (M,), z_where (M, 4), z_what (M, D).
    """
    side, pres = grid + 2, HEAD.pres.start
    # Few cells are open, and only of these z_pres is read: those of all lie far apart in memory.
    if stream.tolist() == list(range(len(opened) // side**2)):  # the usual case, as in changed_cells
        cells = opened.nonzero()[0]
        cells = cells[raw[cells, pres] > limit]
        frame, place = np.divmod(cells, side**2)
    else:
        frame, place = opened.reshape(-1, side**2)[stream].nonzero()
        chosen = raw[stream[frame] * side**2 + place, pres] > limit
        frame, place = frame[chosen], place[chosen]
        cells = stream[frame] * side**2 + place
    raw = raw.take(cells, axis=0)
    # A cell's centre, in cells: without the margin of 1, and 0.5 from the corner.
    offset = np.empty((len(place), 2))
    offset[:, 1], offset[:, 0] = np.divmod(place, side)
    offset -= 0.5
    center = (offset + np.tanh(raw[:, HEAD.shift_mean])) * np.float32(2 / grid) - 1
    z_where = np.concatenate([_sigmoid(raw[:, HEAD.scale_mean]), center.astype(np.float32)], axis=1)
    return frame, _sigmoid(scale * np.tanh(raw[:, pres])), z_where, raw[:, HEAD.z_what]


def _relu(values: Tensor) -> np.ndarray:
    """The values where they are positive, in the same memory. (Of few values torch takes three times as long.)"""
    array = values.numpy()
    return np.maximum(array, 0, out=array)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))
