"""The losses. Each is a pure function that returns a scalar, a mean over frames;
:func:`~spacetime_env.space.objective.objective` adds them up.

The published code (arXiv 2211.09771 and its repository) sums the motion and continuity terms over the batch and
averages the ELBO. Here every term is a mean over frames, so that weights do not depend on the batch size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spacetime_env.config import LossConfig
from spacetime_env.space.background import BackgroundOutput
from spacetime_env.space.foreground import ForegroundOutput
from spacetime_env.space.latents import Latents

_EPS = 1e-15


class Targets(NamedTuple):
    """What a batch of B = stacks * T frames is trained against; stack by stack."""

    z_pres: Tensor  # (B, N, 1), 0 or 1
    z_where: Tensor  # (B, N, 4), 0 where z_pres is 0
    mask: Tensor  # (B, 1, H, W) in [0, 1]
    length: int  # T, frames in a stack
    backgrounds: Tensor | None = None  # (B, 3, H, W) in [0, 1]: the background of each frame's game, if several


@dataclass
class CountMismatch:
    """How far predicted and moving objects differ; drives the dynamic schedule (arXiv 2211.09771, section 3).

    It remembers the last differences, because their variance counts as mismatch too. This state belongs in a
    checkpoint. (The published code does not save it.)
    """

    config: LossConfig
    values: list[float] = field(default_factory=list)

    @torch.no_grad()
    def update(self, latents: Latents, targets: Targets) -> float:
        """The mismatch of this batch. As published, it is 1000 if nothing is predicted or nothing moves."""
        predicted = latents.z_pres_pure.squeeze(2)
        hinted = targets.z_pres.squeeze(2)
        frame, cell = (predicted > 0.5).nonzero(as_tuple=True)
        target_frame, target_cell = (hinted > 0.5).nonzero(as_tuple=True)
        if not len(frame) or not len(target_frame):
            return 1000.0
        # A fifth coordinate keeps boxes of different frames apart in one distance matrix.
        boxes = torch.cat((latents.z_where_pure[frame, cell], 10.0 * frame.unsqueeze(1)), dim=1)
        moving = torch.cat((targets.z_where[target_frame, target_cell], 10.0 * target_frame.unsqueeze(1)), dim=1)
        nearest = torch.cdist(moving, boxes, p=1).amin(dim=1).mean().item()
        difference = (predicted.mean() - hinted.mean()).item()
        surplus = (predicted.mean() - hinted.mean() * self.config.underestimating).item()
        value = max(0.0, (nearest - self.config.found_offset) * self.config.found_weight) + max(0.0, surplus)
        before = self.values or [difference]  # the first is stored twice, so that there is a variance from the start
        self.values = [*before, difference][-self.config.variance_steps :]
        return (value + torch.tensor(self.values).var().item()) * predicted.shape[1]


def kl_normal(mean: Tensor, std: Tensor, frames: int, prior_mean: float = 0.0, prior_std: float = 1.0) -> Tensor:
    """KL(N(mean, std) || N(prior)) summed over cells and dimensions, mean over ``frames`` frames -> scalar."""
    ratio = (std / prior_std).square()
    kl = 0.5 * (ratio + ((mean - prior_mean) / prior_std).square() - 1 - ratio.clamp_min(1e-30).log())
    return kl.sum() / frames


def kl_z_pres(logit: Tensor, prior: float) -> Tensor:
    """KL(Bernoulli(logit) || Bernoulli(prior)) summed over cells, mean over frames. (B, N, 1) -> scalar."""
    p = torch.sigmoid(logit)
    on = p * (torch.log(p + _EPS) - math.log(prior + _EPS))
    off = (1 - p) * (torch.log(1 - p + _EPS) - math.log(1 - prior + _EPS))
    return (on + off).sum() / len(logit)


def _log_normal(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    return -0.5 * ((x - mean) / sigma).square() - math.log(sigma) - 0.5 * math.log(2 * math.pi)


def negative_log_likelihood(
    frames: Tensor, fg: ForegroundOutput, background: BackgroundOutput, sigma_fg: float, sigma_bg: float
) -> Tensor:
    """-log p(frame) under the mixture of foreground and background, summed over pixels and channels.

    A fixed background learns nothing, so a pixel that no cell draws on adds a constant. Such pixels are left out, which
    saves most of the operations. With learned components all pixels count.

    Args:
        frames: (B, 3, H, W) in [0, 1].
        sigma_fg, sigma_bg: standard deviations of the two Gaussians.
    """
    batch = len(frames)
    if background.components.requires_grad or background.components.shape[1] > 1:
        behind = _log_mixture(frames, background, sigma_bg)
        image, alpha = fg.image, fg.alpha
    else:
        frame, row, column = (fg.alpha_pure.squeeze(1) > 0).nonzero(as_tuple=True)
        frames, image = frames[frame, :, row, column], fg.image[frame, :, row, column]  # (P, 3)
        alpha = fg.alpha[frame, :, row, column]
        behind = _log_normal(frames, background.image[frame, :, row, column], sigma_bg)
    front = _log_normal(frames, image, sigma_fg) + (alpha + 1e-5).log()
    behind = behind + (1 - alpha + 1e-5).log()
    return -torch.logaddexp(front, behind).sum() / batch


def background_nll(frames: Tensor, background: BackgroundOutput, sigma: float) -> Tensor:
    """-log p(frame) under a learned background alone, summed over pixels and channels, mean over frames -> scalar."""
    return -_log_mixture(frames, background, sigma).sum() / len(frames)


def _log_mixture(frames: Tensor, background: BackgroundOutput, sigma: float) -> Tensor:
    """log p of each pixel and channel under the components, (B, 3, H, W)."""
    each = _log_normal(frames.unsqueeze(1), background.components, sigma)
    return torch.logsumexp(each + (background.masks + 1e-5).log(), dim=1)


def boundary(alpha: Tensor, border: Tensor) -> Tensor:
    """SPACE's boundary loss: what is drawn where edges of boxes lie, summed over pixels, mean over frames -> scalar.

    It is -log N(border * alpha; 0, 0.7) without its constant.

    Args:
        alpha: (B, 1, H, W) in [0, 1].
        border: (B, 1, H, W), 0 or more; see :class:`~spacetime_env.space.foreground.ForegroundOutput`.
    """
    return 0.5 * (border * alpha / 0.7).square().sum() / len(alpha)


def motion_z_pres(z_pres: Tensor, target: Tensor) -> Tensor:
    """Squared error of z_pres, summed over cells, mean over frames. Both are (B, N, 1); the target is 0 or 1."""
    return (z_pres - target).square().sum() / len(z_pres)


def motion_z_where(z_where: Tensor, z_pres: Tensor, target: Tensor, target_pres: Tensor) -> Tensor:
    """The published box loss (``z_where_loss: squared``): squared error in target cells plus that in predicted cells.

    A cell that is both counts twice. A cell that is predicted and no target is pulled to an empty box at the centre of
    the frame.
    """
    error = (z_where - target).square().sum(dim=2, keepdim=True)
    counted = (target_pres > 0.5).float() + (z_pres > 0.5).float()
    return (error * counted).sum() / len(z_where)


def motion_z_where_relative(z_where: Tensor, target: Tensor, target_pres: Tensor, beta: float = 0.1) -> Tensor:
    """Smooth L1 loss of boxes in target cells, in units of the target box's size.

    So an error of one pixel counts more for a small box. With plain squared error the ball of Pong (2 x 4 pixels) adds
    almost nothing to the loss beside a paddle, and is not found.
    """
    frame, cell = (target_pres.squeeze(2) > 0.5).nonzero(as_tuple=True)
    wanted = target[frame, cell]
    size = wanted[:, :2]
    unit = torch.cat((size, 2 * size), dim=1)  # x and y run over (-1, 1), sizes over (0, 1)
    difference = (z_where[frame, cell] - wanted) / unit
    return F.smooth_l1_loss(difference, torch.zeros_like(difference), beta=beta, reduction="sum") / len(z_where)


def motion_alpha(alpha: Tensor, alpha_pure: Tensor) -> Tensor:
    """Squared error between the alpha maps with and without hints, summed over pixels, mean over frames.

    With hints of strength s it is s^2 (mask - alpha)^2: as published, it fades with the hints.
    """
    return (alpha - alpha_pure).square().sum() / len(alpha)


def object_continuity(latents: Latents, length: int, grid: int, match_weight: float, wrap: bool) -> Tensor:
    """Object continuity (arXiv 2211.09771): the next frame has one object near by with a similar z_what.

    Each present cell is compared with the present cells of its 3 x 3 neighbourhood in the next frame, by cosine
    similarity: ``sum(similarity) - match_weight * max(similarity)``. A cell does not count if the most similar
    neighbour is not also the nearest.

    Args:
        latents: of stacks * T frames, stack by stack.
        length: T.
        grid: G.
        match_weight: weight of the best match.
        wrap: neighbourhoods wrap around the frame, as published. Otherwise they end at its edge.
    """
    cells = grid * grid
    z_pres = torch.sigmoid(latents.z_pres_logit).view(-1, length, cells)
    z_what = latents.z_what.view(-1, length, cells, latents.z_what.shape[2])
    z_where = latents.z_where.view(-1, length, cells, 4)
    stack, time, cell = (z_pres[:, :-1] > 0.5).nonzero(as_tuple=True)
    step = torch.arange(-1, 2, device=cell.device)
    down, right = (s.flatten() for s in torch.meshgrid(step, step, indexing="ij"))
    row, column = cell.unsqueeze(1) // grid + down, cell.unsqueeze(1) % grid + right  # (M, 9)
    inside = (row >= 0) & (row < grid) & (column >= 0) & (column < grid)
    near = (row % grid) * grid + column % grid
    stack_, next_ = stack.unsqueeze(1), time.unsqueeze(1) + 1
    present = z_pres[stack_, next_, near] > 0.5
    if not wrap:
        present = present & inside
    before = z_what[stack, time, cell].unsqueeze(1)
    similarity = F.cosine_similarity(before, z_what[stack_, next_, near], dim=2)  # (M, 9)
    with torch.no_grad():
        moved = (z_where[stack, time, cell].unsqueeze(1) - z_where[stack_, next_, near]).square().sum(dim=2)
        nearest = moved.masked_fill(~present, math.inf).argmin(dim=1)
        alike = similarity.masked_fill(~present, -math.inf).argmax(dim=1)
        counts = present.any(dim=1) & (nearest == alike)
    best = similarity.gather(1, alike.unsqueeze(1)).squeeze(1)
    each = (similarity * present).sum(dim=1) - match_weight * best
    return each[counts].sum() / len(latents.z_what)


def z_what_map(latents: Latents) -> Tensor:
    """Squared error between z_what of the image encoder and of the glimpse encoder, over encoded cells.

    The glimpse encoder is the teacher: no gradient flows into it. Mean over frames.
    """
    assert latents.z_what_map is not None and latents.z_what_mean is not None
    error = latents.of_encoded(latents.z_what_map) - latents.z_what_mean.detach()
    return error.square().sum() / len(latents.z_pres)
