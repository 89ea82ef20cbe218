"""The image encoder where something changed: what is as it was costs nothing.

Most of a game's screen looks as it always does, and most of the rest as it did a step ago. There the features of the
first layers are known. So each layer is computed only in those cells of the grid whose own or neighbouring pixels
changed, since the last frame of the same game or against the fixed background. And no object has its centre in a cell
that looks like the background, so the last layer is left out there. Elsewhere the result is that of the whole encoder,
up to the rounding of another order of sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from spacetime_env.compiled import INSTALLED
from spacetime_env.config import ModelConfig
from spacetime_env.space import sparse_arrays
from spacetime_env.space.encoders import FoldedEncoder
from spacetime_env.space.foreground import raw_presence
from spacetime_env.space.latents import PRES_SCALE
from spacetime_env.space.layers import both_sides
from spacetime_env.space.network import Space

loops: Any = None
if INSTALLED:
    from spacetime_env.space import sparse_compiled

    loops = sparse_compiled

LIMIT = 0.6  # with more of the cells than this, the whole grid at once is faster: fewer pieces to gather
PATIENCE = 16  # after so many such calls one by one, what is known is brought up to date all the same
FEW = 24  # cells
AT_ONCE = 4  # frames: more, and what is gathered leaves the processor's cache


class Found(NamedTuple):
    """The present cells of a batch of frames, frame by frame: as :class:`~spacetime_env.space.latents.Objects`."""

    frame: np.ndarray  # (M,) int64
    z_pres: np.ndarray  # (M,) float32, in (0, 1)
    z_where: np.ndarray  # (M, 4) float32
    z_what: np.ndarray  # (M, D) float32


class Known:
    """Of some streams of frames, the last frame of each and what the layers made of it. P = G + 2, with a margin.

    A stream of RGB begins with the background as its last frame, one of palette numbers with numbers that no pixel has.
    """

    def __init__(self, pixels: np.ndarray, features: Sequence[np.ndarray], outputs: int, streams: int) -> None:
        side = len(pixels) + 2
        self.pixels = np.repeat(pixels[None], streams, axis=0)  # (S, G, patch height, bytes of a row)
        self.begun = np.zeros(streams, bool)
        # (S * P * P, C) each: what goes into each layer that looks at neighbours, 0 in the margin
        self.features = [np.tile(one.reshape(side * side, -1), (streams, 1)) for one in features]
        self.differs = np.zeros(streams * side * side, bool)  # from the background
        self.raw = np.zeros((streams * side * side, outputs), np.float32)  # of the head, where it differs
        self.refused = 0  # calls one by one in which too much had changed


class SparseEncoder:
    """:meth:`Space.encode` of pixels, at the cost of what changed.

    Args:
        space: as :meth:`Space.fused` makes it, of a kind that :meth:`fits`.
    """

    def __init__(self, space: Space) -> None:
        encoder: nn.Module = space.foreground.encoder
        image = space.image
        assert isinstance(encoder, FoldedEncoder) and image is not None
        self.size = space.config.frame_size
        self.grid = space.config.grid
        self.patch = (self.size[0] // self.grid, self.size[1] // self.grid)
        background = _pixels(image)
        # Compared in the largest words that the rows of a patch, or of the frame, are made of; by bytes a pixel.
        self._word = {depth: np.dtype(f"u{math.gcd(8, self.patch[1] * depth)}") for depth in (1, 3)}
        self._longest = {depth: np.dtype(f"u{math.gcd(8, self.size[1] * depth)}") for depth in (1, 3)}
        self._first_pixels = {
            1: self._rows(np.full((1, *self.size), 255, np.uint8))[0],
            3: self._rows(background[None])[0],
        }
        self._patches: list[tuple[tuple[int, int], Tensor, Tensor]] = []  # h, w; weight (h * w * C, C'); bias
        self._around: list[tuple[Tensor, Tensor]] = []  # weight (9 * C, C'), bias
        self._still: list[np.ndarray] = []  # (P, P, C): what goes into these where nothing moves
        self._offset: Tensor | None = None
        features = image[None]
        for i, layer in enumerate(encoder.layers):
            weight, bias, stride, padding = layer.weight, layer.bias, layer.stride, layer.padding
            matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight)).contiguous()
            if padding[0]:
                self._still.append(nn.functional.pad(features[0], (1, 1, 1, 1)).permute(1, 2, 0).contiguous().numpy())
                self._around.append((matrix, bias))
            else:
                self._patches.append(((weight.shape[2], weight.shape[3]), matrix / 255 if i == 0 else matrix, bias))
            features = torch.conv2d(features, weight, bias, stride, padding)
            if i == 0 and encoder.offset is not None:
                features = features + encoder.offset
                self._offset = self._by_cell(encoder.offset[0])
            features = features.relu()
        self._head = (encoder.head.weight.t().contiguous(), encoder.head.bias)
        side = self.grid + 2  # with a margin of one cell, where padding is
        self._near = np.array([side * row + column for row in (-1, 0, 1) for column in (-1, 0, 1)])
        cut = background.reshape(self.grid, self.patch[0], self.grid, self.patch[1], 3).transpose(0, 2, 1, 3, 4)
        self._background_cells = cut.reshape(self.grid**2, -1)
        _, weight, bias = self._patches[0]  # for the compiled form, with what `both` adds in each cell
        each = bias.expand(self.grid**2, -1) if self._offset is None else self._offset[:, 0] + bias
        self._first = (weight.numpy(), each.contiguous().numpy())

    @staticmethod
    def fits(space: Space) -> bool:
        """Whether it can stand in for ``space``, a :meth:`Space.fused` one.

        Its first layers must cut the frame into patches, as their strides are their kernels, the others be 3 x 3;
        its background must be fixed, and of whole values of a byte.
        """
        config, image = space.config, space.image
        encoder: nn.Module = space.foreground.encoder
        if not isinstance(encoder, FoldedEncoder) or image is None or image.device.type != "cpu":
            return False
        if config.z_what_from != "map" or config.color_order != "rgb" or not _is_local(config):
            return False
        return bool(np.allclose(image.permute(1, 2, 0).numpy() * 255, _pixels(image), atol=1e-3))

    def begin(self, streams: int, depth: int = 3) -> Known:
        """What is known of some streams of frames before their first: the background.

        Args:
            streams: how many.
            depth: 3: frames are RGB. 1: numbers of colours.
        """
        return Known(self._first_pixels[depth], self._still, len(self._head[1]), streams)

    def encode(self, pixels: np.ndarray, threshold: float = 0.5) -> Found | None:
        """The objects of frames that have nothing to do with each other.

        Args:
            pixels: (B, H, W, 3) uint8 RGB of ``frame_size``.
            threshold: z_pres over this is an object.

        Returns:
            None where so much differs from the background that the whole encoder would be faster.
        """
        parts = []
        for start in range(0, max(len(pixels), 1), AT_ONCE):
            part = pixels[start : start + AT_ONCE]
            found = self.follow(part, range(len(part)), self.begin(len(part)), threshold)
            if found is None:
                return None
            parts.append(found._replace(frame=found.frame + start))
        return parts[0] if len(parts) == 1 else Found(*map(np.concatenate, zip(*parts, strict=True)))

    @torch.inference_mode()
    def follow(
        self,
        pixels: np.ndarray,
        streams: Sequence[int],
        known: Known,
        threshold: float = 0.5,
        colors: np.ndarray | None = None,
    ) -> Found | None:
        """The objects of the next frames of some streams.

        Args:
            pixels: (B, H, W, 3) uint8 RGB of ``frame_size``; or (B, H, W) uint8, numbers of ``colors``.
            streams: of which each is the next, B different ones.
            known: as :meth:`begin` made it; brought up to date.
            threshold: z_pres over this is an object.
            colors: (256, 3) uint8 RGB.

        Returns:
            None where so much changed that the whole encoder would be faster; ``known`` is then as it was.
        """
        shape = self.size if colors is not None else (*self.size, 3)
        if pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"expected uint8 frames (B, {wanted}), got {pixels.dtype} {pixels.shape}.")
        rows, of = self._rows(np.ascontiguousarray(pixels)), np.array(streams, np.int64)
        cells = self._changed(rows, of, known, 3 if colors is None else 1)
        much = len(cells) > LIMIT * len(pixels) * self.grid**2
        if much and known.refused < PATIENCE and (colors is None or known.begun[of].all()):
            known.refused += 1
            return None
        known.refused = 0
        known.begun[of] = True
        if len(cells):
            self._update(rows, cells, of, known, colors)
        return self._present(of, known, threshold)

    def _update(
        self, rows: np.ndarray, cells: np.ndarray, of: np.ndarray, known: Known, colors: np.ndarray | None
    ) -> None:
        """Compute anew what changes with the pixels of some cells, (M, 3)."""
        cell = cells[:, 1] * self.grid + cells[:, 2]
        cut = self._take_over(rows, cells, of, known)
        if colors is not None:
            cut = colors.take(cut, axis=0).reshape(len(cut), -1)
        here = ((of[cells[:, 0]] * (self.grid + 2) + cells[:, 1] + 1) * (self.grid + 2)) + cells[:, 2] + 1
        known.differs[here] = (cut != self._background_cells[cell]).any(axis=1)
        features = self._of_patches(cut, cell)
        for i, (weight, bias) in enumerate(self._around, 1):
            known.features[i - 1][here] = features
            here = self._widened(here, known.differs, last=i == len(self._around))
            features = self._of_neighbours(known.features[i - 1], here, weight, bias)
        weight, bias = self._head
        known.raw[here] = torch.addmm(bias, torch.from_numpy(features), weight).numpy()

    # What follows calls the inner steps, in arrays or compiled.

    def _changed(self, rows: np.ndarray, of: np.ndarray, known: Known, depth: int) -> np.ndarray:
        """(M, 3): frame, row and column of the cells that are not as in the last frame."""
        if loops is not None:
            word = self._longest[depth]
            words = rows.view(word), known.pixels.view(word)
            return cast(np.ndarray, loops.changed_cells(rows, known.pixels, *words, of, self.grid))
        return sparse_arrays.changed_cells(rows, known.pixels, of, self._word[depth], self.grid)

    def _take_over(self, rows: np.ndarray, cells: np.ndarray, of: np.ndarray, known: Known) -> np.ndarray:
        """Remember the pixels of some cells; returns them, (M, patch height * bytes of a patch's row) uint8."""
        take_over = sparse_arrays.take_over if loops is None else loops.take_over
        return cast(np.ndarray, take_over(rows, known.pixels, of, cells, self.grid))

    def _of_patches(self, cut: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(M, K) pixels of some cells, and which these are -> (M, C), what the layers that see a cell alone say."""
        if loops is not None and len(self._patches) == 1 and len(cut) <= FEW:
            return cast(np.ndarray, loops.of_patches(cut, cell, *self._first))
        return sparse_arrays.of_patches(cut, cell, self.patch, self._patches, self._offset)

    def _of_neighbours(self, features: np.ndarray, here: np.ndarray, weight: Tensor, bias: Tensor) -> np.ndarray:
        """(S * P * P, C) and (M,) places -> (M, C'), what a layer of 3 x 3 makes of them there."""
        if loops is not None and len(here) <= FEW:  # of more, a matrix product is faster all the same
            return cast(np.ndarray, loops.around(features, here, self._near, weight.numpy(), bias.numpy()))
        return sparse_arrays.around(features, here, self._near, weight, bias)

    def _widened(self, here: np.ndarray, differs: np.ndarray, last: bool) -> np.ndarray:
        """Places and their neighbours, without margins; the ``last`` time, those that differ from the background."""
        widened = sparse_arrays.widened if loops is None else loops.widened
        return cast(np.ndarray, widened(here, self._near, differs, self.grid, last))

    def _present(self, of: np.ndarray, known: Known, threshold: float) -> Found:
        """The objects of some streams: what Foreground.find makes of what the head said."""
        limit = np.float32(raw_presence(threshold))
        present = sparse_arrays.present if loops is None else loops.present
        return Found(*present(known.raw, known.differs, of, self.grid, limit, PRES_SCALE))

    def _rows(self, pixels: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) or (B, H, W) uint8 -> (B, G, patch height, bytes of a row)."""
        (height, width), depth = self.size, 3 if pixels.ndim == 4 else 1
        return pixels.reshape(len(pixels), self.grid, height // self.grid, width * depth)

    def _by_cell(self, offset: Tensor) -> Tensor:
        """(C, h, w) -> (cells, places of a cell, C)."""
        channels, high, wide = offset.shape
        inner = (high // self.grid, wide // self.grid)
        split = offset.reshape(channels, self.grid, inner[0], self.grid, inner[1]).permute(1, 3, 2, 4, 0)
        return split.reshape(self.grid**2, inner[0] * inner[1], channels).contiguous()


def _pixels(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def _is_local(config: ModelConfig) -> bool:
    """Whether patches come first, as many as the grid has cells, and then layers that look at a cell's neighbours."""
    (height, width), seen_around = config.frame_size, False
    for _, kernel, stride, padding, _ in config.encoder.layers:
        (high, wide), (down, across) = both_sides(kernel), both_sides(stride)
        if (high, wide, down, across, padding) == (3, 3, 1, 1, 1) and (height, width) == (config.grid, config.grid):
            seen_around = True
        elif (high, wide) != (down, across) or padding or seen_around or height % high or width % wide:
            return False
        height, width = height // down, width // across
    return (height, width) == (config.grid, config.grid)
