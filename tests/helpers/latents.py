"""Latents that hold only what a loss under test reads."""

from __future__ import annotations

import torch
from torch import Tensor

from spacetime_env.space.latents import Latents


def latents_of(z_where: Tensor, z_pres: Tensor, z_what: Tensor | None = None) -> Latents:
    """``z_pres`` are probabilities; pure and hinted values are the same."""
    empty = torch.zeros(0)
    return Latents(
        z_pres=z_pres,
        z_pres_logit=torch.logit(z_pres),
        z_pres_pure=z_pres,
        z_where=z_where,
        z_where_pure=z_where,
        z_depth=empty,
        z_what=empty if z_what is None else z_what,
        frame=empty.long(),
        cell=empty.long(),
        z_depth_mean=empty,
        z_depth_std=empty,
        z_scale_mean=empty,
        z_scale_std=empty,
        z_shift_mean=empty,
        z_shift_std=empty,
        z_what_mean=None,
        z_what_std=None,
    )
