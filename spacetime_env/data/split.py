"""A recorded split, opened: frames, backgrounds, labels and motion. See :mod:`spacetime_env.data`."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from spacetime_env.config import MotionConfig, to_dict
from spacetime_env.data.meta import DatasetError, read_meta, trail_of
from spacetime_env.data.motion import LEVELS, STAGES, RareMotion, View, motion_of, targets
from spacetime_env.data.recording import Recording
from spacetime_env.data.shards import FrameBoxes, Shard, npz_bytes, read_index, read_npz
from spacetime_env.files import FileError, read_bytes
from spacetime_env.frames import shown_rows
from spacetime_env.games import canonical

LEARN = 1500  # the stages of motion learn shapes and colours from at least so many frames, if the split has them


@dataclass(frozen=True)
class _Motion:
    boxes: FrameBoxes
    masks: np.ndarray  # (stacks, T, H * W / 8) uint8, packed bits


class Split(Recording):
    """A recording with its motion. Stacks count from 0; frame t of a stack is f = stack * T + t.

    Motion is computed when it is first used, and saved in the split's folder.
    """

    def with_subframes(self, subframes: int) -> Split:
        """The same split for a model with other ``model.subframes``; shares what the stages of motion learned."""
        if subframes == self.subframes:
            return self
        other = copy.copy(self)
        other.subframes = subframes
        other.__dict__.pop("_motion", None)  # the cached property
        return other

    def stack_background(self, stack: int) -> np.ndarray:
        """The background for the motion of a stack, of the set or of its trail: (H, W, 3) uint8 RGB."""
        number, at = divmod(range(len(self))[stack], self.meta.shard_size)
        return self._backgrounds(self.shard(number))[at]

    @property
    def motion_boxes(self) -> FrameBoxes:
        """Motion boxes of all frames, ``x, y, w, h`` in native pixels."""
        return self._motion.boxes

    def motion_masks(
        self,
        size: tuple[int, int] | None = None,
        stacks: Sequence[int] | None = None,
        rows: tuple[int, int] = (0, 0),
    ) -> np.ndarray:
        """The motion masks of some stacks: how much of each pixel moves.

        Args:
            size: H, W of the masks; None: native.
            stacks: numbers of n stacks, in any order; None: all.
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

    def flicker(self) -> float:
        """The fraction of moving objects that are drawn only in the emulator's frame before, on about 200 stacks.

        0 if the split has no frames before, or ``motion.foreground`` does not use them.
        """
        if self.meta.subframes < 2 or self.motion_config.foreground != "rarity":
            return 0.0
        both, last = 0, 0
        for view in self.views(range(0, len(self), max(1, len(self) // 200))):
            both += len(self.rare_motion.of(view)[1])
            last += len(self.rare_motion.of(replace(view, before=None))[1])
        return (both - last) / max(both, 1)

    def prepare(self) -> None:
        """Compute and save the background and the motion, if they are missing or of other settings."""
        _ = self._motion

    @functools.cached_property
    def _motion(self) -> _Motion:
        title = f"motion of {self.meta.game} {self.meta.split}-{self.meta.agent}"
        shards = tqdm(range(self.meta.shards), title, unit="file", delay=2)
        parts = [self._shard_motion(i) for i in shards]
        return _Motion(FrameBoxes.join([p.boxes for p in parts]), np.concatenate([p.masks for p in parts]))

    def _shard_motion(self, number: int) -> _Motion:
        """The motion of a shard: read, or computed if it is missing, damaged or of other settings or frames."""
        path = self.path / self.meta.shard_name(number, "motion")
        sha256 = self._index[self.meta.shard_name(number)]
        depends_on = {
            "stages": STAGES,
            "motion": to_dict(self.motion_config),
            "subframes": self.subframes,
            "frames": sha256,
            "background": hashlib.sha256(self.background.tobytes()).hexdigest(),
        }
        settings = json.dumps(depends_on, sort_keys=True)
        kept = self._kept_motion(path, number, settings)
        if kept is not None:
            return kept
        boxes, masks = [], []
        for mask, found in self._compute_motion(self.shard(number)):
            masks.append(np.packbits(mask))
            boxes.append(found)
        shard_stacks = self.meta.shard_stacks(number)
        packed = np.stack(masks).reshape(shard_stacks, self.meta.length, -1)
        counts = np.array([len(found) for found in boxes], np.int32)
        arrays = {"boxes": np.concatenate(boxes), "counts": counts, "masks": packed}
        self._save(path, npz_bytes(arrays | {"settings": np.array(settings)}))
        return _Motion(FrameBoxes.of(arrays["boxes"], counts), packed)

    def _kept_motion(self, path: Path, number: int, settings: str) -> _Motion | None:
        """A shard's motion from its file; None if that is missing, damaged or of other settings.

        It is computed from the frames alone, so it can then be computed again.
        """
        frames = self.meta.shard_stacks(number) * self.meta.length
        height, width = self.native
        packed = -(-height * width // 8)
        try:
            limit = frames * (packed + 8 * height * width) + (1 << 20)  # fewer boxes than half of the pixels
            arrays = read_npz(read_bytes(path, limit), path, "", limit)
            boxes, counts, masks = arrays["boxes"], arrays["counts"], arrays["masks"]
            fits = (
                arrays["settings"].item() == settings
                and (boxes.ndim, boxes.dtype, boxes.shape[1:]) == (2, np.float32, (4,))
                and (counts.dtype, counts.shape) == (np.int32, (frames,))
                and (masks.dtype, masks.shape) == (np.uint8, (frames // self.meta.length, self.meta.length, packed))
                and (counts >= 0).all()
                and counts.sum() == len(boxes)
            )
            return _Motion(FrameBoxes.of(boxes, counts), masks) if fits else None
        except (FileNotFoundError, FileError, DatasetError, KeyError, ValueError):
            return None

    def _compute_motion(self, shard: Shard) -> Iterator[tuple[np.ndarray, np.ndarray]]:
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
        """The stages of ``motion.foreground: rarity``, which have learned from this split."""
        motion = RareMotion(self.motion_config, self._colors[0])
        every = max(1, len(self) // LEARN)
        for shard in self.shards():
            motion.learn(_views(shard, range(0, len(shard.ids), every), [0], 1))
        return motion

    def views(self, stacks: Sequence[int]) -> Iterator[View]:
        """The input of the stages of ``motion.foreground: rarity``, for each frame of some stacks."""
        for stack in stacks:
            number, at = divmod(range(len(self))[stack], self.meta.shard_size)
            yield from _views(self.shard(number), [at], range(self.meta.length), self.meta.subframes)

    def _backgrounds(self, shard: Shard) -> Sequence[np.ndarray] | np.ndarray:
        """The background of each stack of a shard."""
        if self.motion_config.extent == "trail" and shard.backgrounds is not None:
            return shard.backgrounds
        return [self.background] * len(shard.ids)


def _views(shard: Shard, stacks: Iterable[int], times: Iterable[int], subframes: int) -> Iterator[View]:
    assert shard.steadiness is not None
    times = list(times)
    for i in stacks:
        for t in times:
            before = shard.before[i, t] if subframes > 1 and shard.before is not None else None
            yield View(shard.ids[i, t], shard.steadiness[i, t] / np.float32(LEVELS), before)


def open_split(
    path: str | Path, game: str | None = None, motion: MotionConfig | None = None, subframes: int = 1
) -> Split:
    """Open a complete split; its frames are read, and checked, when they are asked for.

    Args:
        path: the folder.
        game: the game it must be of; ``None``: any.
        motion: how motion is found; ``None``: the published way.
        subframes: 1: frames as they are. 2: frames and motion of the emulator's last two frames, as a model with
            ``model.subframes: 2`` sees them.

    Raises:
        DatasetError: no split is there, it is not complete or of another game, or it has not the trail, the steadiness
            or the frames before that are asked for.
    """
    path, motion = Path(path), motion or MotionConfig()
    meta = read_meta(path)
    if game is not None and canonical(game) != meta.game:
        raise DatasetError(f"{path} holds {meta.game}, and {canonical(game)} is asked for.")
    index = read_index(path)
    # No more than the index has: there may be millions of names.
    names = [meta.shard_name(i) for i in range(min(meta.shards, len(index)))]
    there = sum((path / name).exists() for name in names)
    if set(index) != set(names) or there < meta.shards:
        raise DatasetError(
            f"{path} is not complete: {there} of {meta.shards} files are there. "
            "Run create_dataset.py again with the same settings; it records only what is missing."
        )
    trail = trail_of(motion)
    if trail and meta.trail != trail:
        raise DatasetError(
            f"motion.extent=trail needs the {trail} frames before each stack, and {path} has "
            f"{meta.trail or 'none'}: record it again into another folder, or use motion.extent=set."
        )
    if motion.foreground == "rarity" and meta.window != motion.rarity.window:
        raise DatasetError(
            f"motion.foreground=rarity needs what {motion.rarity.window} steps before and after each frame showed, "
            f"and {path} was recorded with {meta.window or 'none'}: delete it or give another folder with data.root, "
            "and record it again."
        )
    if subframes > meta.subframes:
        raise DatasetError(
            f"model.subframes={subframes} needs the emulator's frame before each, and {path} was recorded without: "
            "delete it or give another folder with data.root, and record it again with data.subframes=2."
        )
    return Split(path, meta, index, motion, subframes)
