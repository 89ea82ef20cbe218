"""The loss that is minimised: the terms of :mod:`spacetime_env.space.losses`, weighted and added up."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spacetime_env.config import LossConfig, ModelConfig
from spacetime_env.space.background import BackgroundOutput
from spacetime_env.space.foreground import ForegroundOutput
from spacetime_env.space.latents import Latents
from spacetime_env.space.losses import (
    CountMismatch,
    Targets,
    background_nll,
    boundary,
    kl_normal,
    kl_z_pres,
    motion_alpha,
    motion_z_pres,
    motion_z_where,
    motion_z_where_relative,
    negative_log_likelihood,
    object_continuity,
    z_what_map,
)


class Objective(NamedTuple):
    """The loss that is minimised, and each of its terms before weighting. All are means over frames."""

    total: Tensor
    terms: dict[str, Tensor]


def elbo_terms(
    frames: Tensor, fg: ForegroundOutput, bg: BackgroundOutput, config: LossConfig, progress: float
) -> dict[str, Tensor]:
    """The negative log-likelihood and the KL terms; their sum is the negative ELBO per frame."""
    latents = fg.latents
    assert latents.z_what_mean is not None and latents.z_what_std is not None
    scale_mean = config.prior_scale_mean.at(progress)
    count = len(frames)
    return {
        "nll": negative_log_likelihood(frames, fg, bg, config.sigma_fg, config.sigma_bg),
        "kl_z_what": kl_normal(latents.z_what_mean, latents.z_what_std, count),
        "kl_z_pres": kl_z_pres(latents.z_pres_logit, config.prior_z_pres.at(progress)),
        "kl_z_scale": kl_normal(latents.z_scale_mean, latents.z_scale_std, count, scale_mean, config.prior_scale_std),
        "kl_z_shift": kl_normal(latents.z_shift_mean, latents.z_shift_std, count),
        "kl_z_depth": kl_normal(latents.z_depth_mean, latents.z_depth_std, count),
        "kl_background": bg.kl.mean(),
    }


def background_objective(frames: Tensor, bg: BackgroundOutput, sigma: float) -> Objective:
    """The negative ELBO of a background alone, without objects; see :func:`objective`.

    Args:
        frames: (B, 3, H, W) in [0, 1].
        bg: of these frames.
        sigma: ``loss.sigma_bg``.
    """
    terms = {"nll": background_nll(frames, bg, sigma), "kl_background": bg.kl.mean()}
    return Objective(torch.stack(list(terms.values())).sum(), terms)


def motion_terms(fg: ForegroundOutput, targets: Targets, config: LossConfig) -> dict[str, Tensor]:
    """The three motion losses, before weighting."""
    z_where, z_pres = fg.latents.z_where_pure, fg.latents.z_pres_pure
    if config.z_where_loss == "squared":
        boxes = motion_z_where(z_where, z_pres, targets.z_where, targets.z_pres)
    else:
        boxes = motion_z_where_relative(z_where, targets.z_where, targets.z_pres)
    return {
        "motion_z_pres": motion_z_pres(z_pres, targets.z_pres),
        "motion_z_where": boxes,
        "motion_alpha": motion_alpha(fg.alpha, fg.alpha_pure),
    }


def scheduled_weights(
    latents: Latents, targets: Targets, config: LossConfig, progress: float, mismatch: CountMismatch
) -> tuple[float, float]:
    """The weights of the motion losses and of continuity at this point of the training; ``mismatch`` is updated."""
    motion = config.motion.at(progress)
    if not config.dynamic_scheduling:
        return motion, 1 - motion
    continuity = config.steepness ** -mismatch.update(latents, targets)
    return motion * (1 - continuity), continuity


def objective(
    frames: Tensor,
    fg: ForegroundOutput,
    bg: BackgroundOutput,
    targets: Targets | None,
    model: ModelConfig,
    config: LossConfig,
    progress: float,
    mismatch: CountMismatch,
) -> Objective:
    """The weighted sum of the terms of ``model.variant``.

    ``space`` has the negative ELBO, and the boundary loss where borders were drawn. ``space+motion`` adds the motion
    losses. ``space+motion+continuity`` adds object continuity, whose weight rises as that of the motion losses falls.

    Args:
        frames: (B, 3, H, W) in [0, 1].
        fg, bg: of these frames.
        targets: needed by all variants but ``space``.
        model, config: the variant, and weights and schedules.
        progress: fraction of the training that is done, 0 to 1.
        mismatch: state of the dynamic schedule; updated.

    Raises:
        ValueError: no targets, and the variant needs them.
    """
    terms = elbo_terms(frames, fg, bg, config, progress)
    total = torch.stack(list(terms.values())).sum()
    if fg.border is not None:
        terms["boundary"] = boundary(fg.alpha_pure, fg.border)
        total = total + config.boundary.at(progress) * terms["boundary"]
    if model.z_what_from == "map":
        terms["z_what_map"] = z_what_map(fg.latents)
        total = total + config.z_what_map * terms["z_what_map"]
    if model.variant == "space":
        return Objective(total, terms)
    if targets is None:
        raise ValueError(f"the variant {model.variant!r} learns from motion: pass targets, or use variant 'space'.")
    terms |= motion_terms(fg, targets, config)
    motion_weight, continuity_weight = scheduled_weights(fg.latents, targets, config, progress, mismatch)
    total = total + motion_weight * (
        config.motion_z_pres * terms["motion_z_pres"]
        + config.motion_z_where * terms["motion_z_where"]
        + config.motion_alpha * terms["motion_alpha"]
    )
    if model.variant == "space+motion+continuity":
        terms["continuity"] = object_continuity(
            fg.latents, targets.length, model.grid, config.match_weight, config.continuity_wrap
        )
        total = total + config.continuity * continuity_weight * terms["continuity"]
    return Objective(total, terms)
