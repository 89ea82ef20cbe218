"""The image encoder on those cells alone that differ from the fixed background: what is still costs nothing.

Most of a game's screen looks as it always does. There the features of the first layers are constants, and no object
has its centre there: one is in a cell of which some pixel differs. So the first layers are computed in such cells,
those that look at neighbours in these cells and, but for the last one, around them, and the result is that of the
whole encoder in these cells, up to the rounding of another order of sums.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spacetime_env.config import ModelConfig
from spacetime_env.space.foreground import FoldedEncoder, raw_presence
from spacetime_env.space.latents import PRES_SCALE
from spacetime_env.space.model import Space

LIMIT = 0.6  # with more of the cells than this, the whole grid at once is faster: fewer pieces to gather
AT_ONCE = 8  # frames: more, and what is gathered leaves the processor's cache


class Found(NamedTuple):
    """The present cells of a batch of frames, frame by frame: as :class:`~spacetime_env.space.latents.Objects`."""

    frame: np.ndarray  # (M,) int64
    z_pres: np.ndarray  # (M,) float32, in (0, 1)
    z_where: np.ndarray  # (M, 4) float32
    z_what: np.ndarray  # (M, D) float32


class SparseEncoder:
    """:meth:`Space.encode` of pixels, at the cost of what differs from the background.

    Args:
        space: as :meth:`Space.fused` makes it, of a kind that :meth:`fits`.
    """

    def __init__(self, space: Space) -> None:
        encoder: nn.Module = space.foreground.encoder
        image = space.image
        assert isinstance(encoder, FoldedEncoder) and image is not None
        self.space = space
        self.grid = space.config.grid
        height, width = space.config.frame_size
        self.patch = (height // self.grid, width // self.grid)
        background = _pixels(image)
        # Compared in the largest words that a patch's rows are made of.
        self._word = np.dtype(f"u{math.gcd(8, self.patch[1] * 3)}")
        self._background = background.reshape(self.grid, self.patch[0], -1).view(self._word)
        self._patches: list[tuple[int, Tensor, Tensor]] = []  # kernel, weight (k * k * C, C'), bias
        self._around: list[tuple[Tensor, Tensor, np.ndarray]] = []  # weight (9 * C, C'), bias, what comes in: (P, P, C)
        self._offset: Tensor | None = None
        features = image[None]
        for i, layer in enumerate(encoder.layers):
            weight, bias, stride, padding = layer.weight, layer.bias, layer.stride, layer.padding
            matrix = weight.permute(2, 3, 1, 0).reshape(-1, len(weight)).contiguous()
            if padding[0]:
                margin = torch.nn.functional.pad(features[0], (1, 1, 1, 1)).permute(1, 2, 0)
                self._around.append((matrix, bias, margin.contiguous().numpy()))
            else:
                scale = 1 / 255 if i == 0 else 1.0
                self._patches.append((weight.shape[2], matrix * scale, bias))
            features = torch.conv2d(features, weight, bias, stride, padding)
            if i == 0 and encoder.offset is not None:
                features = features + encoder.offset
                self._offset = self._by_cell(encoder.offset[0])
            features = features.relu()
        self._head = (encoder.head.weight.t().contiguous(), encoder.head.bias)
        side = self.grid + 2  # with a margin of one cell, where padding is
        self._near = np.array([side * row + column for row in (-1, 0, 1) for column in (-1, 0, 1)])

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

    @torch.inference_mode()
    def encode(self, pixels: np.ndarray, threshold: float = 0.5) -> Found | None:
        """The objects of each frame; None where so much differs that the whole encoder would be faster.

        Args:
            pixels: (B, H, W, 3) uint8 RGB of ``frame_size``.
            threshold: z_pres over this is an object.
        """
        if pixels.shape[1:] != (*self.space.config.frame_size, 3) or pixels.dtype != np.uint8:
            height, width = self.space.config.frame_size
            raise ValueError(f"expected uint8 frames (B, {height}, {width}, 3), got {pixels.dtype} {pixels.shape}.")
        pixels = np.ascontiguousarray(pixels)
        frame, row, column = self._differing(pixels)
        if len(frame) > LIMIT * len(pixels) * self.grid**2:
            return None
        ends = np.searchsorted(frame, np.arange(0, len(pixels) + AT_ONCE, AT_ONCE)).tolist()
        parts = [
            self._raw(pixels[i * AT_ONCE : (i + 1) * AT_ONCE], frame[a:b] - i * AT_ONCE, row[a:b], column[a:b])
            for i, (a, b) in enumerate(pairwise(ends))
            if a < b
        ]
        raw = np.concatenate(parts) if parts else np.zeros((0, len(self._head[1])), np.float32)
        # What Foreground.find does; in torch these few numbers would take as long as all of the above.
        there = (raw[:, 8] > raw_presence(threshold)).nonzero()[0]
        raw, at = raw[there], np.stack([column[there], row[there]], axis=1)
        center = (at + np.float32(0.5) + np.tanh(raw[:, 4:6])) * np.float32(2 / self.grid) - 1
        z_where = np.concatenate([_sigmoid(raw[:, :2]), center.astype(np.float32)], axis=1)
        return Found(frame[there], _sigmoid(PRES_SCALE * np.tanh(raw[:, 8])), z_where, raw[:, 11:])

    def _differing(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frame, row and column, (M,) each, of the cells that differ from the background."""
        across = pixels.shape[2] * 3
        words = pixels.reshape(len(pixels), self.grid, self.patch[0], across).view(self._word)
        differs = np.bitwise_or.reduce(words ^ self._background, axis=2)
        cells = differs.reshape(len(pixels), self.grid, self.grid, words.shape[3] // self.grid).any(axis=3)
        frame, row, column = cells.nonzero()
        return frame, row, column

    def _raw(self, pixels: np.ndarray, frame: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """What the encoder's head says of the cells, (M, 11 + D)."""
        grid, (high, wide) = self.grid, self.patch
        cut = pixels.reshape(len(pixels), grid, high, grid, wide, 3)[frame, row, :, column]
        features = torch.from_numpy(cut.astype(np.float32))  # (M, h, w, 3)
        for i, (kernel, weight, bias) in enumerate(self._patches):
            _, high, wide, channels = features.shape
            high, wide = high // kernel, wide // kernel
            if high * wide > 1:
                features = features.reshape(-1, high, kernel, wide, kernel, channels).transpose(2, 3)
            features = torch.addmm(bias, features.reshape(-1, len(weight)), weight)
            if i == 0 and self._offset is not None:
                features += self._offset[torch.from_numpy(row * grid + column)].flatten(0, 1)
            features = features.relu_().reshape(-1, high, wide, weight.shape[1])
        features = features.flatten(1)
        side = grid + 2
        here = (frame * side + row + 1) * side + column + 1
        rings = self._rings(here, len(pixels))
        for i, (weight, bias, still) in enumerate(self._around, 1):
            known = np.empty((len(pixels), *still.shape), np.float32)
            known[:] = still
            known = known.reshape(-1, still.shape[2])
            known[rings[min(i - 1, len(self._around) - i + 1)]] = features.numpy()
            wanted = rings[min(i, len(self._around) - i)]
            gathered = known.take(wanted[:, None] + self._near, axis=0).reshape(len(wanted), -1)
            features = torch.addmm(bias, torch.from_numpy(gathered), weight).relu_()
        return torch.addmm(self._head[1], features, self._head[0]).numpy()

    def _rings(self, here: np.ndarray, frames: int) -> list[np.ndarray]:
        """The cells ``here``, those and their neighbours, and so on as far as is needed: flat places with margins."""
        rings, side = [here], self.grid + 2
        for _ in range(len(self._around) // 2):
            marked = np.zeros(frames * side * side, bool)
            marked[rings[-1][:, None] + self._near] = True
            square = marked.reshape(frames, side, side)
            square[:, [0, -1]] = False
            square[:, :, [0, -1]] = False
            rings.append(marked.nonzero()[0])
        return rings

    def _by_cell(self, offset: Tensor) -> Tensor:
        """(C, h, w) -> (cells, places of a cell, C)."""
        channels, high, wide = offset.shape
        inner = (high // self.grid, wide // self.grid)
        split = offset.reshape(channels, self.grid, inner[0], self.grid, inner[1]).permute(1, 3, 2, 4, 0)
        return split.reshape(self.grid**2, inner[0] * inner[1], channels).contiguous()


def _pixels(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.rint(image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _is_local(config: ModelConfig) -> bool:
    """Whether patches come first, as many as the grid has cells, and then layers that look at a cell's neighbours."""
    (height, width), seen_around = config.frame_size, False
    for _, kernel, stride, padding, _ in config.encoder.layers:
        if (kernel, stride, padding) == (3, 1, 1) and (height, width) == (config.grid, config.grid):
            seen_around = True
        elif kernel != stride or padding or seen_around or height % kernel or width % kernel:
            return False
        height, width = height // stride, width // stride
    return (height, width) == (config.grid, config.grid)
