"""Stacks of convolutions described by configuration."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spacetime_env.config import Conv


def conv_stack(channels: int, layers: Sequence[Conv], norm: str = "group") -> nn.Sequential:
    """Convolutions one after the other.

    Args:
        channels: of the input.
        layers: (output channels, kernel, stride, padding, GroupNorm groups) each.
        norm: ``group``: conv, CELU, GroupNorm as published (no norm where groups is 0). ``batch``: conv,
            BatchNorm, ReLU, which folds into the convolution at inference.
    """
    modules: list[nn.Module] = []
    for width, kernel, stride, padding, groups in layers:
        if norm == "batch":
            convolution = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
            modules += [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        else:
            modules += [nn.Conv2d(channels, width, kernel, stride, padding), nn.CELU()]
            if groups:
                modules.append(nn.GroupNorm(groups, width))
        channels = width
    return nn.Sequential(*modules)


def upsampling_stack(channels: int, layers: Sequence[tuple[int, int]], refine: bool) -> nn.Sequential:
    """A 1x1 convolution, then a doubling of height and width (PixelShuffle) for each further layer.

    Args:
        channels: of the input.
        layers: (output channels, GroupNorm groups) each.
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
    return [nn.GroupNorm(groups, width)] if groups else []
