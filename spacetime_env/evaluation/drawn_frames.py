"""What is drawn of each RAM box in the frames of a shard, and what is drawn beside: the first step of :mod:`.drawn`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_env.data.shards import Shard
from spacetime_env.evaluation.drawn_colors import DrawnColors
from spacetime_env.evaluation.drawn_pixels import GAP, OwnPixels, own_colored, own_pixels, parts, tight_box

SAME = 0.9  # two objects of a class that share more than this fraction of the pixels of the smaller are one
APART = 4  # what belongs to no RAM box is one thing if its parts are no further apart than so many pixels


@dataclass(frozen=True)
class Part:
    """Something drawn in colours of a class that belongs to no RAM box."""

    box: tuple[int, int, int, int]  # x, y, w, h
    pixels: int
    bitmap: bytes  # a hash of its pixels and their colours
    classes: frozenset[int]  # that have all of its colours


@dataclass(frozen=True)
class Seen:
    """The RAM boxes of moving classes in one frame, and what is drawn of them."""

    boxes: np.ndarray  # (n, 4) float32, tight boxes; 0 where nothing is drawn
    pixels: np.ndarray  # (n,) int, how many are drawn
    classes: np.ndarray  # (n,) int
    bitmaps: tuple[bytes, ...]  # n hashes of the pixels and their colours
    twice: np.ndarray  # (n, 4) float32, where the object is in the frame before, if that is apart; else 0
    unshown: np.ndarray  # (n,) bool, drawn only in the frame before, which the model is not shown
    rest: tuple[Part, ...]


def seen_in(shard: Shard, colors: DrawnColors, subframes: int) -> list[Seen]:
    """What is drawn in each frame of a shard, as a model with ``subframes`` is shown it.

    Args:
        shard: its labels are of ``colors.classes`` alone.
        subframes: 1: the emulator's last frame. 2: of each pixel and channel the brighter of the last two.
    """
    labels = shard.labels
    assert labels is not None
    native = shard.ids.shape[2:]
    ids = shard.ids.reshape(-1, *native)
    before = None if shard.before is None else shard.before.reshape(-1, *native)
    number = {name: i for i, name in enumerate(colors.classes)}
    result = []
    for f in range(len(labels)):
        classes = np.array([number[name] for name in labels.names_of(f)], int)
        screens = [ids[f]] if before is None else [ids[f], before[f]]
        shown = [np.ones(native, bool) for _ in screens]
        if subframes > 1:
            shown = _shown(shard.palette[screens[0]], shard.palette[screens[1]])
        found = [own_pixels(one, labels[f], classes, colors, part) for one, part in zip(screens, shown, strict=True)]
        result.append(_seen(screens, shown, found, classes, colors, subframes))
    return result


def _shown(last: np.ndarray, before: np.ndarray) -> list[np.ndarray]:
    """Of two frames (H, W, 3), where each adds something to the brighter of both: (H, W) bool."""
    same = (last == before).all(axis=2)
    return [(last > before).any(axis=2) | same, (before > last).any(axis=2) | same]


def _seen(
    screens: Sequence[np.ndarray],
    shown: Sequence[np.ndarray],
    found: Sequence[OwnPixels],
    classes: np.ndarray,
    colors: DrawnColors,
    subframes: int,
) -> Seen:
    """One frame: the pixels of each object in the frames that the model is shown, and in the one that it is not."""
    native = screens[0].shape
    masks = [np.zeros((len(classes), *native), bool) for _ in found]
    for mask, one in zip(masks, found, strict=True):
        mask[:, one.rows, one.columns] = one.owned
    looked = masks[:subframes]
    merged = _merged(np.logical_or.reduce(looked), classes)
    boxes, twice = np.zeros((len(classes), 4), np.float32), np.zeros((len(classes), 4), np.float32)
    count, bitmaps = np.zeros(len(classes), int), []
    for i in range(len(classes)):
        own = [mask[i] for mask in looked if mask[i].any() and not merged[i]]
        if len(own) == 2 and _apart(tight_box(*own[0].nonzero()), tight_box(*own[1].nonzero())):
            twice[i] = tight_box(*own.pop().nonzero())
        rows, columns = np.logical_or.reduce(own).nonzero() if own else (np.zeros(0, int), np.zeros(0, int))
        if own:
            boxes[i], count[i] = tight_box(rows, columns), len(rows)
        bitmaps.append(_bitmap(rows, columns, screens[0]))
    unshown = np.array([not any(m[i].any() for m in looked) and masks[-1][i].any() for i in range(len(classes))], bool)
    rest = _rest(screens[:subframes], shown, np.logical_or.reduce(looked).any(axis=0), colors)
    return Seen(boxes, count, classes, tuple(bitmaps), twice, unshown, rest)


def _apart(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    """Whether more than GAP pixels lie between two boxes x, y, w, h."""
    return (
        a[0] > b[0] + b[2] + GAP or b[0] > a[0] + a[2] + GAP or a[1] > b[1] + b[3] + GAP or b[1] > a[1] + a[3] + GAP
    )


def _merged(masks: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(n,) bool: objects nearly all of whose pixels belong to another of their class: one thing is drawn there."""
    flat = masks[:, masks.any(axis=0)].astype(np.float32)
    common = flat @ flat.T * (classes[:, None] == classes[None])
    count = flat.sum(axis=1)
    np.fill_diagonal(common, 0)
    merged = np.zeros(len(masks), bool)
    for i in np.argsort(count, kind="stable"):  # of two that are the same, one stays
        merged[i] = count[i] > 0 and (common[i][~merged] > SAME * count[i]).any()
    return merged


def _bitmap(rows: np.ndarray, columns: np.ndarray, screen: np.ndarray) -> bytes:
    """A hash of pixels and their colours that does not depend on where they are."""
    if not len(rows):
        return b""
    shape = np.stack([rows - rows.min(), columns - columns.min(), screen[rows, columns]]).astype(np.int32)
    return hashlib.blake2b(shape.tobytes(), digest_size=8).digest()


def _rest(
    screens: Sequence[np.ndarray], shown: Sequence[np.ndarray], taken: np.ndarray, colors: DrawnColors
) -> tuple[Part, ...]:
    """What is drawn in colours of classes, is no scenery and belongs to no RAM box."""
    free, colored = np.zeros(taken.shape, bool), np.zeros(taken.shape, np.uint8)
    for screen, part in zip(screens, shown, strict=False):
        own = own_colored(screen, colors) & part & ~taken
        colored[own & ~free] = screen[own & ~free]
        free |= own
    rows, columns = free.nonzero()
    result = []
    for part in parts(rows, columns, APART):
        r, c = rows[part], columns[part]
        classes = np.flatnonzero(colors.own[:, np.unique(colored[r, c] >> 1)].all(axis=1))
        if len(classes):
            result.append(Part(tight_box(r, c), len(r), _bitmap(r, c, colored), frozenset(classes.tolist())))
    return tuple(result)
