"""A check for values that are not finite, as a network that diverges gives them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class NotFiniteError(ValueError):
    """A value of the network became nan or inf; the message names it."""


def require_finite(values: Mapping[str, Tensor]) -> None:
    """Refuse nan and inf.

    Args:
        values: tensors of any shape, by name.

    Raises:
        NotFiniteError: such as ``z_where became nan``; of several, it names all and says what the first became.
    """
    broken = {name: value for name, value in values.items() if not torch.isfinite(value).all()}
    if broken:
        first = next(iter(broken.values()))
        raise NotFiniteError(f"{', '.join(broken)} became {first[~torch.isfinite(first)][0].item()}")
