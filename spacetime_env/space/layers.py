"""Stacks of convolutions described by configuration."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spacetime_env.config import Conv, Side


def conv_stack(channels: int, layers: Sequence[Conv], norm: str = "group") -> nn.Sequential:
    """Convolutions one after the other.

    Args:
        channels: of the input.
        layers: of each, (output channels, kernel, stride, padding, GroupNorm groups). Kernel and stride are one number,
            or height and width.
        norm: ``group``: convolution, CELU, GroupNorm as published; no GroupNorm where groups is 0. ``batch``:
            convolution, BatchNorm, ReLU; the BatchNorm can be folded into the convolution for inference.
    """
    modules: list[nn.Module] = []
    for width, kernel, stride, padding, groups in layers:
        if norm == "batch":
            convolution = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
            modules += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        else:
            modules += [nn.Conv2d(channels, width, kernel, stride, padding), nn.CELU()]
            modules += _norm(groups, width)
        channels = width
    return nn.Sequential(*modules)


def both_sides(side: Side) -> tuple[int, int]:
    """Height and width of a kernel or a stride.

    >>> both_sides(3), both_sides((11, 10))
    ((3, 3), (11, 10))
    """
    return (side, side) if isinstance(side, int) else side


def size_after(size: tuple[int, int], layers: Sequence[Conv]) -> tuple[int, int]:
    """Height and width of what :func:`conv_stack` makes of a picture of this size.

    >>> size_after((176, 160), [(48, (11, 10), (11, 10), 0, 0), (64, 3, 1, 1, 0)])
    (16, 16)
    """
    height, width = size
    for _, kernel, stride, padding, _ in layers:
        (high, wide), (down, across) = both_sides(kernel), both_sides(stride)
        height, width = (height + 2 * padding - high) // down + 1, (width + 2 * padding - wide) // across + 1
    return height, width


def upsampling_stack(channels: int, layers: Sequence[tuple[int, int]], refine: bool) -> nn.Sequential:
    """A 1x1 convolution, then for each further layer a PixelShuffle that doubles height and width.

    Args:
        channels: of the input.
        layers: of each, (output channels, GroupNorm groups).
        refine: a 3x3 convolution after each doubling.
    """
    width, groups = layers[0]
    modules: list[nn.Module] = [nn.Conv2d(channels, width, 1), nn.CELU(), *_norm(groups, width)]
    channels = width
    for width, groups in layers[1:]:
        modules += [nn.Conv2d(channels, width * 4, 1), nn.PixelShuffle(2), nn.CELU(), *_norm(groups, width)]
        if refine:
            modules += [nn.Conv2d(width, width, 3, 1, 1), nn.CELU(), *_norm(groups, width)]
        channels = width
    return nn.Sequential(*modules)


def _norm(groups: int, width: int) -> list[nn.Module]:
    """The GroupNorm after a convolution, in a list; none for 0 groups.

    Raises:
        ValueError: the channels cannot be shared out among the groups.
    """
    if groups and (groups < 0 or width % groups):
        raise ValueError(f"expected groups that divide the {width} channels of their layer, or 0, got {groups}.")
    return [nn.GroupNorm(groups, width)] if groups else []
