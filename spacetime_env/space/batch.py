"""The batch of frames in a training step, as the network needs to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from spacetime_env.space.finite import require_finite


class Batch:
    """A batch that this process has as a whole.

    Where several processes have a part each, :class:`spacetime_env.training.shared_batch.PartOfBatch` takes its place
    and answers for the whole batch, so that the numbers of a training do not depend on the number of processes.
    """

    def normal(self, like: Tensor, rows: Sequence[int] = ()) -> Tensor:
        """Noise of the standard normal distribution, in the shape of ``like``.

        Args:
            like: (n, ...). The rows of all parts, one part after the other, are those of the whole batch.
            rows: of each part, as :meth:`settle` gives them; (): all parts have as many.
        """
        return torch.randn_like(like)

    def uniform(self, like: Tensor) -> Tensor:
        """Noise that is uniform in [0, 1), in the shape of ``like``, (n, ...); all parts have as many rows."""
        return torch.rand_like(like)

    def settle(self, values: Mapping[str, Tensor], chosen: Tensor, z_pres: Tensor) -> Sequence[int]:
        """See to it that the network can go on: its values are finite, and at least one cell of the batch is chosen.

        Args:
            values: tensors of any shape, by name.
            chosen: (n, N) bool: the cells of each frame that are chosen. If there is none in the whole batch, the most
                present one is added.
            z_pres: (n, N).

        Returns:
            How many cells are chosen in each part; () if there is one part.

        Raises:
            NotFiniteError: a value is nan or inf, here or in another part.
        """
        require_finite(values)
        if not chosen.any():
            chosen.view(-1)[z_pres.argmax()] = True
        return ()
