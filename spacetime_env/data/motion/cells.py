"""From boxes to the targets of the network: z_pres and z_where of the grid's cells."""

from __future__ import annotations

import numpy as np

from spacetime_env.frames import boxes_to_z_where


def targets(boxes: np.ndarray, native: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of one frame as targets of the grid's cells. If two boxes share a cell, the larger one gets it.

    Args:
        boxes: (n, 4) ``x, y, w, h`` in native pixels.
        native: (H, W) of the frame.
        grid: G.

    Returns:
        z_pres (G * G, 1) float32, 1 in the cells that hold the centre of a box. And z_where (G * G, 4) float32, in
        these cells ``w, h`` as fractions of the frame and the centre ``x, y`` in (-1, 1), else 0. Cells are counted row
        by row from the top left.
    """
    z_pres, z_where = np.zeros((grid * grid, 1), np.float32), np.zeros((grid * grid, 4), np.float32)
    if len(boxes):
        boxes = boxes[np.argsort(boxes[:, 2] * boxes[:, 3], kind="stable")]  # the larger is written last
        center = (boxes[:, :2] + boxes[:, 2:] / 2) / (native[1], native[0])
        column, row = (center * grid).astype(int).clip(0, grid - 1).T
        for cell, where in zip(row * grid + column, boxes_to_z_where(boxes, native), strict=True):
            z_pres[cell], z_where[cell] = 1, where
    return z_pres, z_where
