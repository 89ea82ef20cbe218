"""The latent variables of a batch of frames, a row for each cell of the G x G grid, and the channels they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

PRES_SCALE = 8.8  # z_pres logit = 8.8 * tanh(.): keeps the probability between 1.5e-4 and 1 - 1.5e-4


class HeadLayout(NamedTuple):
    """The channels of the image encoder's head, which it has for each cell. Saved weights depend on this order.

    All of them are raw: the squashing functions named here come afterwards.
    """

    scale_mean: slice = slice(0, 2)  # of w and h; sigmoid
    scale_std: slice = slice(2, 4)  # softplus, as of all standard deviations
    shift_mean: slice = slice(4, 6)  # of x and y, from the cell's centre; tanh
    shift_std: slice = slice(6, 8)
    pres: slice = slice(8, 9)  # PRES_SCALE * tanh is the logit
    depth_mean: slice = slice(9, 10)
    depth_std: slice = slice(10, 11)
    z_what: slice = slice(11, None)  # D channels with z_what_from: map, otherwise none


HEAD = HeadLayout()
POSTERIOR = HEAD.z_what.start  # 11, the channels of every head: means and standard deviations, and pres


@dataclass(frozen=True)
class Latents:
    """The latents of all cells of B frames (SPACE, arXiv 2001.02407, section 2.1). N = G * G cells, row-major.

    ``pure`` values come from the frame alone. The others have motion hints blended in, while there are hints.
    Means and standard deviations are those of the posterior before its squashing function.
    """

    z_pres: Tensor  # (B, N, 1) in (0, 1): a relaxed sample; without sampling the probability
    z_pres_logit: Tensor  # (B, N, 1)
    z_pres_pure: Tensor  # (B, N, 1) in (0, 1): probability without hints
    z_where: Tensor  # (B, N, 4): w, h in (0, 1) of the frame; x, y of the centre in (-1, 1)
    z_where_pure: Tensor  # (B, N, 4)
    z_depth: Tensor  # (B, N, 1), smaller is nearer
    z_what: Tensor  # (B, N, D); 0 in cells that were not encoded
    frame: Tensor  # (M,) int64: the frame of each cell that is encoded and drawn, ascending
    cell: Tensor  # (M,) int64: its place in the grid, 0 to N - 1
    z_depth_mean: Tensor  # (B, N, 1)
    z_depth_std: Tensor
    z_scale_mean: Tensor  # (B, N, 2)
    z_scale_std: Tensor
    z_shift_mean: Tensor  # (B, N, 2)
    z_shift_std: Tensor
    z_what_mean: Tensor | None  # (M, D)
    z_what_std: Tensor | None
    z_what_map: Tensor | None = None  # (B, N, D): z_what of the image encoder, with z_what_from: map

    def of_encoded(self, values: Tensor) -> Tensor:
        """(B, N, D) values of all cells -> (M, D) of those that are encoded."""
        return values[self.frame, self.cell]


@dataclass(frozen=True)
class Objects:
    """The latents of the present cells only: M in a batch of frames, frame by frame, row-major within a frame.

    They are posterior means, without hints.
    """

    frame: Tensor  # (M,) int64: index of the frame
    cell: Tensor  # (M,) int64: index of the cell, 0 to G * G - 1
    z_pres: Tensor  # (M,) in (0, 1)
    z_where: Tensor  # (M, 4), as in Latents
    z_depth: Tensor  # (M, 1)
    z_what: Tensor  # (M, D)
