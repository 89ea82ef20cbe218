"""A learned background that a CPU can train: SPACE's structure (arXiv 2001.02407, section 2.2) with small decoders."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacetime_env.config import ConfigError, ModelConfig
from spacetime_env.space.background import BackgroundOutput, Gaussian, elu_stack, kl_sum, stick_breaking, with_shared
from spacetime_env.space.batch import Batch


class LinearBackground(nn.Module):
    """K masks and colours, inferred from a smaller frame.

    Masks are decoded at ``mask_size`` as logits and enlarged as logits, so that their edges stay sharp. A component is
    a colour that changes linearly over the frame, sigmoid(a + b x + c y) in each channel: walls and floors with their
    light, but no objects. Latents and priors are those of :class:`~spacetime_env.space.background.ComponentBackground`.

    Attributes:
        batch: as that of :class:`~spacetime_env.space.foreground.Foreground`.
    """

    basis: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        bg = config.background
        self.batch = Batch()
        self.components, self.share = bg.components, bg.share
        self.frame_size, self.input_size = config.frame_size, bg.input_size
        _require(config)
        cells = (bg.input_size // 16) ** 2
        self.image_enc = nn.Sequential(
            *elu_stack(3, (32, 32, 64, 64)), nn.Flatten(), nn.Linear(64 * cells, bg.image_dim), nn.ELU()
        )
        self.rnn = nn.LSTMCell(bg.mask_dim + bg.image_dim, bg.hidden_dim)
        self.rnn_prior = nn.LSTMCell(bg.mask_dim, bg.hidden_dim)
        self.first_state = nn.Parameter(torch.zeros(4, bg.hidden_dim))  # h, c of the posterior, then of the prior
        self.z_mask_0 = nn.Parameter(torch.zeros(bg.mask_dim))
        self.predict_mask = Gaussian(nn.Linear(bg.hidden_dim, bg.mask_dim * 2))
        self.predict_mask_prior = Gaussian(nn.Linear(bg.hidden_dim, bg.mask_dim * 2))
        self.predict_comp_prior = Gaussian(
            nn.Sequential(
                nn.Linear(bg.mask_dim, bg.hidden_dim), nn.ELU(), nn.Linear(bg.hidden_dim, bg.component_dim * 2)
            )
        )
        self.mask_decoder = _mask_decoder(bg.mask_dim, bg.mask_size)
        self.comp_encoder = Gaussian(
            nn.Sequential(*elu_stack(4, (32, 32, 64)), nn.Flatten(), nn.Linear(64 * cells, bg.component_dim * 2))
        )
        self.comp_decoder = nn.Sequential(nn.Linear(bg.component_dim, 64), nn.ELU(), nn.Linear(64, 9))
        height, width = config.frame_size
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        self.register_buffer("basis", torch.stack((torch.ones_like(x), x, y)), persistent=False)  # (3, H, W)
        # Masks are enlarged by two products with matrices, (mask_size, H) and (mask_size, W). torch's own is slower.
        self.register_buffer("rows", enlarging(bg.mask_size, height), persistent=False)
        self.register_buffer("columns", enlarging(bg.mask_size, width), persistent=False)

    def forward(self, frames: Tensor, sample: bool = False) -> BackgroundOutput:
        """The background of (B, 3, H, W) frames; see :meth:`ComponentBackground.forward`."""
        return with_shared(self._infer, frames, sample, self.share)

    def _infer(self, frames: Tensor, sample: bool) -> BackgroundOutput:
        batch, count = len(frames), self.components
        small = shrink(frames, self.input_size)
        z_masks, posteriors = self._masks_of(self.image_enc(small), sample)
        logits = self.rows.T @ self.mask_decoder(torch.cat(z_masks)).float() @ self.columns
        decoded = torch.sigmoid(logits).view(count, batch, *logits.shape[1:]).transpose(0, 1)
        masks = stick_breaking(decoded)

        tiny = shrink(small, self.input_size // 2).unsqueeze(1).expand(-1, count, -1, -1, -1).flatten(0, 1)
        low = shrink(masks.flatten(0, 1), self.input_size // 2)
        comp_mean, comp_std = self.comp_encoder(torch.cat(((low + 1e-5).log(), tiny), dim=1))
        z_comp = comp_mean + comp_std * self.batch.normal(comp_std) if sample else comp_mean
        colors = self.comp_decoder(z_comp).float().view(batch, count, 3, 3)  # channel, coefficient
        components = torch.sigmoid(torch.einsum("bkcd,dhw->bkchw", colors, self.basis))

        kl = frames.new_zeros(batch)
        comp_mean, comp_std = comp_mean.view(batch, count, -1), comp_std.view(batch, count, -1)
        state = self._first(2, batch)
        for k in range(count):
            kl = kl + kl_sum(posteriors[k], self.predict_mask_prior(state[0]))
            kl = kl + kl_sum((comp_mean[:, k], comp_std[:, k]), self.predict_comp_prior(z_masks[k]))
            state = self.rnn_prior(z_masks[k], state)
        return BackgroundOutput((components * masks).sum(dim=1), components, masks, kl)

    def _masks_of(self, features: Tensor, sample: bool) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """The mask latents of each component, (B, D) each, and the mean and standard deviation of their posteriors."""
        z = self.z_mask_0.expand(len(features), -1)
        state, drawn, posteriors = self._first(0, len(features)), [], []
        for _ in range(self.components):
            state = self.rnn(torch.cat((z, features), dim=1), state)
            mean, std = self.predict_mask(state[0])
            z = mean + std * self.batch.normal(std) if sample else mean
            drawn.append(z)
            posteriors.append((mean, std))
        return drawn, posteriors

    def _first(self, row: int, batch: int) -> tuple[Tensor, Tensor]:
        """The first state of an LSTM: rows ``row`` and ``row + 1``, for each frame."""
        return self.first_state[row].expand(batch, -1), self.first_state[row + 1].expand(batch, -1)


def shrink(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) -> (B, C, side, side): the means of the pixels that fall together."""
    height, width = images.shape[2:]
    if height % side or width % side:
        return F.adaptive_avg_pool2d(images, side)
    return F.avg_pool2d(images, (height // side, width // side))


def enlarging(size: int, side: int) -> Tensor:
    """The matrix (size, side) that enlarges a row of ``size`` values to ``side``, as ``F.interpolate`` does."""
    return F.interpolate(torch.eye(size)[None], side, mode="linear", align_corners=False)[0]


def _mask_decoder(channels: int, size: int) -> nn.Sequential:
    """Latents (M, D) -> logits (M, 1, size, size), in doublings from 4 x 4."""
    widths = [64, *(64, 32, 16, 8, 8, 8, 8)[: (size // 4).bit_length() - 1]]
    modules: list[nn.Module] = [nn.Linear(channels, 64 * 16), nn.CELU(), nn.Unflatten(1, (64, 4, 4))]
    for before, width in pairwise(widths):
        modules += [nn.Conv2d(before, width * 4, 1), nn.PixelShuffle(2), nn.CELU(), nn.GroupNorm(4, width)]
        modules += [nn.Conv2d(width, width, 3, 1, 1), nn.CELU(), nn.GroupNorm(4, width)]
    return nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 3, 1, 1))


def _require(config: ModelConfig) -> None:
    """Refuse sizes that the networks cannot have.

    Raises:
        ConfigError: naming the setting.
    """
    bg = config.background
    if bg.components < 2:
        raise ConfigError("model.background.components: expected 2 or more; for one image, kind: fixed.")
    if bg.input_size % 16:
        raise ConfigError(f"model.background.input_size: expected a multiple of 16, got {bg.input_size}.")
    if bg.mask_size & (bg.mask_size - 1):
        raise ConfigError(f"model.background.mask_size: expected a power of two, got {bg.mask_size}.")
    if min(config.frame_size) < bg.input_size:
        raise ConfigError(
            f"model.background.input_size: expected at most the sides of the frame, {config.frame_size}, got "
            f"{bg.input_size}."
        )
