"""The files of a recorded split.

::

    data/Pong/train-random/
        meta.yaml           the settings; written first
        frames-00000.npz    a shard of stacks: palette ids (n, T, H, W) uint8 and the palette (256, 3) RGB,
                            which give the frames without loss; episode and step of each frame; ground truth
        index.yaml          SHA-256 of each shard; written last, when the split is complete
        background-mode.png computed from the shards, and again when it is missing
        motion-00000.npz    masks and boxes of a shard; computed again when the motion settings change

Every file is written under a temporary name and then renamed, so a file with its own name is whole. Nothing is
unpickled.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_env.data.meta import INDEX, DatasetError, SplitMeta, read_yaml
from spacetime_env.files import FileError, load_arrays, read_bytes


@dataclass(frozen=True)
class FrameBoxes:
    """Boxes of many frames. Frame f = stack * T + t has ``boxes[offsets[f]:offsets[f + 1]]``."""

    boxes: np.ndarray  # (M, 4) float32, x, y, w, h in native pixels
    offsets: np.ndarray  # (frames + 1,) int64
    names: np.ndarray  # (M,) str; "" for motion boxes, which have no names

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, frame: int) -> np.ndarray:
        """The boxes of a frame: (n, 4) float32."""
        frame = range(len(self))[frame]
        return self.boxes[self.offsets[frame] : self.offsets[frame + 1]]

    def names_of(self, frame: int) -> list[str]:
        """The names of the boxes of a frame."""
        frame = range(len(self))[frame]
        return self.names[self.offsets[frame] : self.offsets[frame + 1]].tolist()

    def select(self, keep: np.ndarray) -> FrameBoxes:
        """Only the boxes where ``keep``, (M,) bool, is true."""
        before = np.concatenate([[0], np.cumsum(keep)])
        return FrameBoxes(self.boxes[keep], before[self.offsets], self.names[keep])

    @staticmethod
    def join(parts: list[FrameBoxes]) -> FrameBoxes:
        """The frames of several parts, one part after the other."""
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        boxes = np.concatenate([part.boxes for part in parts])
        return FrameBoxes.of(boxes, counts, np.concatenate([part.names for part in parts]))

    @staticmethod
    def of(boxes: np.ndarray, counts: np.ndarray, names: np.ndarray | None = None) -> FrameBoxes:
        """From the boxes of all frames, (M, 4), and the number of boxes in each frame, (frames,)."""
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        return FrameBoxes(boxes, offsets, np.full(len(boxes), "") if names is None else names)


@dataclass(frozen=True)
class Shard:
    """The content of one file: n stacks of T frames."""

    ids: np.ndarray  # (n, T, H, W) uint8, palette ids
    palette: np.ndarray  # (256, 3) uint8, RGB
    episodes: np.ndarray  # (n,) int32, the number of the episode in this shard
    steps: np.ndarray  # (n, T) int32, steps since the start of the episode
    labels: FrameBoxes | None  # ground truth of n * T frames, visible or not
    backgrounds: np.ndarray | None  # (n, H, W, 3) uint8 RGB, of the trail before each stack
    steadiness: np.ndarray | None = None  # (n, T, H, W) uint8, 0 to LEVELS; see SplitMeta.window
    before: np.ndarray | None = None  # (n, T, H, W) uint8, palette ids of the emulator's frame before
    sha256: str = ""  # of the file, if it was read from one

    def frames(self) -> np.ndarray:
        """The frames: (n, T, H, W, 3) uint8 RGB."""
        return np.take(self.palette, self.ids, axis=0)  # twice as fast as palette[ids]

    def pooled(self) -> np.ndarray:
        """Of each pixel and channel the brighter of the emulator's last two frames: (n, T, H, W, 3) uint8 RGB."""
        assert self.before is not None
        return np.maximum(self.frames(), np.take(self.palette, self.before, axis=0))

    def to_bytes(self) -> bytes:
        """The bytes of the file; the same arrays give the same bytes."""
        arrays: dict[str, np.ndarray] = {
            "ids": self.ids,
            "palette": self.palette,
            "episodes": self.episodes,
            "steps": self.steps,
        }
        if self.labels is not None:
            arrays |= {
                "label_boxes": self.labels.boxes,
                "label_counts": np.diff(self.labels.offsets).astype(np.int32),
                "label_names": self.labels.names.astype(np.str_),
            }
        more = {"backgrounds": self.backgrounds, "steadiness": self.steadiness, "before": self.before}
        arrays |= {name: array for name, array in more.items() if array is not None}
        return npz_bytes(arrays)


