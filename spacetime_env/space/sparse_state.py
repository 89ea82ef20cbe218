"""What :mod:`spacetime_env.space.sparse` remembers of frames, and what it finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ObjectArrays(NamedTuple):
    """The present cells of a batch of frames, frame by frame: numpy's :class:`~spacetime_env.space.latents.Objects`."""

    frame: np.ndarray  # (M,) int64
    z_pres: np.ndarray  # (M,) float32, in (0, 1)
    z_where: np.ndarray  # (M, 4) float32
    z_what: np.ndarray  # (M, D) float32


class Found(NamedTuple):
    """What a :class:`SparseEncoder` makes of a batch of frames.

    It decides for each frame by itself, so what is found in one does not depend on the others.
    """

    objects: ObjectArrays  # of all other frames
    left: np.ndarray  # (k,) int64, the frames in which so much changed that the whole encoder is faster


class SparseState:
    """What a :class:`SparseEncoder` remembers of S streams of frames: the last frame of each, and its features.

    Features are kept on a grid with a margin of one cell, P x P with P = G + 2, so that every cell has eight
    neighbours.

    Before the first frame of a stream of RGB frames, its last frame is the background. Of a stream of palette numbers
    it has numbers that no pixel has, so that every cell of the first frame counts as changed.
    """

    def __init__(
        self, pixels: np.ndarray, features: Sequence[np.ndarray], raw: np.ndarray, open_: np.ndarray, streams: int
    ) -> None:
        side = len(pixels) + 2
        self.pixels = np.repeat(pixels[None], streams, axis=0)  # (S, G, patch height, bytes of a row) uint8
        self.begun = np.zeros(streams, bool)  # whether a stream had a frame
        # (S * P * P, C) each: the input of each layer of 3 x 3, 0 in the margin
        self.features = [np.tile(one.reshape(side * side, -1), (streams, 1)) for one in features]
        self.differs = np.zeros(streams * side * side, bool)  # from the background
        # Where an object can have its centre: cells that differ or touch one that does, and those in which the
        # background itself shows an object.
        self.open = np.tile(open_, streams)
        self.raw = np.tile(raw, (streams, 1))  # (S * P * P, 11 + D) of the head; valid in cells that are open
        self.left = np.zeros(streams, np.int64)  # how many frames in a row were left to the whole encoder
