"""The encoders of the foreground, frame -> cells and glimpse -> z_what, and the decoder of glimpses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from spacetime_env.config import ConfigError, ModelConfig
from spacetime_env.space.layers import conv_stack, size_after, upsampling_stack

HEAD = (
    2,
    2,
    2,
    2,
    1,
    1,
    1,
)  # channels: scale mean, scale std, shift mean, shift std, pres, depth mean, depth std
WHAT = sum(HEAD)  # z_what of the map comes after these


class ImageEncoder(nn.Module):
    """Frame -> the 11 posterior parameters of z_scale, z_shift, z_pres and z_depth in every cell, and with
    ``z_what_from: map`` z_what as well."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        encoder = config.encoder
        self.both = encoder.input == "both"
        if self.both and config.background.kind != "fixed":
            raise ConfigError("model.encoder.input: both: only with model.background.kind: fixed, whose image it is.")
        self.layers = conv_stack(6 if self.both else 3, encoder.layers, encoder.norm)
        width = encoder.layers[-1][0]
        self.lateral = self.concat = None
        if encoder.lateral:  # the published residual and concat blocks, of the same width
            self.lateral = conv_stack(width, [(width, 3, 1, 1, 16)] * 2, encoder.norm)
            self.concat = conv_stack(width * 2, [(width, 3, 1, 1, 16)], encoder.norm)
        self.head = nn.Conv2d(width, sum(HEAD) + (config.z_what_dim if config.z_what_from == "map" else 0), 1)
        if config.scale_bias:
            with torch.no_grad():
                assert self.head.bias is not None
                self.head.bias[:2] = config.scale_bias
        self._require_grid(config)

    def forward(self, frames: Tensor, background: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, N, 11), or (B, N, 11 + D) with z_what, cells row-major.

        Args:
            background: (3, H, W) or (B, 3, H, W) in [0, 1]; needed where ``encoder.input`` is both.
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
    """An :class:`ImageEncoder` for inference: BatchNorm folded into the convolutions, weights as convolutions like
    them best in memory, and no module calls in between, which cost as much as the arithmetic of one frame.

    Args:
        encoder: of ``norm: batch`` and without lateral blocks.
        background: (3, H, W) in [0, 1]: what it is to be called with, where ``encoder.input`` is both.
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
        device = encoder.head.weight.device  # it may be folded in the midst of a training on CUDA
        self.head = nn.Linear(encoder.head.in_channels, encoder.head.out_channels, device=device)
        with torch.no_grad():
            self.head.weight.copy_(encoder.head.weight.flatten(1))
            self.head.bias.copy_(encoder.head.bias)  # type: ignore[arg-type]
        self._steps = [(c.weight, c.bias, c.stride, c.padding) for c in convolutions]

    @staticmethod
    @torch.no_grad()
    def _difference(first: nn.Conv2d, background: Tensor | None) -> Tensor:
        """Let the first convolution see the frame alone: of the difference, the background's part is a constant."""
        assert background is not None
        frame, difference = first.weight.chunk(2, dim=1)
        offset = -torch.conv2d(background[None], difference, None, first.stride, first.padding)
        first.weight = nn.Parameter(frame + difference)
        first.in_channels = 3
        return offset

    def forward(self, frames: Tensor, background: Tensor | None = None) -> Tensor:
        """As :meth:`ImageEncoder.forward`, but for ``background``, which it knows."""
        for i, (weight, bias, stride, padding) in enumerate(self._steps):
            frames = torch.conv2d(frames, weight, bias, stride, padding)
            if i == 0 and self.offset is not None:
                frames += self.offset
            frames.relu_()
        # A 1 x 1 convolution over channels-last memory is one matrix product; torch would take it frame by frame.
        return F.linear(frames.permute(0, 2, 3, 1).flatten(1, 2), self.head.weight, self.head.bias)


class GlimpseEncoder(nn.Module):
    """Glimpse (M, 3, g, g) -> mean and standard deviation of z_what, (M, D) each."""

    def __init__(self, config: ModelConfig):
        super().__init__()
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
    """z_what (M, D) -> colours (M, 3, g, g) and alpha (M, 1, g, g), both in (0, 1)."""

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
