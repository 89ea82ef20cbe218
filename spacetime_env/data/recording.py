"""The recorded part of a split: frames, background and labels."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.config import MotionConfig
from spacetime_env.data.labels import visible
from spacetime_env.data.meta import DatasetError, SplitMeta, save
from spacetime_env.data.motion import ColorCounts
from spacetime_env.data.shards import FrameBoxes, Shard, read_shard
from spacetime_env.files import FileError, read_bytes
from spacetime_env.frames import resize, shown_rows


class Recording:
    """A complete split on disk, of ``len(recording)`` stacks. Frame t of a stack is f = stack * T + t.

    Args:
        path: the folder.
        meta: the content of its ``meta.yaml``.
        index: file name -> SHA-256 of each shard.
        motion: ``motion.background`` is the kind of :attr:`background`.
        subframes: see :meth:`frames`.
    """

    def __init__(
        self, path: Path, meta: SplitMeta, index: dict[str, str], motion: MotionConfig, subframes: int = 1
    ) -> None:
        self.path, self.meta, self.motion_config, self.subframes = path, meta, motion, subframes
        self._index = index

    def __len__(self) -> int:
        return self.meta.size

    @property
    def native(self) -> tuple[int, int]:
        """H, W of the frames."""
        return self.meta.native

    def shard(self, number: int) -> Shard:
        """Read one file, and compare it with the index.

        Raises:
            DatasetError: it is missing, damaged or changed.
        """
        return read_shard(self.path, self.meta, number, self._index[self.meta.shard_name(number)])

    def shards(self) -> Iterator[Shard]:
        """Read all files, one after the other."""
        return (self.shard(i) for i in range(self.meta.shards))

    def frames(self, stacks: Sequence[int] | None = None) -> np.ndarray:
        """Native frames of some stacks: (n, T, H, W, 3) uint8 RGB.

        With ``subframes`` 2, each pixel and channel has the brighter value of the emulator's last two frames.

        Args:
            stacks: numbers of n stacks, in any order; None: all.

        Raises:
            IndexError: no such stack.
        """
        wanted = np.arange(len(self)) if stacks is None else np.asarray(stacks, int)
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"{self.path} has stacks 0 to {len(self) - 1}; asked for {wanted.tolist()}.")
        out = np.empty((len(wanted), self.meta.length, *self.native, 3), np.uint8)
        for number in np.unique(wanted // self.meta.shard_size):
            here = np.flatnonzero(wanted // self.meta.shard_size == number)
            out[here] = self._pictures(self.shard(int(number)))[wanted[here] % self.meta.shard_size]
        return out

    def _pictures(self, shard: Shard) -> np.ndarray:
        return shard.pooled() if self.subframes > 1 else shard.frames()

    def small(self, size: tuple[int, int], rows: tuple[int, int] = (0, 0)) -> np.ndarray:
        """All frames in another size: (stacks, T, H, W, 3) uint8 RGB.

        Args:
            size: H, W.
            rows: the native rows to keep, see :func:`spacetime_env.frames.shown_rows`.
        """
        top, bottom = shown_rows(rows, self.native)
        out = np.empty((len(self) * self.meta.length, *size, 3), np.uint8)
        at = 0
        for shard in self.shards():
            for frames in self._pictures(shard):
                out[at : at + len(frames)] = resize(frames[:, top:bottom], size)
                at += len(frames)
        return out.reshape(len(self), self.meta.length, *size, 3)

    @functools.cached_property
    def background(self) -> np.ndarray:
        """Mode or median image (``motion.background``) of all frames: (H, W, 3) uint8 RGB."""
        path = self._background_path()
        found = self._kept_background(path)
        if found is not None:
            return found
        counts, palette = self._colors
        image = counts.image(palette, self.motion_config.background)
        self._save(path, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
        return image

    def _kept_background(self, path: Path) -> np.ndarray | None:
        """The picture in a file, (H, W, 3) uint8 RGB; None where it is missing, damaged or of another size."""
        height, width = self.native
        try:
            data = read_bytes(path, 4 * height * width + 10_000)
            # The header of a PNG: OpenCV would allocate whatever size it says.
            if data[:8] != b"\x89PNG\r\n\x1a\n" or struct.unpack(">II", data[16:24]) != (width, height):
                return None
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except (FileNotFoundError, FileError, struct.error, cv2.error):
            return None
        return None if found is None else np.ascontiguousarray(found[..., ::-1])

    @functools.cached_property
    def labels(self) -> FrameBoxes:
        """Ground-truth boxes and names of the objects that are visible in each frame.

        Raises:
            DatasetError: the split was recorded without labels.
        """
        return self.all_labels.select(self._visible())

    @functools.cached_property
    def all_labels(self) -> FrameBoxes:
        """Ground-truth boxes and names of all objects in the RAM, visible or not. Raises as :attr:`labels` does."""
        if not self.meta.labels:
            raise DatasetError(
                f"{self.path} was recorded without ground truth. Record it into another folder with --labels."
            )
        return FrameBoxes.join([shard.labels for shard in self.shards() if shard.labels is not None])

    def _visible(self) -> np.ndarray:
        """(n,) bool: whether each box of ``all_labels`` holds something, in one of the emulator's frames."""
        found = []
        for shard in self.shards():
            if shard.labels is not None:
                frames = shard.frames().reshape(-1, *self.native, 3)
                seen = [visible(frame, self.background, shard.labels[f]) for f, frame in enumerate(frames)]
                if shard.before is not None:
                    earlier = np.take(shard.palette, shard.before, axis=0).reshape(frames.shape)
                    pairs = zip(seen, earlier, strict=True)
                    seen = [s | visible(e, self.background, shard.labels[f]) for f, (s, e) in enumerate(pairs)]
                found += seen
        return np.concatenate(found)

    @functools.cached_property
    def _colors(self) -> tuple[ColorCounts, np.ndarray]:
        """How often each colour is at each pixel, over all frames, and the palette (256, 3) uint8 RGB."""
        counts = ColorCounts(self.native)
        palette = np.zeros((256, 3), np.uint8)
        for shard in self.shards():
            counts.add(shard.ids.reshape(-1, *self.native))
            palette = np.maximum(palette, shard.palette)  # unknown colours are 0
        return counts, palette

    def _background_path(self) -> Path:
        return self.path / f"background-{self.motion_config.background}.png"

    def _save(self, path: Path, data: bytes) -> None:
        """Save something that can be computed again.

        It is not saved if the folder is read-only (installed), or if there is a folder of that name.
        """
        try:
            save(path, data)
        except DatasetError:
            if os.access(self.path, os.W_OK) and not path.is_dir():
                raise
