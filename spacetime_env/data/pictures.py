"""Folders of pictures that are no game: single pictures, clips, and true boxes if there are any.

::

    pictures/                   data.pictures
        train/                  and likewise validation/ and test/
            00000.png           PNG or JPEG, all of the same size
            walk/               a clip: its pictures in the order of their names
                0001.jpg
            boxes.csv           optional: picture,x,y,w,h or picture,x,y,w,h,class, in pixels; walk/0001.jpg names one

A :class:`PictureSplit` is used in training and evaluation as a recorded :class:`~spacetime_env.data.split.Split` is. A
single picture is a stack of one frame. A clip gives stacks of ``data.length`` frames; frames that are left over at its
end are not used. Without classes each true box is called ``object``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.config import MotionConfig
from spacetime_env.data.box_table import BOXES, OBJECT, read_boxes
from spacetime_env.data.meta import DatasetError, SplitMeta
from spacetime_env.data.motion import NO_BOXES, motion_of, targets
from spacetime_env.data.shards import FrameBoxes
from spacetime_env.files import FileError, shown_path
from spacetime_env.files.pictures import picture_size, read_picture
from spacetime_env.frames import resize, shown_rows

SUFFIXES = (".png", ".jpg", ".jpeg")
SIDE = 2048  # pixels, of the largest picture
AGENT = "pictures"  # in place of who played
SAMPLED = 256  # pictures that a background is computed from


class PictureSplit:
    """A folder of pictures, opened by :func:`open_pictures`. Pictures are read when they are asked for.

    Args:
        path: the folder.
        meta: what a recorded split has in its ``meta.yaml``.
        stacks: the files of each stack, ``meta.length`` each.
        labels: true boxes of all frames; None: there are none.
        motion: how what moves in clips is found; None: nothing is looked for, and there are no motion boxes.
    """

    def __init__(
        self,
        path: Path,
        meta: SplitMeta,
        stacks: Sequence[Sequence[Path]],
        labels: FrameBoxes | None,
        motion: MotionConfig | None,
    ) -> None:
        self.path, self.meta, self._stacks, self._labels, self._config = path, meta, stacks, labels, motion

    def __len__(self) -> int:
        return len(self._stacks)

    @property
    def clips(self) -> int:
        """How many of its stacks are of clips."""
        return sum(files[0].parent != self.path for files in self._stacks)

    @property
    def native(self) -> tuple[int, int]:
        """H, W of the pictures."""
        return self.meta.native

    def frames(self, stacks: Sequence[int] | None = None) -> np.ndarray:
        """The pictures of some stacks, None: of all: (n, T, H, W, 3) uint8 RGB.

        Raises:
            IndexError: no such stack.
            DatasetError: a picture cannot be read, or has changed its size.
        """
        wanted = range(len(self)) if stacks is None else stacks
        out = np.empty((len(wanted), self.meta.length, *self.native, 3), np.uint8)
        for row, stack in zip(out, wanted, strict=True):
            for frame, file in zip(row, self._stacks[range(len(self))[stack]], strict=True):
                frame[:] = _read(file, self.native)
        return out

    def small(self, size: tuple[int, int], rows: tuple[int, int] = (0, 0)) -> np.ndarray:
        """All pictures, or some rows of them, at ``size`` (h, w): (stacks, T, h, w, 3) uint8 RGB."""
        top, bottom = shown_rows(rows, self.native)
        out = np.empty((len(self), self.meta.length, *size, 3), np.uint8)
        for stack in range(len(self)):
            out[stack] = resize(self.frames([stack])[0][:, top:bottom], size)
        return out

    @functools.cached_property
    def background(self) -> np.ndarray:
        """In each channel the median of some pictures, spread evenly over the split: (H, W, 3) uint8 RGB."""
        most = max(3, min(SAMPLED, (1 << 27) // (3 * self.native[0] * self.native[1])))
        chosen = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(int))
        return np.median(self.frames(chosen.tolist())[:, 0], axis=0).astype(np.uint8)

    @property
    def labels(self) -> FrameBoxes:
        """The true boxes.

        Raises:
            DatasetError: there are none.
        """
        if self._labels is None:
            raise DatasetError(f"{self.path} has no {BOXES}, so there are no true boxes.")
        return self._labels

    @property
    def motion_boxes(self) -> FrameBoxes:
        """Motion boxes of all frames, ``x, y, w, h`` in pixels."""
        return self._motion[0]

    def motion_masks(
        self,
        size: tuple[int, int] | None = None,
        stacks: Sequence[int] | None = None,
        rows: tuple[int, int] = (0, 0),
    ) -> np.ndarray:
        """The motion masks of some stacks; as :meth:`spacetime_env.data.split.Split.motion_masks`."""
        (height, width), (top, bottom) = self.native, shown_rows(rows, self.native)
        wanted = range(len(self)) if stacks is None else stacks
        out = np.zeros((len(wanted), self.meta.length, *(size or (bottom - top, width))), np.uint8)
        for row, stack in zip(out, wanted, strict=True):
            for mask, bits in zip(row, self._motion[1].get(range(len(self))[stack], ()), strict=False):
                found = np.unpackbits(bits, count=height * width).reshape(height, width)[top:bottom] * np.uint8(255)
                mask[:] = found if size is None else cv2.resize(found, size[::-1], interpolation=cv2.INTER_AREA)
        return out

    def targets(self, grid: int) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`spacetime_env.data.split.Split.targets`."""
        found = [targets(self.motion_boxes[f], self.native, grid) for f in range(len(self.motion_boxes))]
        lead = (len(self), self.meta.length, grid * grid)
        z_pres, z_where = (np.stack(part) for part in zip(*found, strict=True))
        return z_pres.reshape(*lead, 1), z_where.reshape(*lead, 4)

    def prepare(self) -> None:
        """Compute what moves."""
        _ = self._motion

    @functools.cached_property
    def _motion(self) -> tuple[FrameBoxes, dict[int, list[np.ndarray]]]:
        """Motion boxes of all frames, and packed masks by the number of their stack; a single picture has none.

        With ``motion.extent: trail`` a clip is compared with its own median, otherwise with that of the split.
        """
        boxes: list[np.ndarray] = []
        masks: dict[int, list[np.ndarray]] = {}
        backgrounds: dict[Path, np.ndarray] = {}
        for stack, files in enumerate(self._stacks):
            clip = files[0].parent
            if self._config is None or clip == self.path:
                boxes += [NO_BOXES] * len(files)
                continue
            if clip not in backgrounds:
                backgrounds = {clip: self._background_of(clip)}  # the clips follow each other
            for frame in self.frames([stack])[0]:
                mask, found = motion_of(frame, backgrounds[clip], self._config)
                boxes.append(found)
                masks.setdefault(stack, []).append(np.packbits(mask))
        return FrameBoxes.of(np.concatenate(boxes), np.array([len(one) for one in boxes])), masks

    def _background_of(self, clip: Path) -> np.ndarray:
        if self._config is None or self._config.extent == "set":
            return self.background
        own = [stack for stack, files in enumerate(self._stacks) if files[0].parent == clip]
        frames = self.frames(own).reshape(-1, *self.native, 3)
        return np.median(frames[:: max(1, len(frames) // SAMPLED)], axis=0).astype(np.uint8)


def open_pictures(
    folder: str | Path, length: int = 1, motion: MotionConfig | None = None, name: str = AGENT
) -> PictureSplit:
    """Open a folder of pictures. Their sizes and ``boxes.csv`` are checked; pixels are read when they are asked for.

    Args:
        folder: with pictures, clips or both.
        length: T, frames in a stack. Single pictures need 1.
        motion: see :class:`PictureSplit`.
        name: of the pictures, in place of a game's.

    Raises:
        DatasetError: there is no such folder, no picture in it or none of a clip that is long enough, pictures differ
            in size or cannot be read, ``length`` does not fit them, or ``boxes.csv`` is wrong.
        ConfigError: ``name`` or the folder's name cannot be used.
    """
    folder = Path(folder)
    stills, clips = _files(folder)
    if length < 1:
        raise DatasetError(f"data.length: expected 1 or more, got {length}.")
    if stills and length > 1:
        raise DatasetError(
            f"{shown_path(folder)} has pictures that are no clips, such as {shown_path(stills[0].name)}, so a stack "
            f"has one frame: set data.length=1 (it is {length}), or put the frames of each clip into a subfolder."
        )
    stacks: list[list[Path]] = [[file] for file in stills]
    for files in clips:
        stacks += [files[i : i + length] for i in range(0, len(files) - length + 1, length)]
    if not stacks:
        raise DatasetError(
            f"{shown_path(folder)} has no clip of {length} frames or more: lower data.length."
            if clips
            else f"{shown_path(folder)} holds no picture: expected {', '.join(SUFFIXES)}, or subfolders with them."
        )
    files = [file for stack in stacks for file in stack]
    native = _common_size(files)
    known = [file for one in ([stills, *clips]) for file in one]
    labels = read_boxes(folder, files, known, native)
    found = () if labels is None else tuple(sorted(set(labels.names.tolist())) or (OBJECT,))
    meta = SplitMeta(
        game=name,
        split=folder.resolve().name,
        agent=AGENT,
        agent_version="",
        seed=0,
        size=len(stacks),
        length=length,
        shard_size=1,
        order="random",
        gap=0,
        warmup=0,
        native=native,
        frameskip=0,
        sticky=0.0,
        trail="",
        labels=labels is not None,
        classes=found,
    )
    return PictureSplit(folder, meta, stacks, labels, motion)


def _files(folder: Path) -> tuple[list[Path], list[list[Path]]]:
    """The single pictures of a folder, and those of each clip, by their names."""
    try:
        entries = sorted(folder.iterdir())
        clips = [sorted(one.iterdir()) for one in entries if one.is_dir() and not one.name.startswith(".")]
    except FileNotFoundError:
        raise DatasetError(
            f"there is no folder {shown_path(folder)}. data.pictures=FOLDER has the subfolders train and validation, "
            "and test for figures; create_dataset.py --rooms makes one."
        ) from None
    except OSError as error:
        raise DatasetError(f"cannot read the folder {shown_path(folder)}: {error.strerror}.") from None
    pictures = [[one for one in files if _is_picture(one)] for files in (entries, *clips)]
    return pictures[0], [files for files in pictures[1:] if files]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _common_size(files: Sequence[Path]) -> tuple[int, int]:
    """H, W of all pictures, from their headers."""
    try:
        sizes = {file: picture_size(file) for file in files}
    except (FileError, FileNotFoundError) as error:
        raise DatasetError(f"{error} Take it out of the folder, or save it again as PNG.") from None
    first = sizes[files[0]]
    for file, size in sizes.items():
        if size != first:
            raise DatasetError(
                f"the pictures differ in size: {shown_path(files[0])} has {first[0]} x {first[1]} pixels (H x W), and "
                f"{shown_path(file)} has {size[0]} x {size[1]}. Bring all of them to one size."
            )
    if max(first) > SIDE:
        raise DatasetError(
            f"{shown_path(files[0])} has {first[0]} x {first[1]} pixels; expected at most {SIDE} a side."
        )
    return first


def _read(path: Path, native: tuple[int, int]) -> np.ndarray:
    """A picture of a known size, (H, W, 3) uint8 RGB."""
    try:
        found = read_picture(path)
    except FileNotFoundError:
        raise DatasetError(f"{shown_path(path)} is not there any more.") from None
    except FileError as error:
        raise DatasetError(f"{error} Take it out of the folder, or save it again as PNG.") from None
    if found.shape[:2] != native:
        raise DatasetError(f"{shown_path(path)} has {found.shape[:2]} pixels (H x W), and had {native} before.")
    return found
