"""An image encoder that computes only the cells that changed.

Most of a game's screen looks like the fixed background, and most of the rest like the frame before. In these cells the
features of every layer are known already. So each layer is computed only in cells whose own or neighbouring pixels
changed since the last frame of the same game. The head is computed only in cells that are open: an object has its
centre in a cell that differs from the background, or beside one (``model.centers``), or where the background itself
shows an object, one that was parked there in most frames. In these cells the result is that of the whole encoder, up to
rounding: sums are added up in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from spacetime_env.compiled import INSTALLED
from spacetime_env.config import ModelConfig
from spacetime_env.space import sparse_arrays
from spacetime_env.space.encoders import FoldedEncoder
from spacetime_env.space.foreground import raw_presence
from spacetime_env.space.latents import HEAD, PRES_SCALE
from spacetime_env.space.layers import both_sides
from spacetime_env.space.network import Space
from spacetime_env.space.sparse_state import Found, ObjectArrays, SparseState

loops: Any = None
if INSTALLED:
    from spacetime_env.space import sparse_compiled

    loops = sparse_compiled

MAX_CHANGED = 0.6  # if a larger fraction of a frame's cells changed, the whole encoder is faster
MAX_LEFT = 16  # after so many frames in a row that were left to the whole encoder, the state is updated all the same
HOME = 0.05  # z_pres from which on a cell of the background is always open
FEW_CELLS = 24  # up to so many cells the compiled loops are faster than torch's matrix product
FRAMES_AT_ONCE = 4  # with more frames, the gathered features no longer fit into the processor's cache


class SparseEncoder:
    """Finds the objects that :meth:`Space.encode` finds, in the time that the changed cells take.

    Args:
        space: a :meth:`Space.fused` network that :meth:`fits`.
        beside: an object can have its centre beside a cell that differs, see ``model.centers``.
    """

    def __init__(self, space: Space, beside: bool = True) -> None:
        encoder: nn.Module = space.foreground.encoder
        image = space.image
        assert isinstance(encoder, FoldedEncoder) and image is not None
        self.size = space.config.frame_size
        self.grid = space.config.grid
        self._beside = beside
        self.patch = (self.size[0] // self.grid, self.size[1] // self.grid)
        background = as_bytes(image)
        # Pixels are compared in the largest words that divide a row of a patch (or of the frame). By bytes a pixel.
        self._patch_word = {depth: np.dtype(f"u{math.gcd(8, self.patch[1] * depth)}") for depth in (1, 3)}
        self._frame_word = {depth: np.dtype(f"u{math.gcd(8, self.size[1] * depth)}") for depth in (1, 3)}
        self._first_pixels = {
            1: self._rows(np.full((1, *self.size), 255, np.uint8))[0],
            3: self._rows(background[None])[0],
        }
        self._patch_layers: list[tuple[tuple[int, int], Tensor, Tensor]] = []  # h, w; weight (h * w * C, C'); bias
        self._neighbour_layers: list[tuple[Tensor, Tensor]] = []  # weight (9 * C, C'), bias
        self._background_features: list[np.ndarray] = []  # (P, P, C): the input of each neighbour layer
        self._offset: Tensor | None = None  # (cells, pixels of a cell, C), added after the first layer
        features = image[None]
        for i, layer in enumerate(encoder.layers):
            weight, bias, stride, padding = layer.weight, layer.bias, layer.stride, layer.padding
            matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight)).contiguous()
            if padding[0]:
                padded = nn.functional.pad(features[0], (1, 1, 1, 1))
                self._background_features.append(padded.permute(1, 2, 0).contiguous().numpy())
                self._neighbour_layers.append((matrix, bias))
            else:
                matrix = matrix / 255 if i == 0 else matrix  # the first layer is given bytes
                self._patch_layers.append(((weight.shape[2], weight.shape[3]), matrix, bias))
            features = torch.conv2d(features, weight, bias, stride, padding)
            if i == 0 and encoder.offset is not None:
                features = features + encoder.offset
                self._offset = self._by_cell(encoder.offset[0])
            features = features.relu()
        self._head = (encoder.head.weight.t().contiguous(), encoder.head.bias)
        side = self.grid + 2
        raw = features[0].permute(1, 2, 0) @ self._head[0] + self._head[1]
        padded = nn.functional.pad(raw, (0, 0, 1, 1, 1, 1))
        self._background_raw = padded.reshape(side * side, -1).contiguous().numpy()  # of the head
        inside = nn.functional.pad(torch.ones(self.grid, self.grid, dtype=torch.bool), (1, 1, 1, 1)).flatten().numpy()
        self._home = inside & (self._background_raw[:, HEAD.pres.start] > raw_presence(HOME))
        self._neighbours = np.array([side * row + column for row in (-1, 0, 1) for column in (-1, 0, 1)])
        cut = background.reshape(self.grid, self.patch[0], self.grid, self.patch[1], 3).transpose(0, 2, 1, 3, 4)
        self._background_cells = cut.reshape(self.grid**2, -1)
        # The compiled first layer takes the bias of each cell: the layer's, and the offset if there is one.
        _, weight, bias = self._patch_layers[0]
        biases = bias.expand(self.grid**2, -1) if self._offset is None else self._offset[:, 0] + bias
        self._first_layer = (weight.numpy(), biases.contiguous().numpy())

    @staticmethod
    def fits(space: Space) -> bool:
        """Whether a network, made by :meth:`Space.fused`, is of the kind that this class can compute.

        Its first layers cut the frame into patches (their strides equal their kernels), and the others are 3 x 3. Its
        background is fixed, and of values that a byte holds. z_what comes from the map.
        """
        config, image = space.config, space.image
        encoder: nn.Module = space.foreground.encoder
        if not isinstance(encoder, FoldedEncoder) or image is None or image.device.type != "cpu":
            return False
        if config.z_what_from != "map" or config.color_order != "rgb" or not _is_local(config):
            return False
        return bool(np.allclose(image.permute(1, 2, 0).numpy() * 255, as_bytes(image), atol=1e-3))

    def begin(self, streams: int, depth: int = 3) -> SparseState:
        """The state of some streams of frames before their first frame.

        Args:
            streams: how many.
            depth: bytes a pixel. 3: frames are RGB. 1: frames are palette numbers.
        """
        first = self._first_pixels[depth]
        return SparseState(first, self._background_features, self._background_raw, self._home, streams)

    def encode(self, pixels: np.ndarray, threshold: float = 0.5) -> Found:
        """The objects of frames that do not follow each other. Cells that look like the background are not computed.

        Args:
            pixels: (B, H, W, 3) uint8 RGB of ``frame_size``.
            threshold: a cell with z_pres over this holds an object.

        Raises:
            ValueError: frames of another shape or type.
        """
        parts, left = [], []
        for start in range(0, max(len(pixels), 1), FRAMES_AT_ONCE):
            part = pixels[start : start + FRAMES_AT_ONCE]
            objects, others = self.follow(part, range(len(part)), self.begin(len(part)), threshold)
            parts.append(objects._replace(frame=objects.frame + start))
            left.append(others + start)
        return Found(ObjectArrays(*map(np.concatenate, zip(*parts, strict=True))), np.concatenate(left))

    def follow(
        self,
        pixels: np.ndarray,
        streams: Sequence[int],
        state: SparseState,
        threshold: float = 0.5,
        colors: np.ndarray | None = None,
    ) -> Found:
        """The objects of the next frames of some streams. Cells that did not change keep their features.

        Args:
            pixels: (B, H, W, 3) uint8 RGB of ``frame_size``; or (B, H, W) uint8 palette numbers, with ``colors``.
            streams: the stream that each frame belongs to: B different numbers from 0.
            state: of the streams, see :meth:`begin`; it is updated, but for the frames that are left.
            threshold: a cell with z_pres over this holds an object.
            colors: (256, 3) uint8 RGB, the palette.

        No weight of a fused network asks for gradients, so this needs no ``inference_mode``, which takes time.

        Raises:
            ValueError: frames of another shape or type.
        """
        shape = self.size if colors is not None else (*self.size, 3)
        if pixels.shape[1:] != shape or pixels.dtype != np.uint8:
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"expected uint8 frames (B, {wanted}), got {pixels.dtype} {pixels.shape}.")
        rows, stream = self._rows(np.ascontiguousarray(pixels)), np.array(streams, np.int64)
        cells = self._changed(rows, stream, state, 3 if colors is None else 1)
        left = self._left(cells, stream, state, colors is not None)
        if not len(left):
            if len(cells):
                self._update(rows, cells, stream, state, colors)
            return Found(self._present(stream, state, threshold), left)
        cells = cells[~np.isin(cells[:, 0], left)]
        if len(cells):
            self._update(rows, cells, stream, state, colors)
        kept = np.delete(np.arange(len(stream)), left)
        objects = self._present(stream[kept], state, threshold)
        return Found(objects._replace(frame=kept[objects.frame]), left)

    def _left(self, cells: np.ndarray, stream: np.ndarray, state: SparseState, by_number: bool) -> np.ndarray:
        """(k,): the frames that are left to the whole encoder. ``cells``: (M, 3) changed ones: frame, row, column."""
        most = MAX_CHANGED * self.grid**2
        if len(cells) <= most:  # the usual case
            state.left[stream], state.begun[stream] = 0, True
            return stream[:0]
        left = np.bincount(cells[:, 0], minlength=len(stream)) > most
        left &= state.left[stream] < MAX_LEFT
        if by_number:  # before its first frame a stream of numbers has no background to compare with
            left &= state.begun[stream]
        state.left[stream] = np.where(left, state.left[stream] + 1, 0)
        state.begun[stream[~left]] = True
        return left.nonzero()[0]

    def _update(
        self, rows: np.ndarray, cells: np.ndarray, stream: np.ndarray, state: SparseState, colors: np.ndarray | None
    ) -> None:
        """Compute again what depends on the pixels of some cells, (M, 3): frame, row, column."""
        cell = cells[:, 1] * self.grid + cells[:, 2]
        cut = self._take_over(rows, cells, stream, state)
        if colors is not None:
            cut = colors.take(cut, axis=0).reshape(len(cut), -1)
        side = self.grid + 2
        places = (stream[cells[:, 0]] * side + cells[:, 1] + 1) * side + cells[:, 2] + 1  # in (S * P * P)
        state.differs[places] = (cut != self._background_cells[cell]).any(axis=1)
        open_cells = sparse_arrays.open_cells if loops is None else loops.open_cells
        open_cells(places, self._neighbours, state.differs, self._home, state.open, self.grid, self._beside)
        features = self._patch_features(cut, cell)
        for i, (weight, bias) in enumerate(self._neighbour_layers, 1):
            state.features[i - 1][places] = features
            places = self._widened(places, state.open, last=i == len(self._neighbour_layers))
            features = self._neighbour_features(state.features[i - 1], places, weight, bias)
        weight, bias = self._head
        state.raw[places] = torch.addmm(bias, torch.from_numpy(features), weight).numpy()

    # The methods below call the inner steps: the compiled ones with numba, otherwise those in arrays.

    def _changed(self, rows: np.ndarray, stream: np.ndarray, state: SparseState, depth: int) -> np.ndarray:
        """(M, 3): frame, row and column of the cells that are not as in the last frame."""
        word = self._frame_word[depth]
        if loops is None:
            both = word, self._patch_word[depth]
            return sparse_arrays.changed_cells(rows, state.pixels, stream, both, self.grid)
        words = rows.view(word), state.pixels.view(word)
        return cast(np.ndarray, loops.changed_cells(rows, state.pixels, *words, stream, self.grid))

    def _take_over(self, rows: np.ndarray, cells: np.ndarray, stream: np.ndarray, state: SparseState) -> np.ndarray:
        """Copy the pixels of some cells into the state; returns them, (M, patch height * bytes of a patch's row)."""
        take_over = sparse_arrays.take_over if loops is None else loops.take_over
        return cast(np.ndarray, take_over(rows, state.pixels, stream, cells, self.grid))

    def _patch_features(self, cut: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(M, K) uint8 pixels of some cells, and the (M,) cells -> (M, C) features of the patch layers."""
        if loops is not None and len(self._patch_layers) == 1 and len(cut) <= FEW_CELLS:
            return cast(np.ndarray, loops.patch_features(cut, cell, *self._first_layer))
        return sparse_arrays.patch_features(cut, cell, self.patch, self._patch_layers, self._offset)

    def _neighbour_features(self, features: np.ndarray, places: np.ndarray, weight: Tensor, bias: Tensor) -> np.ndarray:
        """(S * P * P, C) and (M,) places -> (M, C'), the features of a layer of 3 x 3 there."""
        if loops is not None and len(places) <= FEW_CELLS:
            return cast(
                np.ndarray, loops.neighbour_features(features, places, self._neighbours, weight.numpy(), bias.numpy())
            )
        return sparse_arrays.neighbour_features(features, places, self._neighbours, weight, bias)

    def _widened(self, places: np.ndarray, opened: np.ndarray, last: bool) -> np.ndarray:
        """The places and their neighbours; with ``last`` only those that are open."""
        widened = sparse_arrays.widened if loops is None else loops.widened
        return cast(np.ndarray, widened(places, self._neighbours, opened, self.grid, last))

    def _present(self, stream: np.ndarray, state: SparseState, threshold: float) -> ObjectArrays:
        """The objects of some streams, as :meth:`Foreground.find` makes them of the head's output."""
        limit = np.float32(raw_presence(threshold))
        present = sparse_arrays.present if loops is None else loops.present
        return ObjectArrays(*present(state.raw, state.open, stream, self.grid, limit, PRES_SCALE))

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


def as_bytes(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.rint(image.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)


def _is_local(config: ModelConfig) -> bool:
    """Whether the first layers cut the frame into as many patches as the grid has cells, and all others are 3 x 3."""
    (height, width), neighbours = config.frame_size, False
    for _, kernel, stride, padding, _ in config.encoder.layers:
        (high, wide), (down, across) = both_sides(kernel), both_sides(stride)
        if (high, wide, down, across, padding) == (3, 3, 1, 1, 1) and (height, width) == (config.grid, config.grid):
            neighbours = True
        elif (high, wide) != (down, across) or padding or neighbours or height % high or width % wide:
            return False
        height, width = height // down, width // across
    return (height, width) == (config.grid, config.grid)
