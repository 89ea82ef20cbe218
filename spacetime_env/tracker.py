"""Objects frame by frame -> rows that stay with their object, with velocities.

A learned detector misses objects (a few in a hundred), shakes by a pixel and at times sees what is not there.
So a tracker that only asks "which box is nearest?" swaps objects and makes up speeds. This one predicts each
object's place, assigns detections to objects of one class all at once (as SORT does, Bewley et al. 2016,
https://arxiv.org/abs/1602.00763), keeps a lost object for a few steps, and reports no speed for an object
that it sees for the first time.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.slot_arrays import ManySlots
from spacetime_env.slots import MANY, REACH, FewSlots, Sight

if TYPE_CHECKING:
    from spacetime_env.scene import Detections

FEATURES = ("presence", "x", "y", "width", "height", "dx", "dy")

class Tracker:
    """Gives each object a slot that stays its own, and says where it is and how it moves.

    Slots are grouped by class, in the order of ``config.classes``; a class has as many as ``config.slots``
    says (one where it says nothing, none for 0). The rules:

    - Detections go to the objects of their class so that the sum of their distances to the expected places
      is least. What is out of reach (``1.5 * max_speed``, more after a loss) is another object, and it
      costs less to leave one object without a detection than to shift a whole row of them by one.
    - An object not seen keeps its last place for ``config.keep`` steps with presence 0 and no speed. Then
      its row is zeros and its slot is free.
    - A new object takes a free slot at once. Where all slots are taken and one of them is lost, it must be
      seen in two steps to take that one: a single false detection cannot.
    - dx, dy are the displacement since the last step; 0 where an object is seen for the first time, and the
      mean over the gap where it comes back.

    Args:
        config: classes, slots, keep, max_speed.
        native: H, W of the frame in pixels.

    Raises:
        ValueError: slots for a class that does not exist, or no slot at all.
    """

    def __init__(self, config: SceneConfig, native: tuple[int, int]) -> None:
        for name in config.slots:
            if name not in config.classes:
                near = difflib.get_close_matches(name, config.classes, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Classes: {', '.join(config.classes)}."
                raise ValueError(f"slots are given for a class {name!r} that is not in classes. {hint}")
        counts = {name: config.slots.get(name, 1) for name in config.classes}
        if sum(counts.values()) < 1:
            raise ValueError("expected a class with a slot; set classes and slots in the model's scene.")
        self.config = config
        self.native = native
        self.slot_names = tuple(
            name if count == 1 else f"{name}{i}" for name, count in counts.items() for i in range(count)
        )
        reach = REACH * config.max_speed
        self._groups: list[tuple[FewSlots | ManySlots, str, slice]] = []
        at = 0
        for name, count in counts.items():
            if count:
                kind = ManySlots if count >= MANY else FewSlots
                self._groups.append((kind(count, reach, config.keep), name, slice(at, at + count)))
            at += count
        few = np.zeros(sum(counts.values()), bool)
        for group, _, rows in self._groups:
            few[rows] = isinstance(group, FewSlots)
        self._few = few.nonzero()[0]
        self._class_names: tuple[str, ...] | None = None
        self._ids: list[int] = []  # of each group's class in what the model finds
        self._sights: list[list[Sight] | None] = []  # of each such class with few slots, what is seen of it
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        for group, _, _ in self._groups:
            group.reset()
        self.sources: tuple[int, ...] = (-1,) * len(self.slot_names)

    def update(self, detections: Detections) -> np.ndarray:
        """Take the objects of the next frame.

        Returns:
            (slots, 7) float32, the columns of :data:`FEATURES`: presence 0 or 1; x, y of the centre in [-1,
            1]; width, height as a part of the frame; dx, dy in units of ``max_speed`` pixels a step, cut to
            [-1, 1]. After the call ``sources`` holds, for each slot, the index of its detection, or -1.
        """
        if detections.class_names is not self._class_names:  # one tuple a model: the first frame only
            known = self._class_names = detections.class_names
            self._ids = [known.index(name) if name in known else -1 for _, name, _ in self._groups]
            few = {i for (group, *_), i in zip(self._groups, self._ids, strict=True) if isinstance(group, FewSlots)}
            self._sights = [[] if i in few else None for i in range(len(known))]
        boxes, ids, confidence = detections.boxes, detections.class_ids, detections.confidence
        sights = self._sights
        for own in sights:
            if own:
                own.clear()
        for i, class_id in enumerate(ids.tolist()):
            if (own := sights[class_id]) is not None:
                x, y, w, h = boxes[i].tolist()
                own.append(Sight(i, complex(x + w / 2, y + h / 2), w, h, float(confidence[i])))
        found: list[tuple[float, ...]] = []
        many: list[tuple[slice, np.ndarray]] = []
        sources: list[int] = []
        native, max_speed = self.native, self.config.max_speed
        for (group, _, at), wanted in zip(self._groups, self._ids, strict=True):
            if isinstance(group, ManySlots):
                chosen = (ids == wanted).nonzero()[0]
                own_boxes = boxes[chosen].astype(float)
                center = own_boxes[:, :2] + own_boxes[:, 2:] / 2
                group.update(chosen, center.view(complex)[:, 0], own_boxes[:, 2:], confidence[chosen])
                many.append((at, group.rows(native, max_speed)))
            else:
                group.update((sights[wanted] if wanted >= 0 else None) or [])
                found += group.rows(native, max_speed)
            sources += group.sources()
        self.sources = tuple(sources)
        if not many:
            return np.array(found, np.float32)
        out = np.empty((len(sources), len(FEATURES)), np.float32)
        if found:
            out[self._few] = found
        for at, rows in many:
            out[at] = rows
        return out
