"""The networks of the foreground.

An :class:`ImageEncoder` turns a frame into what each cell of the grid says, a :class:`GlimpseEncoder` a glimpse into
z_what, and a :class:`GlimpseDecoder` z_what into a glimpse. A :class:`FoldedEncoder` is an image encoder made faster
for inference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from spacetime_env.config import ConfigError, ModelConfig
from spacetime_env.space.latents import HEAD, POSTERIOR
from spacetime_env.space.layers import conv_stack, size_after, upsampling_stack


class ImageEncoder(nn.Module):
    """Frames to the raw posterior parameters of every cell; with ``z_what_from: map`` z_what as well.

    :class:`~spacetime_env.space.latents.HeadLayout` says which channel is which.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        encoder = config.encoder
        self.both = encoder.input == "both"
        if self.both and config.background.kind != "fixed":
            raise ConfigError("model.encoder.input: both: only with model.background.kind: fixed, whose image it is.")
        if not encoder.layers:
            raise ConfigError("model.encoder.layers: expected one layer or more, got none.")
        self.layers = conv_stack(6 if self.both else 3, encoder.layers, encoder.norm)
        width = encoder.layers[-1][0]
        self.lateral = self.concat = None
        if encoder.lateral:  # the published residual and concat blocks, of the same width
            self.lateral = conv_stack(width, [(width, 3, 1, 1, 16)] * 2, encoder.norm)
            self.concat = conv_stack(width * 2, [(width, 3, 1, 1, 16)], encoder.norm)
        self.head = nn.Conv2d(width, POSTERIOR + (config.z_what_dim if config.z_what_from == "map" else 0), 1)
        for channels, first in ((HEAD.scale_mean, config.scale_bias), (HEAD.pres, config.presence_bias)):
            if first:
                with torch.no_grad():
                    assert self.head.bias is not None
                    self.head.bias[channels] = first
        self._require_grid(config)

    def forward(self, frames: Tensor, background: Tensor | None = None) -> Tensor:
        """What the head says of each cell: (B, N, 11), or (B, N, 11 + D) with z_what; cells row-major.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            background: (3, H, W) or (B, 3, H, W) in [0, 1]; needed with ``encoder.input: both``.
        """
        if self.both:
            assert background is not None
            frames = torch.cat((frames, frames - background), dim=1)
        features = self.layers(frames)
        if self.lateral is not None and self.concat is not None:
            features = self.concat(torch.cat((features, self.lateral(features)), dim=1))
        return self.head(features).flatten(2).transpose(1, 2)

    def _require_grid(self, config: ModelConfig) -> None:
        height, width = size_after(config.frame_size, config.encoder.layers)
        if (height, width) != (config.grid, config.grid):
            raise ConfigError(
                f"model.encoder.layers turn a {config.frame_size[0]}x{config.frame_size[1]} frame into "
                f"{height}x{width} cells, but model.grid is {config.grid}. Change the strides or the grid."
            )


class FoldedEncoder(nn.Module):
    """An :class:`ImageEncoder` made faster for inference.

    Every BatchNorm is folded into the convolution before it, weights are in channels-last memory, and the functions of
    torch are called directly: for one frame, calling modules takes as long as the arithmetic.

    Args:
        encoder: with ``norm: batch`` and without lateral blocks.
        background: (3, H, W) in [0, 1]; needed with ``encoder.input: both``.
    """

    offset: Tensor | None

    def __init__(self, encoder: ImageEncoder, background: Tensor | None = None):
        super().__init__()
        convolutions: list[nn.Conv2d] = []
        for module in encoder.layers:
            if isinstance(module, nn.Conv2d):
                convolutions.append(module)
            elif isinstance(module, nn.BatchNorm2d):
                convolutions[-1] = fuse_conv_bn_eval(convolutions[-1], module)
        self.register_buffer("offset", self._difference(convolutions[0], background) if encoder.both else None)
        self.layers = nn.ModuleList(convolutions).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        device = encoder.head.weight.device  # CUDA, where validation folds a network in training
        self.head = nn.Linear(encoder.head.in_channels, encoder.head.out_channels, device=device)
        with torch.no_grad():
            self.head.weight.copy_(encoder.head.weight.flatten(1))
            self.head.bias.copy_(encoder.head.bias)  # type: ignore[arg-type]
        self._steps = [(c.weight, c.bias, c.stride, c.padding) for c in convolutions]

    @staticmethod
    @torch.no_grad()
    def _difference(first: nn.Conv2d, background: Tensor | None) -> Tensor:
        """Reduce ``first``, which takes 6 channels, frame and frame - background, to the frame's 3.

        The background is constant, so its share of the output is a constant too: it is returned, (1, C, h, w), to be
        added to what ``first`` then gives.
        """
        assert background is not None
        frame, difference = first.weight.chunk(2, dim=1)
        offset = -torch.conv2d(background[None], difference, None, first.stride, first.padding)
        first.weight = nn.Parameter(frame + difference)
        first.in_channels = 3
        return offset

    def forward(self, frames: Tensor, background: Tensor | None = None) -> Tensor:
        """As :meth:`ImageEncoder.forward`. ``background`` is not used: it was given to the constructor."""
        for i, (weight, bias, stride, padding) in enumerate(self._steps):
            frames = torch.conv2d(frames, weight, bias, stride, padding)
            if i == 0 and self.offset is not None:
                frames += self.offset
            frames.relu_()
        # The head is a 1 x 1 convolution: on channels-last memory one matrix product, faster than torch's convolution.
        return F.linear(frames.permute(0, 2, 3, 1).flatten(1, 2), self.head.weight, self.head.bias)


class GlimpseEncoder(nn.Module):
    """Glimpses (M, 3, g, g) in [0, 1] to the mean and standard deviation of z_what, (M, D) each."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        if not config.glimpse.encoder:
            raise ConfigError("model.glimpse.encoder: expected one layer or more, got none.")
        self.layers = conv_stack(3, config.glimpse.encoder)
        height, width = size_after((config.glimpse.size, config.glimpse.size), config.glimpse.encoder)
        if min(height, width) < 1:
            raise ConfigError(
                f"model.glimpse.encoder leaves nothing of a glimpse of size {config.glimpse.size}."
            )
        self.head = nn.Linear(config.glimpse.encoder[-1][0] * height * width, config.z_what_dim * 2)

    def forward(self, glimpses: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = self.head(self.layers(glimpses).flatten(1)).float().chunk(2, dim=1)
        return mean, F.softplus(std)


class GlimpseDecoder(nn.Module):
    """z_what (M, D) to colours (M, 3, g, g) and alpha (M, 1, g, g), both in (0, 1)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        side = 2 ** (len(config.glimpse.decoder) - 1)
        if side != config.glimpse.size:
            raise ConfigError(
                f"model.glimpse.decoder has {len(config.glimpse.decoder)} layers and draws glimpses of size {side}, "
                f"but model.glimpse.size is {config.glimpse.size}."
            )
        self.layers = upsampling_stack(config.z_what_dim, config.glimpse.decoder, config.glimpse.refine)
        self.head = nn.Conv2d(config.glimpse.decoder[-1][0], 4, 3, 1, 1)

    def forward(self, z_what: Tensor) -> tuple[Tensor, Tensor]:
        image = torch.sigmoid(self.head(self.layers(z_what[:, :, None, None])).float())
        return image[:, :3], image[:, 3:]