def read_shard(folder: Path, meta: SplitMeta, shard: int, sha256: str | None = None) -> Shard:
    """Read and check one shard.

    Args:
        folder: of the split.
        shard: its number.
        sha256: of the file, as the index has it; None: not compared.

    Raises:
        DatasetError: missing, cut off, damaged, changed since it was recorded, or not what ``meta`` says.
    """
    path = folder / meta.shard_name(shard)
    again = "Delete it and run create_dataset.py again as before; it records only what is missing."
    limit = meta.shard_bytes(shard)
    try:
        data = read_bytes(path, limit + limit // 100)  # what cannot be compressed becomes a little larger
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing. Run create_dataset.py again as before.") from None
    except FileError as error:
        raise DatasetError(f"{error} {again}") from None
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise DatasetError(
            f"{path} is not the file that was recorded: {INDEX} has SHA-256 {sha256[:12]}..., the file "
            f"{found[:12]}... It is damaged or was changed. {again}"
        )
    arrays = read_npz(data, path, again, limit)
    n, (height, width) = meta.shard_stacks(shard), meta.native
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "ids": ((n, meta.length, height, width), np.uint8),
        "palette": ((256, 3), np.uint8),
        "episodes": ((n,), np.int32),
        "steps": ((n, meta.length), np.int32),
    }
    if meta.labels:
        total = len(arrays.get("label_boxes", ()))
        shapes |= {"label_boxes": ((total, 4), np.float32), "label_counts": ((n * meta.length,), np.int32)}
        shapes |= {"label_names": ((total,), np.str_)}
    if meta.trail:
        shapes["backgrounds"] = ((n, height, width, 3), np.uint8)
    if meta.window:
        shapes["steadiness"] = shapes["ids"]
    if meta.subframes > 1:
        shapes["before"] = shapes["ids"]
    for name, (shape, kind) in shapes.items():
        array = arrays.get(name)
        if array is None or array.shape != shape or not np.issubdtype(array.dtype, kind):
            came = "nothing" if array is None else f"{array.shape} {array.dtype}"
            raise DatasetError(f"{path}: expected {name} {shape} {kind.__name__}, got {came}. {again}")
    labels = None
    if meta.labels:
        labels = FrameBoxes.of(arrays["label_boxes"], arrays["label_counts"], arrays["label_names"])
        if (arrays["label_counts"] < 0).any() or labels.offsets[-1] != len(labels.boxes):
            raise DatasetError(f"{path}: its label counts do not add up to its boxes. {again}")
    common = {name: arrays[name] for name in ("ids", "palette", "episodes", "steps")}
    optional = ("backgrounds", "steadiness", "before")
    more: dict[str, Any] = {name: arrays[name] if name in shapes else None for name in optional}
    return Shard(**common, labels=labels, **more, sha256=found)


def read_index(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of each shard; empty if the split is not complete.

    Raises:
        DatasetError: the index is damaged.
    """
    if not (folder / INDEX).is_symlink() and not (folder / INDEX).exists():
        return {}
    damaged = "Delete it and run create_dataset.py again; it is made from the files that are there."
    tree = read_yaml(folder / INDEX, "", damaged, 1 << 23, 100_000)
    if not isinstance(tree, dict) or not all(isinstance(one, str) for pair in tree.items() for one in pair):
        raise DatasetError(f"{folder / INDEX} is damaged: it does not list files. {damaged}")
    return tree


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays as the bytes of a compressed ``.npz``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(data: bytes, path: Path, advice: str, limit: int) -> dict[str, np.ndarray]:
    """All arrays of a ``.npz``.

    Args:
        data: its bytes.
        path, advice: for the message.
        limit: bytes that the arrays may have together.

    Raises:
        DatasetError: it is cut off, damaged, or larger.
    """
    try:
        return load_arrays(data, path, limit)
    except FileError as error:
        raise DatasetError(f"{error} {advice}") from None
