"""True boxes of what is drawn, to the pixel, from RAM boxes and the recorded frames of a split.

RAM boxes are wrong in kind: they are off by some pixels, as large as an object that is cut by the screen's edge, or of
an object that is not drawn at all. The drawn box of an object is the tight box of its visible pixels: those of its
class's colours (:mod:`.drawn_colors`) that hang together with its RAM box (:mod:`.drawn_pixels`). An object that is
drawn in no frame that the model is shown is none.

Some boxes are neutral: whether they are found counts neither way. Their kinds:

- ``still``: classes that never move are scenery. Their boxes are those of the RAM.
- ``undecided``: more than a quarter of the box is under another object of the same colours.
- ``sliver``: less than 15 % of the object is seen, measured in pixels against the median of its class.
- ``unlisted``: something of a class's colours that is drawn and is not in the RAM boxes. It moves, or it looks as an
  object does that is in them elsewhere. (If both, pixel by pixel, it is an object, and should be found.)
- ``twice``: in the picture of two frames, the object where it was in the frame before, apart from where it is.
- ``unshown``: drawn only in the emulator's frame before, which a model with ``subframes: 1`` is not shown.

This is for evaluation alone: nothing of it reaches training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacetime_env.data.recording import Recording
from spacetime_env.data.shards import Shard
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import Truth, intersection
from spacetime_env.evaluation.drawn_colors import DrawnColors, learn_colors
from spacetime_env.evaluation.drawn_frames import Part, Seen, seen_in
from spacetime_env.evaluation.moving import moving_classes

KINDS = ("still", "undecided", "sliver", "unlisted", "twice", "unshown")
HIDDEN = 0.25  # a box is undecided if more than this fraction of it is under another of its colours
SLIVER = 0.15  # an object with less than this fraction of its class's median of pixels is a sliver
LARGER = 1.5  # something unlisted has at most so many times the width and the height of its class
LOOKS = 12  # pixels from which on something is known by how it looks
FIELD = 8  # what is unlisted is within so many pixels of where some object is in some frame


@dataclass(frozen=True)
class Drawn:
    """What is drawn in one frame."""

    truth: Truth  # the objects that should be found
    neutral: Truth  # what counts neither way
    kinds: tuple[str, ...]  # of each neutral box, one of KINDS


@dataclass(frozen=True)
class Looks:
    """How the objects of a game look, learned from its recordings."""

    moving: frozenset[str]  # the classes that move
    colors: DrawnColors  # of these

    def labels(self, shard: Shard) -> Shard:
        """The shard with the RAM boxes of classes that move alone."""
        return _of_classes(shard, self.moving)


def learn_looks(splits: Sequence[Recording]) -> Looks:
    """Learn how the objects of a game look from labelled splits.

    Raises:
        DatasetError: one has no labels, or is damaged.
    """
    for split in splits:
        _ = split.all_labels  # raises where there are none
    shards = [shard for split in splits for shard in split.shards()]
    moving = moving_classes((shard.labels, shard.ids.shape[1]) for shard in shards if shard.labels is not None)
    return Looks(moving, learn_colors([_of_classes(shard, moving) for shard in shards]))


def drawn_truth(split: Recording, looks: Looks | None = None) -> list[Drawn]:
    """What is drawn in each frame of a labelled split, as a model with ``split.subframes`` is shown it.

    Args:
        looks: None: learned from this split.

    Raises:
        DatasetError: the split has no labels, or is damaged.
    """
    looks = looks or learn_looks([split])
    seen: list[Seen] = []
    still: list[Truth] = []
    for shard in split.shards():
        seen += seen_in(looks.labels(shard), looks.colors, split.subframes)
        still += _others(shard, looks.moving)
    typical = _typical(seen, len(looks.colors.classes))
    beside = _beside(seen, still, typical, split.meta.length)
    frames = zip(seen, beside, still, strict=True)
    return [_judged(one, more, other, looks.colors, typical) for one, more, other in frames]


def drawn_tests(tests: Sequence[Stacks]) -> list[list[Drawn] | None]:
    """What is drawn in each frame of each test split; None for pictures, whose true boxes are drawn ones.

    How objects look is learned from all recorded splits together. All must be of one game.

    Raises:
        DatasetError: a split has no labels, or is damaged.
    """
    recorded = [test for test in tests if isinstance(test, Recording)]
    looks = learn_looks(recorded) if recorded else None
    return [drawn_truth(test, looks) if isinstance(test, Recording) else None for test in tests]


def as_drawn(truth: Sequence[Truth]) -> list[Drawn]:
    """True boxes taken as they are: nothing is neutral."""
    nothing = Truth(np.zeros((0, 4), np.float32), ())
    return [Drawn(one, nothing, ()) for one in truth]


def join(several: Sequence[Truth]) -> Truth:
    """The objects of several truths of one frame."""
    return Truth(np.concatenate([one.boxes for one in several]), tuple(n for one in several for n in one.names))


def _of_classes(shard: Shard, classes: frozenset[str]) -> Shard:
    assert shard.labels is not None
    return replace(shard, labels=shard.labels.select(np.isin(shard.labels.names, sorted(classes))))


def _others(shard: Shard, classes: frozenset[str]) -> list[Truth]:
    """The RAM boxes of all other classes, frame by frame."""
    assert shard.labels is not None
    others = shard.labels.select(~np.isin(shard.labels.names, sorted(classes)))
    return [Truth(others[f], tuple(others.names_of(f))) for f in range(len(others))]


def _typical(seen: Sequence[Seen], classes: int) -> np.ndarray:
    """The medians of width, height and pixels of what is drawn of each class: (C, 3)."""
    sizes = np.concatenate([np.column_stack([one.classes, one.boxes[:, 2:], one.pixels]) for one in seen])
    drawn = sizes[sizes[:, 3] > 0]
    result = np.zeros((classes, 3))
    for c in np.unique(drawn[:, 0]).astype(int):
        result[c] = np.median(drawn[drawn[:, 0] == c, 1:], axis=0)
    return result


@dataclass(frozen=True)
class _Beside:
    """What is drawn in one frame and not in the RAM boxes."""

    objects: tuple[tuple[Part, int], ...]  # with the class: they move, and look as one that is in the RAM boxes
    unlisted: tuple[tuple[Part, int], ...]


def _beside(
    seen: Sequence[Seen], scenery: Sequence[Truth], typical: np.ndarray, length: int
) -> list[_Beside]:
    """Divide what belongs to no RAM box. Digits and lives are neither: they are where no object ever is.

    Args:
        scenery: the boxes of classes that never move; what is in one is that.
        length: frames in a stack.
    """
    known: dict[bytes, int] = {}
    for one in seen:
        for look, pixels, c in zip(one.bitmaps, one.pixels.tolist(), one.classes.tolist(), strict=True):
            if pixels >= LOOKS:
                known.setdefault(look, c)
    field = _field(seen)
    result = []
    for f, one in enumerate(seen):
        near = [seen[g].rest for g in (f - 1, f + 1) if 0 <= g < len(seen) and g // length == f // length]
        still = {(part.box, part.bitmap) for rest in near for part in rest}
        objects, unlisted = [], []
        for part in one.rest:
            x, y = part.box[0] + part.box[2] / 2, part.box[1] + part.box[3] / 2
            low, size = scenery[f].boxes[:, :2], scenery[f].boxes[:, 2:]
            if not field[int(y), int(x)] or ((low <= (x, y)) & ((x, y) <= low + size)).all(axis=1).any():
                continue
            moves = (part.box, part.bitmap) not in still
            classes = [c for c in sorted(part.classes) if _fits(part, typical[c])]
            if moves and part.bitmap in known:
                objects.append((part, known[part.bitmap]))
            elif classes and (moves or part.bitmap in known):
                unlisted.append((part, classes[0]))
        result.append(_Beside(tuple(objects), tuple(unlisted)))
    return result


def _field(seen: Sequence[Seen]) -> np.ndarray:
    """(H, W) bool: where objects are in some frame, and FIELD pixels around."""
    boxes = np.concatenate([one.boxes[one.pixels > 0] for one in seen])
    low, high = boxes[:, :2].astype(int) - FIELD, (boxes[:, :2] + boxes[:, 2:]).astype(int) + FIELD
    field = np.zeros((1024, 1024), bool)
    for (x0, y0), (x1, y1) in zip(low.clip(0), high, strict=True):
        field[y0:y1, x0:x1] = True
    return field


def _fits(part: Part, typical: np.ndarray) -> bool:
    """Whether something is no larger than its class."""
    return part.box[2] <= LARGER * typical[0] and part.box[3] <= LARGER * typical[1]


def _judged(one: Seen, beside: _Beside, still: Truth, colors: DrawnColors, typical: np.ndarray) -> Drawn:
    """Divide what is seen in a frame into what should be found and what is neutral."""
    kinds = np.full(len(one.classes), "", object)
    kinds[one.pixels < SLIVER * typical[one.classes, 2]] = "sliver"
    kinds[_hidden(one, colors) > HIDDEN] = "undecided"
    kinds[one.pixels == 0] = "nothing"
    names = np.array(colors.classes, object)[one.classes]
    unshown = np.zeros((len(names), 4), np.float32)  # where it is does not matter: it cannot be found
    neutral = {
        "still": still,
        "undecided": _truth(one.boxes, names, kinds == "undecided"),
        "sliver": _truth(one.boxes, names, kinds == "sliver"),
        "unlisted": _named(beside.unlisted, colors),
        "twice": _truth(one.twice, names, one.twice[:, 2] > 0),
        "unshown": _truth(unshown, names, one.unshown),
    }
    truth = join([_truth(one.boxes, names, kinds == ""), _named(beside.objects, colors)])
    return Drawn(truth, join(list(neutral.values())), tuple(k for k, found in neutral.items() for _ in found.names))


def _truth(boxes: np.ndarray, names: np.ndarray, chosen: np.ndarray) -> Truth:
    return Truth(boxes[chosen], tuple(names[chosen].tolist()))


def _named(parts: Sequence[tuple[Part, int]], colors: DrawnColors) -> Truth:
    boxes = np.array([part.box for part, _ in parts], np.float32).reshape(-1, 4)
    return Truth(boxes, tuple(colors.classes[c] for _, c in parts))


def _hidden(one: Seen, colors: DrawnColors) -> np.ndarray:
    """The largest fraction of each box that is under the box of another object with some of its colours: (n,)."""
    boxes, shares = one.boxes, colors.shares()[one.classes][:, one.classes]
    common = intersection(boxes, boxes) * shares
    np.fill_diagonal(common, 0)
    return common.max(axis=1, initial=0) / np.maximum(np.prod(boxes[:, 2:], axis=1), 1)
