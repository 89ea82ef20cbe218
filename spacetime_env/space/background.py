"""The background of frames: K learned components (SPACE, arXiv 2001.02407, section 2.2), or one fixed image.

:mod:`spacetime_env.space.linear_background` has components that a CPU can train.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacetime_env.config import ConfigError, ModelConfig
from spacetime_env.space.batch import Batch


class BackgroundOutput(NamedTuple):
    """The background of a batch of frames. Images are in [0, 1]."""

    image: Tensor  # (B, 3, H, W): the sum of components * masks
    components: Tensor  # (B, K, 3, H, W); K is 1 for a fixed image
    masks: Tensor  # (B, K, 1, H, W) in [0, 1]; they sum to 1 over K
    kl: Tensor  # (B,): KL divergence of the latents from their prior, 0 for a fixed image


class FixedBackground(nn.Module):
    """One image for all frames: the mode of the training frames. For games whose background does not move.

    Where several games are trained together, the image of each frame's game is given with the frame.
    """

    image: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.register_buffer("image", torch.zeros(3, *config.frame_size))

    def forward(self, frames: Tensor, sample: bool = False, images: Tensor | None = None) -> BackgroundOutput:
        """The fixed image for every frame, or ``images`` where they are given.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            sample: not used: there is nothing to draw.
            images: (B, 3, H, W) in [0, 1]: the background of each frame.

        Raises:
            ValueError: ``images`` of another shape than ``frames``.
        """
        if images is not None and images.shape != frames.shape:
            raise ValueError(
                f"expected a background for each frame, {tuple(frames.shape)}, got shape {tuple(images.shape)}."
            )
        image = self.image.expand(len(frames), -1, -1, -1) if images is None else images
        mask = frames.new_ones(len(frames), 1, 1, *image.shape[2:])
        return BackgroundOutput(image, image.unsqueeze(1), mask, frames.new_zeros(len(frames)))


class ComponentBackground(nn.Module):
    """A background of K components, as in GENESIS (arXiv 1907.13052).

    An LSTM infers a mask latent for each component, and stick-breaking turns them into masks. A VAE paints what each
    mask covers. The priors are autoregressive over the components.

    Attributes:
        batch: as that of :class:`~spacetime_env.space.foreground.Foreground`.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        bg = config.background
        self.batch = Batch()
        self.components = bg.components
        self.share = bg.share
        if bg.components < 2:
            raise ConfigError("model.background.components: expected 2 or more; for one image, kind: fixed.")
        if any(side % 16 for side in config.frame_size):
            raise ConfigError(
                f"a background of components needs frame sides divisible by 16: {config.frame_size}."
            )
        height, width = config.frame_size
        cells = (height // 16) * (width // 16)
        self.frame_size = config.frame_size
        self.image_enc = nn.Sequential(
            *elu_stack(3, (64, 64, 64, 64)), nn.Flatten(), nn.Linear(64 * cells, bg.image_dim), nn.ELU()
        )
        self.rnn_mask = nn.LSTMCell(bg.mask_dim + bg.image_dim, bg.hidden_dim)
        self.rnn_mask_h = nn.Parameter(torch.zeros(bg.hidden_dim))
        self.rnn_mask_c = nn.Parameter(torch.zeros(bg.hidden_dim))
        self.z_mask_0 = nn.Parameter(torch.zeros(bg.mask_dim))
        self.predict_mask = Gaussian(nn.Linear(bg.hidden_dim, bg.mask_dim * 2))
        self.mask_decoder = _mask_decoder(bg.mask_dim, config.frame_size)
        self.comp_encoder = Gaussian(
            nn.Sequential(
                *elu_stack(4, (32, 32, 64, 64)), nn.Flatten(), nn.Linear(64 * cells, bg.component_dim * 2)
            )
        )
        self.comp_decoder = nn.Sequential(
            *elu_stack(bg.component_dim + 2, (32, 32, 32, 32), stride=1, padding=0), nn.Conv2d(32, 3, 1)
        )
        self.rnn_mask_prior = nn.LSTMCell(bg.mask_dim, bg.hidden_dim)
        self.rnn_mask_h_prior = nn.Parameter(torch.zeros(bg.hidden_dim))
        self.rnn_mask_c_prior = nn.Parameter(torch.zeros(bg.hidden_dim))
        self.predict_mask_prior = Gaussian(nn.Linear(bg.hidden_dim, bg.mask_dim * 2))
        self.predict_comp_prior = Gaussian(
            nn.Sequential(
                nn.Linear(bg.mask_dim, bg.hidden_dim),
                nn.ELU(),
                nn.Linear(bg.hidden_dim, bg.hidden_dim),
                nn.ELU(),
                nn.Linear(bg.hidden_dim, bg.component_dim * 2),
            )
        )

    def forward(self, frames: Tensor, sample: bool = False) -> BackgroundOutput:
        """The background of (B, 3, H, W) frames in [0, 1].

        Args:
            frames: (B, 3, H, W) in [0, 1].
            sample: draw from the posterior, as in training; otherwise its means are used. With ``sample``,
                ``background.share`` consecutive frames share one background, that of their mean.

        Raises:
            ValueError: B is not a multiple of ``background.share``.
        """
        return with_shared(self._infer, frames, sample, self.share)

    def _infer(self, frames: Tensor, sample: bool) -> BackgroundOutput:
        batch, count = len(frames), self.components

        def draw(mean: Tensor, std: Tensor) -> Tensor:
            return mean + std * self.batch.normal(std) if sample else mean

        features = self.image_enc(frames)
        z_mask = self.z_mask_0.expand(batch, -1)
        state = (self.rnn_mask_h.expand(batch, -1), self.rnn_mask_c.expand(batch, -1))
        z_masks, mask_posteriors = [], []
        for _ in range(count):
            state = self.rnn_mask(torch.cat((z_mask, features), dim=1), state)
            mask_posteriors.append(self.predict_mask(state[0]))
            z_mask = draw(*mask_posteriors[-1])
            z_masks.append(z_mask)
        decoded = torch.sigmoid(self.mask_decoder(torch.cat(z_masks)[:, :, None, None]))
        masks = stick_breaking(decoded.float().view(count, batch, *decoded.shape[1:]).transpose(0, 1))

        seen = frames.unsqueeze(1).expand(-1, count, -1, -1, -1)
        comp_mean, comp_std = self.comp_encoder(torch.cat(((masks + 1e-5).log(), seen), dim=2).flatten(0, 1))
        z_comp = draw(comp_mean, comp_std)
        height, width = self.frame_size
        painted = torch.sigmoid(self.comp_decoder[1:](self._first_layer(z_comp, height + 8, width + 8)).float())
        components = painted.view(batch, count, 3, height, width)

        kl = frames.new_zeros(batch)
        comp_mean, comp_std = comp_mean.view(batch, count, -1), comp_std.view(batch, count, -1)
        state = (self.rnn_mask_h_prior.expand(batch, -1), self.rnn_mask_c_prior.expand(batch, -1))
        for k in range(count):
            kl = kl + kl_sum(mask_posteriors[k], self.predict_mask_prior(state[0]))
            kl = kl + kl_sum((comp_mean[:, k], comp_std[:, k]), self.predict_comp_prior(z_masks[k]))
            state = self.rnn_mask_prior(z_masks[k], state)
        return BackgroundOutput((components * masks).sum(dim=1), components, masks, kl)

    def _first_layer(self, z: Tensor, height: int, width: int) -> Tensor:
        """The decoder's first convolution on (M, D) vectors: (M, 32, height - 2, width - 2).

        Its input at each pixel is the vector and the pixel's x and y (a spatial broadcast decoder). The vector is the
        same at each pixel, so its share of the output is one number a channel. The share of x and y is the same for
        all vectors. Computed so, the result is exact, and a quarter of the decoder's operations is saved.
        """
        first = self.comp_decoder[0]
        assert isinstance(first, nn.Conv2d)
        of_vector, of_place = first.weight.split((z.shape[1], 2), dim=1)
        place = torch.conv2d(_places(height, width, z), of_place, first.bias)
        return place + (z @ of_vector.sum(dim=(2, 3)).T)[:, :, None, None]


def with_shared(
    infer: Callable[[Tensor, bool], BackgroundOutput], frames: Tensor, sample: bool, share: int
) -> BackgroundOutput:
    """What ``infer`` gives of frames; with ``sample``, each ``share`` consecutive ones share that of their mean.

    Raises:
        ValueError: the number of frames is not a multiple of ``share``.
    """
    if share == 1 or not sample:
        return infer(frames, sample)
    if len(frames) % share:
        raise ValueError(f"{len(frames)} frames cannot share backgrounds by {share}: see model.background.share.")
    found = infer(frames.unflatten(0, (-1, share)).mean(dim=1), sample)
    return BackgroundOutput(*(part.repeat_interleave(share, dim=0) for part in found))


def stick_breaking(masks: Tensor) -> Tensor:
    """(B, K, 1, H, W) in (0, 1) -> masks of the same shape that sum to 1 over K.

    Each mask takes its fraction of what the masks before it left; the last one takes the rest.
    """
    rest = torch.ones_like(masks[:, 0])
    parts = []
    for mask in masks[:, :-1].unbind(1):
        parts.append(mask * rest)
        rest = rest - parts[-1]
    return torch.stack([*parts, rest], dim=1)


def kl_sum(posterior: tuple[Tensor, Tensor], prior: tuple[Tensor, Tensor]) -> Tensor:
    """KL between diagonal Gaussians, (B, D) each -> (B,)."""
    (mean, std), (prior_mean, prior_std) = posterior, prior
    ratio = (std / prior_std).square()
    return 0.5 * (ratio + ((mean - prior_mean) / prior_std).square() - 1 - ratio.log()).sum(dim=1)


class Gaussian(nn.Module):
    """Mean and standard deviation from the two halves of a network's output."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = self.net(x).float().chunk(2, dim=1)
        return mean, F.softplus(std) + 1e-4


def elu_stack(channels: int, widths: tuple[int, ...], stride: int = 2, padding: int = 1) -> list[nn.Module]:
    """3 x 3 convolution, BatchNorm and ELU, once for each of ``widths``."""
    modules: list[nn.Module] = []
    for width in widths:
        modules += [nn.Conv2d(channels, width, 3, stride, padding), nn.BatchNorm2d(width), nn.ELU()]
        channels = width
    return modules


def _mask_decoder(channels: int, frame_size: tuple[int, int]) -> nn.Sequential:
    """A latent at 1 x 1 -> a mask of H x W, in four PixelShuffles. The published factors 4, 2, 4, 4 give 128 x 128."""
    factors = {64: (4, 2, 4, 2), 128: (4, 2, 4, 4), 256: (4, 4, 4, 4)}.get(frame_size[0])
    if factors is None or frame_size[0] != frame_size[1]:
        raise ConfigError(
            f"a background of components draws 64x64, 128x128 or 256x256 frames, not {frame_size}; "
            "change model.frame_size, or set model.background.kind: fixed."
        )
    modules: list[nn.Module] = [nn.Conv2d(channels, 256, 1), nn.CELU(), nn.GroupNorm(16, 256)]
    channels = 256
    for factor, width, groups in zip(factors, (256, 128, 64, 16), (16, 16, 8, 4), strict=True):
        modules += [nn.Conv2d(channels, width * factor**2, 1), nn.PixelShuffle(factor)]
        modules += [nn.CELU(), nn.GroupNorm(groups, width)]
        modules += [nn.Conv2d(width, width, 3, 1, 1), nn.CELU(), nn.GroupNorm(groups, width)]
        channels = width
    modules += [nn.Conv2d(16, 16, 3, 1, 1), nn.CELU(), nn.GroupNorm(4, 16), nn.Conv2d(16, 1, 3, 1, 1)]
    return nn.Sequential(*modules)


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """(1, 2, height, width): the x and y of each pixel, in [-1, 1]."""
    xs = torch.linspace(-1, 1, width, device=like.device)
    ys = torch.linspace(-1, 1, height, device=like.device)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack((x, y))[None]
