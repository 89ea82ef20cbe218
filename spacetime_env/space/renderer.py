"""Rendering objects into the frame: the published softmax over all cells, computed only where objects are.

The published formula weighs cell ``i`` at a pixel by ``softmax_i(importance_i)`` over all G * G cells, where
``importance`` is 0 at pixels the cell does not cover. So every pixel's denominator is ``sum_i exp(importance_i)``
and a cell that does not cover it adds exactly ``exp(0) = 1``. Importance lies in [0, 100]; with everything scaled
by ``exp(-50)``, float32 holds all of it and the sum can be gathered with a scatter-add over small windows:
``numerator += y * e^(w - 50)``, ``denominator += e^(w - 50) - e^(-50)``, and ``G * G * e^(-50)`` once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spacetime_env.space.transforms import tent_weights

_SHIFT = 50.0
_SMALLEST = 8  # pixels, side of the smallest window


def render(
    color: Tensor,
    alpha: Tensor,
    importance: Tensor,
    z_where: Tensor,
    frame: Tensor,
    shape: tuple[int, int, int],
    cells: int,
    border: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Put glimpses into their boxes; where boxes overlap, the more important one covers the other.

    Args:
        color: (M, 3, g, g) in [0, 1], already multiplied by ``alpha``; M >= 1.
        alpha: (M, 1, g, g) in (0, 1), already multiplied by z_pres.
        importance: (M, 1, g, g) in [0, 100].
        z_where: (M, 4).
        frame: (M,) which frame each glimpse belongs to.
        shape: (B, H, W) of the result.
        cells: G * G, the number of cells in the softmax. Those that are not passed in have z_pres 0.
        border: (M, 1, g, g), already multiplied by z_pres; it is summed over the cells and not weighted.

    Returns:
        foreground (B, 3, H, W), alpha map (B, 1, H, W), and border map (B, 1, H, W) or None.
    """
    size = color.shape[-1]
    batch, height, width = shape
    # One channel block for colour, alpha and importance: all three are sampled with the same weights.
    maps = torch.cat((color, alpha, importance, *(() if border is None else (border,))), dim=1)  # (M, 5 or 6, g, g)
    with torch.no_grad():
        reach = 1 + 2 / (size - 1)  # bilinear samples fade to zero one sample outside the box
        extent = torch.stack((z_where[:, 0] * (width - 1), z_where[:, 1] * (height - 1)), dim=1)
        needed = (extent * reach).ceil().amax(dim=1) + 2
    pieces = []
    side, previous = _SMALLEST, 0
    while previous < max(height, width):
        last = side >= max(height, width)  # the largest window holds all that is left
        chosen = ((needed > previous) & ((needed <= side) | last)).nonzero().squeeze(1)
        if len(chosen):
            pieces.append(_paint(maps[chosen], z_where[chosen], frame[chosen], side, (height, width)))
        previous, side = side, side * 2
    painted, pixel = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    # Only pixels that a box covers are summed and divided. The others stay 0 and have no part in the backward pass.
    flag = torch.zeros(batch * height * width, dtype=torch.bool, device=pixel.device)
    flag[pixel] = True
    touched = flag.nonzero().squeeze(1)
    place = flag.cumsum(0) - 1
    canvas = maps.new_zeros(len(touched), maps.shape[1]).index_add(0, place[pixel], painted)
    rows = canvas[:, :4] / (canvas[:, 4:5] + cells * math.exp(-_SHIFT))
    if border is not None:
        rows = torch.cat((rows, canvas[:, 5:]), dim=1)
    image = maps.new_zeros(batch * height * width, rows.shape[1]).index_copy(0, touched, rows)
    image = image.view(batch, height, width, -1).permute(0, 3, 1, 2)
    return image[:, :3], image[:, 3:4], None if border is None else image[:, 4:]


def _paint(
    maps: Tensor, where: Tensor, frame: Tensor, side: int, frame_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """What M boxes add to the picture. Each is drawn in a window of at most ``side`` pixels.

    Returns:
        (P, C): importance-weighted colour and alpha, the weight itself, and the border if there is one. (P,): the
        pixels that they are added to, counted over all frames.
    """
    height, width = frame_size
    rows, columns = min(side, height), min(side, width)
    w, h, x, y = where.unbind(1)
    with torch.no_grad():  # windows are kept inside the frame, so no pixel needs a mask
        size = maps.shape[-1]
        reach = 1 + 2 / (size - 1)
        top = ((y + 1 - h * reach) * (height - 1) / 2).floor().clamp(0, height - rows)
        left = ((x + 1 - w * reach) * (width - 1) / 2).floor().clamp(0, width - columns)
    vertical = tent_weights(top, rows, height, y, h, size).unsqueeze(1)  # (M, 1, rows, g)
    horizontal = tent_weights(left, columns, width, x, w, size).unsqueeze(1)
    spread = vertical @ maps @ horizontal.transpose(2, 3)  # (M, C, rows, columns)
    weight = torch.exp(spread[:, 4:5] - _SHIFT)
    painted = torch.cat((spread[:, :4] * weight, weight - math.exp(-_SHIFT), spread[:, 5:]), dim=1)
    row = frame * height + top.long()
    row = row.unsqueeze(1) + torch.arange(rows, device=row.device)
    column = left.long().unsqueeze(1) + torch.arange(columns, device=row.device)
    pixel = row.unsqueeze(2) * width + column.unsqueeze(1)  # (M, rows, columns)
    return painted.permute(0, 2, 3, 1).reshape(-1, maps.shape[1]), pixel.flatten()
