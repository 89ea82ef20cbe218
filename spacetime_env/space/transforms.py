"""Spatial transforms between the frame and the glimpses: exact, without a copy of the frame per object.

Both follow ``affine_grid`` / ``grid_sample`` with ``align_corners=True`` and zero padding, as the published
model does: the outermost samples of a glimpse lie on the edges of its box.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def extract_glimpses(frames: Tensor, z_where: Tensor, size: int) -> Tensor:
    """Cut one glimpse per box out of each frame.

    The boxes of a frame are one tall sampling grid, so no frame is repeated per box.

    Args:
        frames: (B, C, H, W).
        z_where: (B, K, 4), w, h in (0, 1) and x, y in (-1, 1).
        size: side of a glimpse, in samples.

    Returns:
        (B, K, C, size, size); zero where a box leaves the frame.
    """
    batch, boxes, _ = z_where.shape
    line = torch.linspace(-1, 1, size, device=frames.device, dtype=frames.dtype)
    w, h, x, y = z_where.unsqueeze(-1).unbind(2)  # each (B, K, 1)
    columns = (x + w * line).unsqueeze(2).expand(-1, -1, size, -1)
    rows = (y + h * line).unsqueeze(3).expand(-1, -1, -1, size)
    grid = torch.stack((columns, rows), dim=-1).view(batch, boxes * size, size, 2)
    glimpses = F.grid_sample(frames, grid, align_corners=True)  # (B, C, K * size, size)
    return glimpses.view(batch, -1, boxes, size, size).transpose(1, 2)


def tent_weights(start: Tensor, window: int, extent: int, center: Tensor, scale: Tensor, size: int) -> Tensor:
    """Bilinear weights that spread ``size`` glimpse samples over ``window`` pixels, along one axis.

    Args:
        start: (M,) first pixel of each window.
        window: pixels in a window.
        extent: pixels of the whole frame along this axis.
        center: (M,) box centre in (-1, 1).
        scale: (M,) box size in (0, 1).
        size: samples of a glimpse along this axis.

    Returns:
        (M, window, size); a row is zero where the pixel lies outside the box.
    """
    pixel = start.unsqueeze(1) + torch.arange(window, device=center.device)
    coordinate = pixel * (2 / (extent - 1)) - 1
    inside = (coordinate - center.unsqueeze(1)) / (scale.unsqueeze(1) + 1e-9)  # (-1, 1) within the box
    sample = (inside + 1) * ((size - 1) / 2)
    distance = sample.unsqueeze(2) - torch.arange(size, device=center.device, dtype=center.dtype)
    return (1 - distance.abs()).clamp_min(0)
