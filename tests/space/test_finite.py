"""Values that are not finite are named."""

from __future__ import annotations

import math

import pytest
import torch

from spacetime_env.space.finite import NotFiniteError, require_finite
from tests.helpers.tiny import make_space


def test_all_that_are_not_finite_are_named_and_the_first_is_told() -> None:
    values = {"nll": torch.tensor(1.0), "kl": torch.tensor([[0.0, -math.inf], [math.nan, 1.0]])}
    with pytest.raises(NotFiniteError, match=r"^kl became -inf$"):
        require_finite(values)
    with pytest.raises(NotFiniteError, match=r"^total, kl became nan$"):
        require_finite({"nll": torch.tensor(1e38), "total": torch.tensor(math.nan), **values})
    require_finite({"nll": torch.tensor(1.0), "none": torch.zeros(0)})
    require_finite({})


def test_a_network_that_diverged_draws_nothing() -> None:
    space = make_space()
    frames = torch.rand(2, 3, 38, 32)
    space(frames)
    with torch.no_grad():
        space.foreground.encoder.head.bias[0] = math.nan  # the first value of z_scale
    with pytest.raises(NotFiniteError, match="z_where became nan"):
        space(frames)
