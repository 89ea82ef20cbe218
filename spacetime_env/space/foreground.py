"""The foreground of SPACE: a grid of cells, each of which may hold one object (arXiv 2001.02407, section 2.1)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacetime_env.config import ModelConfig
from spacetime_env.space.batch import Batch
from spacetime_env.space.encoders import GlimpseDecoder, GlimpseEncoder, ImageEncoder
from spacetime_env.space.latents import HEAD, PRES_SCALE, Latents, Objects
from spacetime_env.space.renderer import render
from spacetime_env.space.transforms import extract_glimpses


class Hints(NamedTuple):
    """Motion targets that are blended into the posterior while training begins."""

    z_pres: Tensor  # (B, N, 1), 0 or 1
    z_where: Tensor  # (B, N, 4)
    mask: Tensor  # (B, 1, H, W) in [0, 1]: the motion mask
    strength: float  # 1: motion alone; 0: the network alone


@dataclass(frozen=True)
class ForegroundOutput:
    """The objects of a batch of frames, and the picture that the decoder draws of them."""

    latents: Latents
    image: Tensor  # (B, 3, H, W): objects over black
    alpha: Tensor  # (B, 1, H, W) in [0, 1]: how far objects cover each pixel; the hints' mask is blended in
    alpha_pure: Tensor  # (B, 1, H, W) in [0, 1]: the same without hints
    border: Tensor | None = None  # (B, 1, H, W): where the edges of boxes lie, times z_pres; None: not drawn


class Foreground(nn.Module):
    """Infers the objects of a frame and draws them again.

    Attributes:
        batch: what frames in training are part of; another one where several processes share a batch.
    """

    offset: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.batch = Batch()
        self.encoder = ImageEncoder(config)
        self.glimpse_encoder = GlimpseEncoder(config)
        self.glimpse_decoder = GlimpseDecoder(config)
        cell = torch.arange(config.grid)
        rows, columns = torch.meshgrid(cell, cell, indexing="ij")
        offset = torch.stack((columns, rows), dim=-1).reshape(-1, 2) + 0.5  # (N, 2), x before y
        self.register_buffer("offset", offset, persistent=False)
        height, width = config.frame_size
        padding = 2 * config.box_padding
        self.padding = (padding / width, padding / height, 0.0, 0.0)

    def infer(
        self,
        frames: Tensor,
        hints: Hints | None = None,
        tau: float = 1.0,
        sample: bool = False,
        background: Tensor | None = None,
    ) -> Latents:
        """Infer all latents but z_what, which stays 0 in every cell.

        Args:
            frames: (B, 3, H, W) in [0, 1], in the model's colour order.
            hints: motion targets to blend in.
            tau: temperature of the relaxed Bernoulli; used with ``sample``.
            sample: draw from the posterior. Otherwise the latents are its means, and z_pres is the probability.
            background: see :meth:`ImageEncoder.forward`.
        """
        raw = self.encoder(frames, background).float()  # bfloat16's three digits are too few for boxes
        scale_mean, scale_std = raw[..., HEAD.scale_mean], F.softplus(raw[..., HEAD.scale_std])
        shift_mean, shift_std = raw[..., HEAD.shift_mean], F.softplus(raw[..., HEAD.shift_std])
        depth_mean, depth_std = raw[..., HEAD.depth_mean], F.softplus(raw[..., HEAD.depth_std])
        pres = torch.tanh(raw[..., HEAD.pres])
        scale, shift, depth = scale_mean, shift_mean, depth_mean
        if sample:
            scale = scale + scale_std * self.batch.normal(scale)
            shift = shift + shift_std * self.batch.normal(shift)
            depth = depth + depth_std * self.batch.normal(depth)
        center = (self.offset + torch.tanh(shift)) * (2 / self.config.grid) - 1
        z_where_pure = torch.cat((torch.sigmoid(scale), center), dim=2)
        z_where, logit = z_where_pure, pres
        if hints is not None and hints.strength > 0:
            s = hints.strength
            logit = (1 - s) * pres + s * (hints.z_pres * 2 - 1)
            z_where = (1 - s) * z_where_pure + s * hints.z_where
        logit = PRES_SCALE * logit
        z_pres = torch.sigmoid((logit + _logistic(self.batch.uniform(logit))) / tau) if sample else torch.sigmoid(logit)
        all_cells = torch.ones(z_pres.shape[:2], dtype=torch.bool, device=z_pres.device).nonzero(as_tuple=True)
        return Latents(
            z_pres=z_pres,
            z_pres_logit=logit,
            z_pres_pure=torch.sigmoid(PRES_SCALE * pres),
            z_where=z_where,
            z_where_pure=z_where_pure,
            z_depth=depth,
            z_what=frames.new_zeros(len(frames), z_pres.shape[1], self.config.z_what_dim),
            frame=all_cells[0],
            cell=all_cells[1],
            z_depth_mean=depth_mean,
            z_depth_std=depth_std,
            z_scale_mean=scale_mean,
            z_scale_std=scale_std,
            z_shift_mean=shift_mean,
            z_shift_std=shift_std,
            z_what_mean=None,
            z_what_std=None,
            z_what_map=raw[..., HEAD.z_what] if self.config.z_what_from == "map" else None,
        )

    def find(self, frames: Tensor, threshold: float, background: Tensor | None = None) -> Objects:
        """The objects of some frames: posterior means of the cells with z_pres over ``threshold``.

        The numbers are those of :meth:`infer` and :meth:`encode_glimpses`. It takes far fewer operations, because
        after the image encoder only present cells are computed.

        Args:
            frames: (B, 3, H, W) in [0, 1], in the model's colour order.
            threshold: a probability.
            background: see :meth:`ImageEncoder.forward`.
        """
        raw = self.encoder(frames, background)
        # z_pres rises with its raw channel, so the raw channel is compared, and z_pres computed of present cells only.
        frame, cell = (raw[..., HEAD.pres.start] > raw_presence(threshold)).nonzero(as_tuple=True)
        raw = raw[frame, cell]  # (M, 11) or (M, 11 + D)
        center = (self.offset[cell] + torch.tanh(raw[:, HEAD.shift_mean])) * (2 / self.config.grid) - 1
        z_where = torch.cat((torch.sigmoid(raw[:, HEAD.scale_mean]), center), dim=1)
        z_pres = torch.sigmoid(PRES_SCALE * torch.tanh(raw[:, HEAD.pres])).squeeze(1)
        z_what = raw[:, HEAD.z_what]
        if self.config.z_what_from == "glimpse":
            z_what, _ = self.encode_glimpses(frames, frame, z_where)
        return Objects(frame, cell, z_pres, z_where, raw[:, HEAD.depth_mean], z_what)

    def encode_glimpses(self, frames: Tensor, frame: Tensor, z_where: Tensor) -> tuple[Tensor, Tensor]:
        """z_what of given boxes: mean and standard deviation of its posterior, (M, D) each.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            frame: (M,) which frame each box lies in, ascending.
            z_where: (M, 4).
        """
        if not len(frame):
            nothing = frames.new_zeros(0, self.config.z_what_dim)
            return nothing, nothing
        return self.glimpse_encoder(extract_glimpses(frames, frame, self._pad(z_where), self.config.glimpse.size))

    def draw(self, latents: Latents, z_what: Tensor, border: int = 0) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw the encoded cells.

        Args:
            latents: of B frames, with M encoded cells.
            z_what: (M, D).
            border: see :meth:`forward`.

        Returns:
            The image (B, 3, H, W) and alpha (B, 1, H, W), both in [0, 1]; and the border (B, 1, H, W) or None.
        """
        if not len(z_what):  # all objects of the batch are in the parts of other processes
            nothing = z_what.new_zeros(len(latents.z_pres), 5, *self.config.frame_size)
            return nothing[:, :3], nothing[:, 3:4], nothing[:, 4:] if border else None
        color, alpha = self.glimpse_decoder(z_what)
        z_pres = latents.of_encoded(latents.z_pres)[..., None, None]
        alpha = alpha * z_pres
        importance = alpha * 100.0 * torch.sigmoid(-latents.of_encoded(latents.z_depth))[..., None, None]
        with torch.autocast(z_what.device.type, enabled=False):  # exponentials of up to 100: float32 only
            return render(
                color * alpha,
                alpha,
                importance,
                self._pad(latents.of_encoded(latents.z_where)),
                latents.frame,
                (len(latents.z_pres), *self.config.frame_size),
                self.config.grid**2,
                _edge(alpha, border) * z_pres if border else None,
            )

    def forward(
        self,
        frames: Tensor,
        hints: Hints | None = None,
        tau: float = 1.0,
        sample: bool = False,
        background: Tensor | None = None,
        border: int = 0,
    ) -> ForegroundOutput:
        """Infer the latents of (B, 3, H, W) frames, encode z_what, and draw the objects. See :meth:`infer`.

        With ``border``, the edges of the boxes are drawn too, so many glimpse samples wide.

        With ``max_objects`` or ``min_presence`` set, only the most present cells are encoded and drawn. So the cost
        grows with the number of objects. This is an approximation: what absent cells would draw is left out. (A
        relaxed sample of an absent cell is about 0.03 at tau 2.5.) Without both settings all cells are drawn.

        Raises:
            NotFiniteError: the network has diverged, and a box is nan or inf.
        """
        latents = self.infer(frames, hints, tau, sample, background)
        batch = self.batch if self.training else Batch()
        frame, cell, rows = self._present(latents, batch)
        latents = replace(latents, frame=frame, cell=cell)
        mean, std = self.encode_glimpses(frames, frame, latents.of_encoded(latents.z_where))
        z_what = mean + std * batch.normal(std, rows) if sample else mean
        image, alpha_pure, edges = self.draw(latents, z_what, border)
        everywhere = latents.z_what.index_put((frame, cell), z_what)
        latents = replace(latents, z_what=everywhere, z_what_mean=mean, z_what_std=std)
        alpha = alpha_pure
        if hints is not None and hints.strength > 0:
            alpha = (1 - hints.strength) * alpha_pure + hints.strength * hints.mask
        return ForegroundOutput(latents, image, alpha, alpha_pure, edges)

    @torch.no_grad()
    def _present(self, latents: Latents, batch: Batch) -> tuple[Tensor, Tensor, Sequence[int]]:
        """The cells to encode and draw, at least one in a batch.

        Returns:
            Their frame and their place in the grid, (M,) each, and what :meth:`Batch.settle` says.
        """
        z_pres = latents.z_pres.squeeze(2)
        limit, least = self.config.max_objects, self.config.min_presence
        chosen = torch.ones_like(z_pres, dtype=torch.bool)
        if 0 < limit < z_pres.shape[1]:
            best = z_pres.topk(limit, dim=1).indices
            chosen = torch.zeros_like(chosen).scatter_(1, best, True)
        if least > 0:  # the probability decides and not its sample, which may be large by chance
            chosen &= latents.z_pres_logit.squeeze(2) > _logit(least)
        rows = batch.settle({"z_where": latents.z_where}, chosen, z_pres)  # a box that is not finite cannot be drawn
        frame, cell = chosen.nonzero(as_tuple=True)
        return frame, cell, rows

    def _pad(self, z_where: Tensor) -> Tensor:
        """(M, 4) boxes with ``box_padding`` pixels more on each side, so that an object's edge is inside."""
        if not self.config.box_padding:
            return z_where
        return z_where + z_where.new_tensor(self.padding)


def _edge(like: Tensor, width: int) -> Tensor:
    """(1, 1, g, g): 1000 / 1024 within ``width`` samples of a glimpse's edge and 0 inside, as in SPACE's code."""
    size = like.shape[-1]
    edge = like.new_full((1, 1, size, size), 1000 / 1024)
    edge[..., width : size - width, width : size - width] = 0
    return edge


def _logit(probability: float) -> float:
    """log(p / (1 - p)); infinite at 0 and 1."""
    if not 0 < probability < 1:
        return -math.inf if probability <= 0 else math.inf
    return math.log(probability / (1 - probability))


@functools.lru_cache(maxsize=64)
def raw_presence(probability: float) -> float:
    """The value of ``HEAD.pres`` at which z_pres has this probability; infinite where z_pres never has it."""
    share = _logit(probability) / PRES_SCALE
    return math.atanh(share) if abs(share) < 1 else math.copysign(math.inf, share)


def _logistic(uniform: Tensor) -> Tensor:
    """Noise of the standard logistic distribution, from noise that is uniform in [0, 1)."""
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    return torch.log(uniform) - torch.log1p(-uniform)
