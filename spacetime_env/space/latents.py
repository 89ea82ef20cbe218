"""The latent variables of one batch of frames, one row for each cell of the G x G grid."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

PRES_SCALE = 8.8  # z_pres logit = 8.8 * tanh(.): keeps the probability between 1.5e-4 and 1 - 1.5e-4


@dataclass(frozen=True)
class Latents:
    """What the foreground infers (SPACE, arXiv 2001.02407, section 2.1). N = G * G cells, row-major.

    ``pure`` values come from the frame alone; the others have motion hints blended in while hints are on.
    Means and standard deviations belong to the posterior before its squashing function.
    """

    z_pres: Tensor  # (B, N, 1) in (0, 1): the relaxed sample, or the probability where nothing is sampled
    z_pres_logit: Tensor  # (B, N, 1)
    z_pres_pure: Tensor  # (B, N, 1) in (0, 1): probability without hints
    z_where: Tensor  # (B, N, 4): w, h in (0, 1) of the frame; x, y of the centre in (-1, 1)
    z_where_pure: Tensor  # (B, N, 4)
    z_depth: Tensor  # (B, N, 1), smaller is nearer
    z_what: Tensor  # (B, N, D); 0 in cells that were not encoded
    frame: Tensor  # (M,) the cells that are encoded and drawn: their frame, ascending ...
    cell: Tensor  # (M,) ... and their place in the grid, 0 to N - 1
    z_depth_mean: Tensor  # (B, N, 1)
    z_depth_std: Tensor
    z_scale_mean: Tensor  # (B, N, 2)
    z_scale_std: Tensor
    z_shift_mean: Tensor  # (B, N, 2)
    z_shift_std: Tensor
    z_what_mean: Tensor | None  # (M, D)
    z_what_std: Tensor | None
    z_what_map: Tensor | None = None  # (B, N, D): what the image encoder itself says, with z_what_from: map

    def of_encoded(self, values: Tensor) -> Tensor:
        """(B, N, D) -> (M, D): the rows of the cells that are encoded."""
        return values[self.frame, self.cell]


@dataclass(frozen=True)
class Objects:
    """The present cells of a batch of frames, M in all, frame by frame, row-major within a frame.

    What :class:`Latents` hold for all cells, for those with an object only: posterior means, no hints.
    """

    frame: Tensor  # (M,) index of the frame
    cell: Tensor  # (M,) index of the cell, 0 to G * G - 1
    z_pres: Tensor  # (M,) in (0, 1)
    z_where: Tensor  # (M, 4)
    z_depth: Tensor  # (M, 1)
    z_what: Tensor  # (M, D)
