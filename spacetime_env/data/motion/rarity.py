"""Motion as parts with rare colours, joined to objects.

The stages, in order; their settings are in :class:`~spacetime_env.config.RarityConfig`:

1. **Rare:** a pixel is foreground if its colour is rare at this place in the whole set, and was not there nearly all
   the time around the frame. So a pellet is background, and so is the path after it is eaten.
2. **Parts:** connected pixels of one colour. Pixels whose colour is nearly always at this place belong to no part, so a
   paddle that touches a wall of its colour is separated from it; but if they have a shape that moves elsewhere, they
   are a part. A known shape is also separated from steady pixels of its colour. A part whose outline adjoins pixels of
   no part is a hole.
3. **Vote:** a part is accepted if enough of its pixels are foreground, and if an object can have its size.
4. **Parked:** a part is also accepted if its shape was often accepted at other places.
5. **Join:** parts near each other are one object if they have one colour, or colours that mostly occur together, or if
   the shape of one is hardly ever seen without the colour of the other.
6. **Still:** an object that consists of shapes that hardly ever move is dropped.
7. **Flicker:** objects of the sub-frame before that have no counterpart in the frame are added.

No labels are used. docs/games.md has figures for the settings and the stages.
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

KEPT = 256  # masks of parked objects, of one frame each


@dataclass(frozen=True)
class View:
    """The input of the stages: one frame."""

    ids: np.ndarray  # (H, W) uint8 palette ids
    steadiness: np.ndarray  # (H, W) 0 to 1: fraction of the frames around it in which the pixel has this colour
    before: np.ndarray | None = None  # (H, W) uint8 palette ids of the sub-frame before; None: not used


@dataclass(frozen=True)
class Stages:
    """The result of stages 1 to 3 on one frame or sub-frame with n parts."""

    foreground: np.ndarray  # (H, W) bool, rare pixels
    parts: Parts
    usable: np.ndarray  # (n,) bool, parts of a size that an object can have, without holes
    voted: np.ndarray  # (n,) bool, usable and mostly foreground
    steadiness: np.ndarray  # (n,) 0 to 1


@dataclass(frozen=True)
class Objects:
    """The n objects in one frame or sub-frame with m parts."""

    boxes: np.ndarray  # (n, 4) float32, x, y, w, h in native pixels
    colors: np.ndarray  # (n,) the palette id of each object's largest part
    members: list[list[int]]  # the indices of each object's parts
    parked: np.ndarray  # (m,) bool, parts that were accepted by stage 4


@dataclass(frozen=True)
class Trace:
    """The result of every stage on a frame. Mask and boxes are those that :meth:`RareMotion.of` returns."""

    mask: np.ndarray  # (H, W) bool
    boxes: np.ndarray  # (n, 4) float32, x, y, w, h in native pixels, largest first
    stages: Stages
    objects: Objects
    added: np.ndarray  # (k, 4) float32, those of the boxes that stage 7 added


class RareMotion:
    """The stages, and what they have learned from a set of frames. Call :meth:`learn` first, then :meth:`of`.

    Args:
        counts: of all frames of the set.
    """

    def __init__(self, config: MotionConfig, counts: ColorCounts) -> None:
        self._config, self._rare = config, config.rarity
        self._counts = counts
        self._shapes = Shapes(config.rarity)
        self._touching = Touching(config.rarity)
        self._parked: dict[bytes, np.ndarray] = {}  # see _parked_in

    def learn(self, views: Iterable[View]) -> None:
        """Learn from some frames of the set which shapes move and which colours touch."""
        self._parked.clear()
        for view in views:
            stages = self.stages(view.ids, view.steadiness, learning=True)
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
        """Mask and boxes of one frame, with the results of the stages. It costs no more than :meth:`of`."""
        stages = self.stages(view.ids, view.steadiness)
        objects = self.objects(stages)
        mask, boxes, added = _mask(stages.parts, objects.members), objects.boxes, NO_BOXES
        if view.before is not None:
            # A pixel that differs between two sub-frames is not steady.
            steadiness = np.where(view.before == view.ids, view.steadiness, 0)
            earlier = self.stages(view.before, steadiness)
            extra = self.objects(earlier)
            new = [i for i in range(len(extra.boxes)) if not self._seen_again(extra, i, objects)]
            mask = mask | _mask(earlier.parts, [extra.members[i] for i in new])
            added = extra.boxes[new]
            boxes = np.concatenate([boxes, added])
        boxes = boxes[np.lexsort((boxes[:, 0], boxes[:, 1], -boxes[:, 2] * boxes[:, 3]))]
        return Trace(mask, boxes, stages, objects, added)

    def stages(self, ids: np.ndarray, steadiness: np.ndarray, learning: bool = False) -> Stages:
        """Stages 1 to 3 on one frame or sub-frame.

        Args:
            ids: (H, W) uint8 palette ids.
            steadiness: (H, W) 0 to 1.
            learning: no shape is known yet.
        """
        config, (height, width) = self._rare, ids.shape
        share = self._counts.share(ids)
        foreground = (share < config.share) & (steadiness < config.steady)
        varied = share < config.always
        if learning:
            parts = find_parts(ids, varied)
        else:
            parts = find_parts(ids, varied | self._parked_in(ids, varied))
            parts = self._apart(ids, (share >= config.share) & (steadiness >= config.steady), parts)
        wide, high = parts.boxes[:, 2], parts.boxes[:, 3]
        usable = (parts.areas <= config.part_area * ids.size) & (wide <= config.part_width * width)
        usable &= (high <= config.part_height * height) & (open_edge(parts, ids) <= config.open_edge)
        voted = usable & (parts.mean(foreground) >= config.vote)
        return Stages(foreground, parts, usable, voted, parts.mean(steadiness))

    def _parked_in(self, ids: np.ndarray, varied: np.ndarray) -> np.ndarray:
        """(H, W) bool: the pixels of objects that are always at this place. It is kept for the frames that follow.

        Of two chickens one never leaves its place. It has the shape of the other.

        Args:
            varied: (H, W) bool, pixels whose colour is not always at this place.
        """
        key = np.packbits(varied).tobytes()  # a pixel that is always of one colour is of this one
        if key not in self._parked:
            if len(self._parked) == KEPT:
                self._parked.clear()
            always = find_parts(ids, ~varied)
            fits = (always.areas >= self._rare.parked_area) & (always.areas <= self._rare.part_area * ids.size)
            parked = np.zeros(ids.shape, bool)
            for i in np.flatnonzero(fits).tolist():
                if self._shapes.parked(always.shape(i)):
                    parked |= always.labels == i + 1
            self._parked[key] = parked
        return self._parked[key]

    def _apart(self, ids: np.ndarray, scenery: np.ndarray, parts: Parts) -> Parts:
        """Separate objects from scenery of their colour that they touch: a player from a line of the court.

        What is left of a part without its scenery must have a size that objects of this colour have elsewhere.

        Args:
            scenery: (H, W) bool, pixels whose colour is frequent at this place and was there all the time.
        """
        cut = np.zeros(ids.shape, bool)
        fraction = parts.mean(scenery)
        for i in np.flatnonzero((fraction > 0) & (fraction < 1) & (parts.areas >= self._rare.parked_area)).tolist():
            x, y, w, h = parts.boxes[i].tolist()
            place = np.s_[y : y + h, x : x + w]
            own = parts.bitmap(i)
            rest = find_parts(ids[place], own & ~scenery[place])
            kept = np.zeros(own.shape, bool)
            for j in np.flatnonzero(rest.areas >= self._rare.parked_area).tolist():
                left, top, wide, high = rest.boxes[j].tolist()
                if self._shapes.known_size(int(rest.colors[j]), wide, high):
                    kept[top : top + high, left : left + wide] = True
            if kept.any():
                cut[place] |= own & scenery[place] & ~kept
        return find_parts(ids, (parts.labels > 0) & ~cut) if cut.any() else parts

    def objects(self, stages: Stages) -> Objects:
        """Stages 4 to 6: the objects of one frame or sub-frame."""
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
        if one == two or self._touching.together(one, two) >= self._rare.touching:
            return True
        return self._touching.beside(parts.shape(i), two) or self._touching.beside(parts.shape(j), one)

    def _still(self, parts: Parts, group: list[int]) -> bool:
        areas = parts.areas[group]
        still = np.array([self._shapes.still(parts.shape(i)) for i in group])
        return bool(areas[still].sum() > areas.sum() / 2)

    def _seen_again(self, earlier: Objects, i: int, now: Objects) -> bool:
        """Whether object ``i`` of the sub-frame before is in the frame too: at its place, or near and in its colour."""
        if not len(now.boxes):
            return False
        box = earlier.boxes[i]
        low, high = now.boxes[:, :2], now.boxes[:, :2] + now.boxes[:, 2:]
        common = np.clip(np.minimum(high, box[:2] + box[2:]) - np.maximum(low, box[:2]), 0, None).prod(1)
        if (common > self._rare.same_place * (now.boxes[:, 2:].prod(1) + box[2:].prod() - common)).any():
            return True  # an object that blinks: a frightened ghost is white, then blue
        away = np.abs(now.boxes[:, :2] + now.boxes[:, 2:] / 2 - box[:2] - box[2:] / 2).max(1)
        size = np.maximum(now.boxes[:, 2:].max(1), box[2:].max())
        # In a sub-frame (1/60 s) a small object moves by up to 6 pixels. The box of a large one also changes with its
        # animation.
        reach = np.clip(1.5 * size, 6, 12)
        return bool(((now.colors == earlier.colors[i]) & (away <= reach)).any())


def _mask(parts: Parts, members: list[list[int]]) -> np.ndarray:
    """(H, W) bool: the pixels of the parts of some objects."""
    chosen = np.zeros(len(parts) + 1, bool)
    chosen[[i + 1 for group in members for i in group]] = True
    return chosen[parts.labels]
