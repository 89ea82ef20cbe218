"""The inner steps of :mod:`spacetime_env.space.sparse` in arrays: the text of the rules.

:mod:`spacetime_env.space.sparse_compiled` has the same, compiled. Of some streams of frames, B are looked at, each of
a grid of G x G cells; P = G + 2, with a margin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Patches = Sequence[tuple[tuple[int, int], Tensor, Tensor]]  # of each layer: h, w; weight (h * w * C, C'); bias


def changed_cells(rows: np.ndarray, last: np.ndarray, of: np.ndarray, word: np.dtype, grid: int) -> np.ndarray:
    """(M, 3): frame, row and column of the cells that are not as in the last frame.

    Args:
        rows: (B, G, patch height, bytes of a row) uint8, pixels of the new frames.
        last: (S, G, patch height, bytes of a row) uint8, of the last frames.
        of: (B,) the stream of each.
        word: the largest that the rows of a patch are made of.
        grid: G.
    """
    # Those of all streams in order, the usual case, are looked at in place.
    last = last if of.tolist() == list(range(len(last))) else last[of]
    changed = np.bitwise_or.reduce(rows.view(word) ^ last.view(word), axis=2)
    shape = (len(rows), grid, grid, changed.shape[2] // grid)
    return np.argwhere(changed.reshape(shape).any(axis=3))


def take_over(rows: np.ndarray, last: np.ndarray, of: np.ndarray, cells: np.ndarray, grid: int) -> np.ndarray:
    """Put the pixels of some cells, (M, 3), into ``last``; returns them, (M, patch height * bytes of a patch's row)."""
    frame, row, column = cells.T
    shape = (-1, grid, rows.shape[2], grid, rows.shape[3] // grid)
    cut = rows.reshape(shape)[frame, row, :, column]
    last.reshape(shape)[of[frame], row, :, column] = cut
    return cut.reshape(len(cells), shape[2] * shape[4])


def of_patches(
    cut: np.ndarray, cell: np.ndarray, patch: tuple[int, int], patches: Patches, offset: Tensor | None
) -> np.ndarray:
    """(M, K) pixels of some cells, and which these are -> (M, C), what the layers that see a cell alone say.

    Args:
        cut: uint8.
        cell: (M,).
        patch: height and width of a cell in pixels.
        patches: the layers.
        offset: (cells, places of a cell, C'), added after the first layer.
    """
    features = torch.from_numpy(cut.astype(np.float32)).reshape(-1, *patch, 3)
    for i, ((down, across), weight, bias) in enumerate(patches):
        _, high, wide, channels = features.shape
        high, wide = high // down, wide // across
        if high * wide > 1:
            features = features.reshape(-1, high, down, wide, across, channels).transpose(2, 3)
        features = torch.addmm(bias, features.reshape(-1, len(weight)), weight)
        if i == 0 and offset is not None:
            features += offset[torch.from_numpy(cell)].flatten(0, 1)
        features = features.relu_().reshape(-1, high, wide, weight.shape[1])
    return features.flatten(1).numpy()


def around(features: np.ndarray, here: np.ndarray, near: np.ndarray, weight: Tensor, bias: Tensor) -> np.ndarray:
    """A 3 x 3 layer in some places: (S * P * P, C) features, (M,) places, (9,) steps to neighbours -> (M, C')."""
    gathered = features.take(here[:, None] + near, axis=0).reshape(len(here), len(weight))
    return torch.addmm(bias, torch.from_numpy(gathered), weight).relu_().numpy()


def widened(here: np.ndarray, near: np.ndarray, differs: np.ndarray, grid: int, last: bool) -> np.ndarray:
    """Places and their neighbours, without margins; the ``last`` time, those that differ from the background."""
    marked = np.zeros(len(differs), bool)
    marked[here[:, None] + near] = True
    if last:
        marked &= differs
    else:
        square = marked.reshape(-1, grid + 2, grid + 2)
        square[:, [0, -1]] = False
        square[:, :, [0, -1]] = False
    return marked.nonzero()[0]


def present(
    raw: np.ndarray, differs: np.ndarray, of: np.ndarray, grid: int, limit: np.float32, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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
    side = grid + 2
    there = (raw[:, 8] > limit) & differs
    frame, place = there.reshape(-1, side * side)[of].nonzero()
    said = raw[of[frame] * side**2 + place]
    at = np.stack([place % side, place // side], axis=1) - np.float32(0.5)  # the margin is 1, a cell's centre 0.5
    center = (at + np.tanh(said[:, 4:6])) * np.float32(2 / grid) - 1
    z_where = np.concatenate([_sigmoid(said[:, :2]), center.astype(np.float32)], axis=1)
    return frame, _sigmoid(scale * np.tanh(said[:, 8])), z_where, said[:, 11:]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))
