"""Spatial transforms between frames and glimpses, without a copy of the frame for each object.

Both give what ``affine_grid`` and ``grid_sample`` give with ``align_corners=True`` and zero padding, as in the
published model. So the outermost samples of a glimpse lie on the edges of its box.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def extract_glimpses(frames: Tensor, frame: Tensor, z_where: Tensor, size: int) -> Tensor:
    """Cut the glimpse of each box out of its frame.

    All boxes of a frame make one tall sampling grid, so the frame is not repeated for each box. Frames with fewer boxes
    than others get empty boxes, whose glimpses are not returned.

    Args:
        frames: (B, C, H, W).
        frame: (M,) which frame each box lies in, ascending.
        z_where: (M, 4), w, h in (0, 1) and x, y in (-1, 1).
        size: side of a glimpse, in samples.

    Returns:
        (M, C, size, size); zero where a box leaves the frame.
    """
    batch = len(frames)
    counts = torch.bincount(frame, minlength=batch)
    boxes = int(counts.max())
    full = boxes * batch == len(frame)  # all frames hold as many
    if full:
        grid = _sampling_grid(z_where, size)
    else:
        place = torch.arange(len(frame), device=frame.device) - (counts.cumsum(0) - counts)[frame]
        place = place + frame * boxes
        grid = _sampling_grid(z_where.new_zeros(batch * boxes, 4).index_copy(0, place, z_where), size)
    glimpses = F.grid_sample(frames, grid.view(batch, boxes * size, size, 2), align_corners=True)
    glimpses = glimpses.view(batch, -1, boxes, size, size).transpose(1, 2).flatten(0, 1)
    return glimpses if full else glimpses[place]


def _sampling_grid(z_where: Tensor, size: int) -> Tensor:
    """(M, 4) -> (M, size, size, 2): the place in the frame, x before y, of each sample of a glimpse."""
    line = torch.linspace(-1, 1, size, device=z_where.device, dtype=z_where.dtype)
    w, h, x, y = z_where.unsqueeze(-1).unbind(1)  # each (M, 1)
    columns = (x + w * line).unsqueeze(1).expand(-1, size, -1)
    rows = (y + h * line).unsqueeze(2).expand(-1, -1, size)
    return torch.stack((columns, rows), dim=-1)


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
