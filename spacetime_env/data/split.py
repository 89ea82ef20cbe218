"""A recorded split, opened: frames, backgrounds, labels, and what moves. See :mod:`spacetime_env.data.dataset`."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from spacetime_env.config import MotionConfig, to_dict
from spacetime_env.data import shards as store
from spacetime_env.data.labels import visible
from spacetime_env.data.motion import LEVELS, STAGES, ColorCounts, RareMotion, View, motion_of, targets
from spacetime_env.data.shards import DatasetError, FrameBoxes, Shard, SplitMeta
from spacetime_env.frames import resize, shown_rows

LEARN = 1500  # frames, at least, that the stages of motion learn shapes and colours from, where there are so many


@dataclass(frozen=True)
class _Motion:
    boxes: FrameBoxes
    masks: np.ndarray  # (stacks, T, H * W / 8) uint8, packed bits


class Split:
    """A split on disk. Stacks count from 0 to ``len(split) - 1``; frame t of a stack is f = stack * T + t."""

    def __init__(
        self, path: Path, meta: SplitMeta, index: dict[str, str], motion: MotionConfig, subframes: int = 1
    ) -> None:
        self.path, self.meta, self.motion_config, self.subframes = path, meta, motion, subframes
        self._index = index

    def __len__(self) -> int:
        return self.meta.size

    def with_subframes(self, subframes: int) -> Split:
        """The same split as a model with other ``model.subframes`` sees it; what its motion learned is kept."""
        if subframes == self.subframes:
            return self
        other = copy.copy(self)
        other.subframes = subframes
        other.__dict__.pop("_motion", None)  # the cached property
        return other

    @property
    def native(self) -> tuple[int, int]:
        """H, W of the frames."""
        return self.meta.native

    def shard(self, number: int) -> Shard:
        """Read one file, and check it against the index."""
        return store.read_shard(self.path, self.meta, number, self._index[self.meta.shard_name(number)])

    def shards(self) -> Iterator[Shard]:
        """Read the files, one after the other."""
        return (self.shard(i) for i in range(self.meta.shards))

    def frames(self, stacks: Sequence[int] | None = None) -> np.ndarray:
        """Native frames of some stacks, in the order asked for, or of all: (n, T, H, W, 3) uint8 RGB.

        With ``subframes`` 2, each is pooled with the emulator's frame before it.
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
        """All frames at another size, as a network sees them: (stacks, T, H, W, 3) uint8 RGB.

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
        found = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.exists() else None
        if found is not None and found.shape == (*self.native, 3):
            return np.ascontiguousarray(found[..., ::-1])
        counts, palette = self._colors
        image = counts.image(palette, self.motion_config.background)
        self._keep(path, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
        return image

    def stack_background(self, stack: int) -> np.ndarray:
        """What a stack's motion is measured against, as ``motion.extent`` says: (H, W, 3) uint8 RGB."""
        number, at = divmod(range(len(self))[stack], self.meta.shard_size)
        return self._backgrounds(self.shard(number))[at]

    @property
    def motion_boxes(self) -> FrameBoxes:
        """Motion boxes of all frames, in native pixels."""
        return self._motion.boxes

    def motion_masks(
        self,
        size: tuple[int, int] | None = None,
        stacks: Sequence[int] | None = None,
        rows: tuple[int, int] = (0, 0),
    ) -> np.ndarray:
        """What part of each pixel moves, in some stacks, in the order asked for, or in all.

        Args:
            size: H, W wanted; None: native.
            stacks: which; None: all.
            rows: the native rows to keep, see :func:`spacetime_env.frames.shown_rows`.

        Returns:
            (n, T, H, W) uint8, 0 to 255; at native size only 0 and 255.
        """
        height, width = self.native
        top, bottom = shown_rows(rows, self.native)
        wanted = self._motion.masks if stacks is None else self._motion.masks[np.asarray(stacks, int)]
        packed = wanted.reshape(len(wanted) * self.meta.length, -1)
        out = np.empty((len(packed), *(size or (bottom - top, width))), np.uint8)
        for mask, bits in zip(out, packed, strict=True):
            native = np.unpackbits(bits, count=height * width).reshape(height, width)[top:bottom] * np.uint8(255)
            mask[:] = native if size is None else cv2.resize(native, size[::-1], interpolation=cv2.INTER_AREA)
        return out.reshape(len(wanted), self.meta.length, *out.shape[1:])

    def targets(self, grid: int) -> tuple[np.ndarray, np.ndarray]:
        """Motion targets: z_pres (stacks, T, G * G, 1) and z_where (stacks, T, G * G, 4), float32.

        See :func:`spacetime_env.data.motion.targets`.
        """
        found = [targets(self.motion_boxes[f], self.native, grid) for f in range(len(self.motion_boxes))]
        z_pres, z_where = (np.stack(part) for part in zip(*found, strict=True))
        lead = (len(self), self.meta.length, grid * grid)
        return z_pres.reshape(*lead, 1), z_where.reshape(*lead, 4)

    @functools.cached_property
    def labels(self) -> FrameBoxes:
        """Ground-truth boxes, with names, of what is to be seen in each frame.

        Raises:
            DatasetError: the split was recorded without labels.
        """
        return self.all_labels.select(self._visible())

    @functools.cached_property
    def all_labels(self) -> FrameBoxes:
        """Ground-truth boxes of what the RAM says exists, drawn or not. Raises as :attr:`labels` does."""
        if not self.meta.labels:
            raise DatasetError(
                f"{self.path} was recorded without ground truth. Record it into another folder with --labels."
            )
        return FrameBoxes.join([shard.labels for shard in self.shards() if shard.labels is not None])

    def flicker(self) -> float:
        """What part of the things that move is drawn in the emulator's frame before alone, and not in the frame.

        0 where the split has no frames before, or ``motion.foreground`` does not use them. 200 stacks are looked at.
        """
        if self.meta.subframes < 2 or self.motion_config.foreground != "rarity":
            return 0.0
        both, last = 0, 0
        for view in self.views(range(0, len(self), max(1, len(self) // 200))):
            both += len(self.rare_motion.of(view)[1])
            last += len(self.rare_motion.of(replace(view, before=None))[1])
        return (both - last) / max(both, 1)

    def prepare(self) -> None:
        """Make and save the background and the motion, where they are missing or of other settings."""
        _ = self._motion

    def _visible(self) -> np.ndarray:
        """Of each box in ``all_labels``, whether there is something in it, in either of the emulator's frames."""
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
    def _motion(self) -> _Motion:
        title = f"motion of {self.meta.game} {self.meta.split}-{self.meta.agent}"
        shards = tqdm(range(self.meta.shards), title, unit="file", delay=2)
        parts = [self._shard_motion(i) for i in shards]
        return _Motion(FrameBoxes.join([p.boxes for p in parts]), np.concatenate([p.masks for p in parts]))

    def _shard_motion(self, number: int) -> _Motion:
        """Read a shard's motion; make it if it is missing, damaged or of other settings or frames."""
        path = self.path / self.meta.shard_name(number, "motion")
        sha256 = self._index[self.meta.shard_name(number)]
        made_of = {
            "stages": STAGES,
            "motion": to_dict(self.motion_config),
            "subframes": self.subframes,
            "frames": sha256,
            "background": hashlib.sha256(self.background.tobytes()).hexdigest(),
        }
        settings = json.dumps(made_of, sort_keys=True)
        if path.exists():
            try:
                arrays = store.read_npz(path.read_bytes(), path, "")
                if arrays["settings"].item() == settings:
                    return _Motion(FrameBoxes.of(arrays["boxes"], arrays["counts"]), arrays["masks"])
            except (DatasetError, KeyError, ValueError):
                pass  # it is made of the frames alone, so make it again
        boxes, masks = [], []
        for mask, found in self._move(self.shard(number)):
            masks.append(np.packbits(mask))
            boxes.append(found)
        shard_stacks = self.meta.shard_stacks(number)
        packed = np.stack(masks).reshape(shard_stacks, self.meta.length, -1)
        counts = np.array([len(found) for found in boxes], np.int32)
        arrays = {"boxes": np.concatenate(boxes), "counts": counts, "masks": packed}
        self._keep(path, store.npz_bytes(arrays | {"settings": np.array(settings)}))
        return _Motion(FrameBoxes.of(arrays["boxes"], counts), packed)

    def _move(self, shard: Shard) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Mask and boxes of each frame of a shard."""
        if self.motion_config.foreground == "difference":
            for frames, background in zip(shard.frames(), self._backgrounds(shard), strict=True):
                for frame in frames:
                    yield motion_of(frame, background, self.motion_config)
            return
        for view in _views(shard, range(len(shard.ids)), range(self.meta.length), self.subframes):
            yield self.rare_motion.of(view)

    @functools.cached_property
    def rare_motion(self) -> RareMotion:
        """The stages of ``motion.foreground: rarity``, with what they learned from this split."""
        motion = RareMotion(self.motion_config, self._colors[0])
        every = max(1, len(self) // LEARN)
        for shard in self.shards():
            motion.learn(_views(shard, range(0, len(shard.ids), every), [0], 1))
        return motion

    def views(self, stacks: Sequence[int]) -> Iterator[View]:
        """What the stages of ``motion.foreground: rarity`` can see of some stacks, frame by frame."""
        for stack in stacks:
            number, at = divmod(range(len(self))[stack], self.meta.shard_size)
            yield from _views(self.shard(number), [at], range(self.meta.length), self.meta.subframes)

    def _backgrounds(self, shard: Shard) -> Sequence[np.ndarray] | np.ndarray:
        """The background of each stack of a shard."""
        if self.motion_config.extent == "trail" and shard.backgrounds is not None:
            return shard.backgrounds
        return [self.background] * len(shard.ids)

    @functools.cached_property
    def _colors(self) -> tuple[ColorCounts, np.ndarray]:
        """How often each colour is at each place, over all frames, and the palette (256, 3) uint8 RGB."""
        counts = ColorCounts(self.native)
        palette = np.zeros((256, 3), np.uint8)
        for shard in self.shards():
            counts.add(shard.ids.reshape(-1, *self.native))
            palette = np.maximum(palette, shard.palette)  # unknown colours are 0
        return counts, palette

    def _background_path(self) -> Path:
        return self.path / f"background-{self.motion_config.background}.png"

    def _keep(self, path: Path, data: bytes) -> None:
        """Save what can be made again; in a folder that is read-only (installed) it is made each time."""
        try:
            store.save(path, data)
        except DatasetError:
            if os.access(self.path, os.W_OK):
                raise


def _views(shard: Shard, stacks: Iterable[int], times: Iterable[int], subframes: int) -> Iterator[View]:
    assert shard.steadiness is not None
    times = list(times)
    for i in stacks:
        for t in times:
            before = shard.before[i, t] if subframes > 1 and shard.before is not None else None
            yield View(shard.ids[i, t], shard.steadiness[i, t] / np.float32(LEVELS), before)
