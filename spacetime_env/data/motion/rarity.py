"""Motion targets from exact colours: what is rare at its place, in whole parts, joined to objects.

Stages, in order; each has its settings in :class:`~spacetime_env.config.RarityConfig`:

1. **Rare:** a pixel is foreground if its colour is rare at that place in the whole set, and was not there
   nearly all the time around the frame. So a pellet and the path that it leaves are both background.
2. **Parts:** connected pixels of one colour, cut where a colour is practically always: a paddle that touches
   a wall of its colour is not the wall. A part whose outline is open to such pixels is a hole in something.
3. **Vote:** a part is taken if enough of it is foreground, and if an object can have its size.
4. **Parked:** it is also taken if the same shape was taken often, elsewhere.
5. **Join:** parts near each other are one object if of one colour, or of colours that are mostly found together.
6. **Still:** an object that consists of shapes that never move is not taken.
7. **Flicker:** what was drawn in the sub-frame before, and has no counterpart in the frame, is added.

No labels are used. Settings and what each stage gives: docs/games.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spacetime_env.config import MotionConfig
from spacetime_env.data.motion.background import ColorCounts
from spacetime_env.data.motion.difference import NO_BOXES
from spacetime_env.data.motion.parts import Parts, find_parts, join, neighbours, open_edge
from spacetime_env.data.motion.shapes import Shapes, Touching


@dataclass(frozen=True)
class View:
    """One frame as the stages want it."""

    ids: np.ndarray  # (H, W) uint8 palette ids
    steadiness: np.ndarray  # (H, W) 0 to 1: fraction of the time around the frame that the pixel had this colour
    before: np.ndarray | None = None  # (H, W) uint8 palette ids of the sub-frame before; None: not looked at


@dataclass(frozen=True)
class Stages:
    """What the stages made of one picture; for people to look at, and for the next stage."""

    foreground: np.ndarray  # (H, W) bool, rare pixels
    parts: Parts
    usable: np.ndarray  # (n,) bool, of a size that an object can have, and not a hole
    voted: np.ndarray  # (n,) bool, usable and mostly foreground
    steadiness: np.ndarray  # (n,) 0 to 1


@dataclass(frozen=True)
class Objects:
    """What was found in one picture."""

    boxes: np.ndarray  # (n, 4) float32, x, y, w, h in native pixels
    colors: np.ndarray  # (n,) the palette id that most of the object has
    members: list[list[int]]  # the parts of each
    parked: np.ndarray  # of the parts, (m,) bool, those that were taken without a vote


@dataclass(frozen=True)
class Trace:
    """What each stage made of a frame. Masks and boxes are what :meth:`RareMotion.of` gives."""

    mask: np.ndarray  # (H, W) bool
    boxes: np.ndarray  # (n, 4) float32, x, y, w, h in native pixels, largest first
    stages: Stages
    objects: Objects
    added: np.ndarray  # (k, 4) float32, of the boxes, those of the sub-frame before alone


class RareMotion:
    """The stages, with what they learned from a set of frames. Learn first, then ask :meth:`of` each frame."""

    def __init__(self, config: MotionConfig, counts: ColorCounts) -> None:
        """``counts``: of all frames of the set."""
        self._config, self._rare = config, config.rarity
        self._counts = counts
        self._shapes = Shapes(config.rarity)
        self._touching = Touching()

    def learn(self, views: Iterable[View]) -> None:
        """Learn shapes and touching colours from some frames of the set."""
        for view in views:
            stages = self.stages(view.ids, view.steadiness)
            parts, voted = stages.parts, np.flatnonzero(stages.voted)
            large = stages.voted & (parts.areas >= self._rare.parked_area)
            self._shapes.learn(parts, stages.usable, large, stages.steadiness)
            self._touching.learn(parts, voted, neighbours(parts, voted, self._rare.gap))

    def of(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Mask and boxes of one frame.

        Returns:
            (H, W) bool, and (n, 4) float32 ``x, y, w, h``, largest first.
        """
        trace = self.trace(view)
        return trace.mask, trace.boxes

    def trace(self, view: View) -> Trace:
        """The same with what each stage made of the frame, for pictures; it costs no more."""
        stages = self.stages(view.ids, view.steadiness)
        objects = self.objects(stages)
        mask, boxes, added = _mask(stages.parts, objects.members), objects.boxes, NO_BOXES
        if view.before is not None:
            # What differs between two sub-frames was not there, just so, for most of the time.
            steadiness = np.where(view.before == view.ids, view.steadiness, 0)
            earlier = self.stages(view.before, steadiness)
            extra = self.objects(earlier)
            new = [i for i in range(len(extra.boxes)) if not self._seen_again(extra, i, objects)]
            mask = mask | _mask(earlier.parts, [extra.members[i] for i in new])
            added = extra.boxes[new]
            boxes = np.concatenate([boxes, added])
        boxes = boxes[np.lexsort((boxes[:, 0], boxes[:, 1], -boxes[:, 2] * boxes[:, 3]))]
        return Trace(mask, boxes, stages, objects, added)

    def stages(self, ids: np.ndarray, steadiness: np.ndarray) -> Stages:
        """Stages 1 to 3 of one picture: (H, W) palette ids, (H, W) 0 to 1."""
        config, (height, width) = self._rare, ids.shape
        share = self._counts.share(ids)
        foreground = (share < config.share) & (steadiness < config.steady)
        parts = find_parts(ids, share < config.always)
        wide, high = parts.boxes[:, 2], parts.boxes[:, 3]
        usable = (parts.areas <= config.part_area * ids.size) & (wide <= config.part_width * width)
        usable &= (high <= config.part_height * height) & (open_edge(parts, ids) <= config.open_edge)
        voted = usable & (parts.mean(foreground) >= config.vote)
        return Stages(foreground, parts, usable, voted, parts.mean(steadiness))

    def objects(self, stages: Stages) -> Objects:
        """Stages 4 to 6."""
        config, parts = self._rare, stages.parts
        taken = stages.voted.copy()
        for i in np.flatnonzero(stages.usable & ~taken & (parts.areas >= config.parked_area)).tolist():
            taken[i] = self._shapes.parked(parts.shape(i))
        chosen = np.flatnonzero(taken)
        pairs = [(i, j) for i, j in neighbours(parts, chosen, config.gap) if self._belong(parts, i, j)]
        groups = [group for group in join(chosen.tolist(), pairs) if not self._still(parts, group)]
        boxes, colors, members = [], [], []
        height, width = parts.labels.shape
        for group in groups:
            low = parts.boxes[group, :2].min(0)
            size = (parts.boxes[group, :2] + parts.boxes[group, 2:]).max(0) - low
            too_large = size[0] > config.group_width * width or size.prod() > self._config.max_area * height * width
            if not too_large and parts.areas[group].sum() >= self._config.min_area:
                boxes.append((*low, *size))
                colors.append(parts.colors[group[int(parts.areas[group].argmax())]])
                members.append(group)
        found = np.array(boxes, np.float32) if boxes else NO_BOXES
        return Objects(found, np.array(colors, np.int64), members, taken & ~stages.voted)

    def _belong(self, parts: Parts, i: int, j: int) -> bool:
        one, two = int(parts.colors[i]), int(parts.colors[j])
        return one == two or self._touching.together(one, two) >= self._rare.touching

    def _still(self, parts: Parts, group: list[int]) -> bool:
        areas = parts.areas[group]
        still = np.array([self._shapes.still(parts.shape(i)) for i in group])
        return bool(areas[still].sum() > areas.sum() / 2)

    def _seen_again(self, earlier: Objects, i: int, now: Objects) -> bool:
        """Whether an object of the sub-frame before is one of this frame's: near and of its colour, or in its place."""
        if not len(now.boxes):
            return False
        box = earlier.boxes[i]
        low, high = now.boxes[:, :2], now.boxes[:, :2] + now.boxes[:, 2:]
        common = np.clip(np.minimum(high, box[:2] + box[2:]) - np.maximum(low, box[:2]), 0, None).prod(1)
        if (common > self._rare.same_place * (now.boxes[:, 2:].prod(1) + box[2:].prod() - common)).any():
            return True  # it blinks: a frightened ghost is white, then blue
        away = np.abs(now.boxes[:, :2] + now.boxes[:, 2:] / 2 - box[:2] - box[2:] / 2).max(1)
        size = np.maximum(now.boxes[:, 2:].max(1), box[2:].max())
        # A sub-frame is 1/60 s: a small thing moves up to 6 pixels in it, a large one up to its animation.
        reach = np.clip(1.5 * size, 6, 12)
        return bool(((now.colors == earlier.colors[i]) & (away <= reach)).any())


def _mask(parts: Parts, members: list[list[int]]) -> np.ndarray:
    chosen = np.zeros(len(parts) + 1, bool)
    chosen[[i + 1 for group in members for i in group]] = True
    return chosen[parts.labels]
