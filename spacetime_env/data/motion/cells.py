"""Motion boxes as the network's targets: which cell of the grid is to hold which object."""

from __future__ import annotations

import numpy as np

from spacetime_env.frames import boxes_to_z_where

REACH = 0.9  # cells from its own middle that the centre of a cell's object may be; the network's limit is 1


def targets(boxes: np.ndarray, native: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one frame as targets of the grid's cells.

    A box belongs to the cell that holds its centre. If two boxes share a cell, the larger one gets it, and the other
    the nearest free cell beside it whose middle is within :data:`REACH`. If there is none, it is no target.

    Args:
        boxes: (n, 4) ``x, y, w, h`` in native pixels.
        native: (H, W) of the frame.
        grid: G.

    Returns:
        z_pres (G * G, 1) float32, 1 in the cells of the boxes. And z_where (G * G, 4) float32, in these cells ``w, h``
        as fractions of the frame and the centre ``x, y`` in (-1, 1), else 0. Cells are counted row by row from the top
        left.
    """
    z_pres, z_where = np.zeros((grid * grid, 1), np.float32), np.zeros((grid * grid, 4), np.float32)
    if not len(boxes):
        return z_pres, z_where
    boxes = boxes[np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable")]
    center = (boxes[:, :2] + boxes[:, 2:] / 2) / (native[1], native[0]) * grid
    column, row = center.astype(int).clip(0, grid - 1).T
    cells = row * grid + column
    first = np.unique(cells, return_index=True)[1]  # the larger of those that share a cell
    wheres = boxes_to_z_where(boxes, native)
    z_pres[cells[first]], z_where[cells[first]] = 1, wheres[first]
    for i in np.setdiff1d(np.arange(len(boxes)), first).tolist():
        cell = _free_beside(center[i], (column[i], row[i]), z_pres, grid)
        if cell >= 0:
            z_pres[cell], z_where[cell] = 1, wheres[i]
    return z_pres, z_where


def _free_beside(center: np.ndarray, own: tuple[int, int], z_pres: np.ndarray, grid: int) -> int:
    """The free cell next to the ``own`` one (column, row) whose middle is nearest to a centre; -1: none in reach."""
    steps = np.array([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])
    beside = np.array(own) + steps
    away = np.abs(center - (beside + 0.5))
    inside = ((beside >= 0) & (beside < grid)).all(axis=1) & (away <= REACH).all(axis=1)
    nearest = np.argsort(np.hypot(*away.T), kind="stable")
    for column, row in beside[nearest[inside[nearest]]].tolist():
        if not z_pres[row * grid + column]:
            return row * grid + column
    return -1
