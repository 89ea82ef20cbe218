"""The published rendering formula, written out over all cells and all pixels: slow, and plainly right."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def to_frame(maps: Tensor, z_where: Tensor, frame_size: tuple[int, int]) -> Tensor:
    """Each glimpse (M, C, g, g) in its box of an empty frame, (M, C, H, W), by affine_grid and grid_sample."""
    inverse = 1 / (z_where[:, :2] + 1e-9)
    scale = torch.eye(2, dtype=maps.dtype) * inverse.unsqueeze(2)
    theta = torch.cat((scale, (-z_where[:, 2:] * inverse).unsqueeze(2)), dim=2)
    grid = F.affine_grid(theta, [len(maps), maps.shape[1], *frame_size], align_corners=True)
    return F.grid_sample(maps, grid, align_corners=True)


def render_dense(
    color: Tensor, alpha: Tensor, importance: Tensor, z_where: Tensor, frame_size: tuple[int, int]
):
    """softmax of importance over all cells at every pixel. Arguments as in :func:`renderer.render`."""
    batch, cells = color.shape[:2]

    def full(maps: Tensor) -> Tensor:
        spread = to_frame(maps.flatten(0, 1), z_where.flatten(0, 1), frame_size)
        return spread.view(batch, cells, maps.shape[2], *frame_size)

    weight = torch.softmax(full(importance), dim=1)
    return (full(color) * weight).sum(dim=1), (full(alpha) * weight).sum(dim=1)
