"""Objects frame by frame -> rows that stay with their object, with velocities.

A learned detector misses objects (a few in a hundred), shakes by a pixel and at times sees what is not there.
So a tracker that only asks "which box is nearest?" swaps objects and makes up speeds. This one predicts each
object's place, assigns detections to objects of one class all at once (as SORT does, Bewley et al. 2016,
https://arxiv.org/abs/1602.00763), keeps a lost object for a few steps, and reports no speed for an object
that it sees for the first time.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from spacetime_env.compiled import INSTALLED
from spacetime_env.config import SceneConfig
from spacetime_env.objects.slot_arrays import ManySlots, SlotArrays
from spacetime_env.objects.slots import DOUBT, MANY, REACH, REACH_GROWTH, SMOOTH, STALE, TURN, FewSlots, Sight

if TYPE_CHECKING:
    from spacetime_env.objects.detections import Detections

loops: Any = None
if INSTALLED:
    from spacetime_env.objects import tracker_compiled

    loops = tracker_compiled

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
        self._state = SlotArrays.of(len(self.slot_names))  # of those groups that are kept in arrays
        self._groups: list[tuple[FewSlots | ManySlots, str, slice]] = []
        at = 0
        for name, count in counts.items():
            if count >= MANY or (count and loops is not None):
                own = ManySlots(self._state.part(at, at + count), reach, config.keep)
                self._groups.append((own, name, slice(at, at + count)))
            elif count:
                self._groups.append((FewSlots(count, reach, config.keep), name, slice(at, at + count)))
            at += count
        self._ends = np.array([rows.stop for _, _, rows in self._groups], np.int64)
        self._class_names: tuple[str, ...] | None = None
        self._ids: list[int] = []  # of each group's class in what the model finds
        self._group_of = np.zeros(0, np.int64)  # of each class the model finds, its group or -1
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        for group, _, _ in self._groups:
            group.reset()
        self._sources: tuple[int, ...] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy's groups look at the copy's arrays, as those of the original at its own."""
        self.__dict__.update(state)
        for group, _, at in self._groups:
            if isinstance(group, ManySlots):
                group.state = self._state.part(at.start, at.stop)

    @property
    def sources(self) -> tuple[int, ...]:
        """For each slot, the index of its detection in the last frame, or -1."""
        if self._sources is None:  # asked for less often than it changes
            self._sources = tuple(source for group, _, _ in self._groups for source in group.sources())
        return self._sources

    def update(self, detections: Detections) -> np.ndarray:
        """Take the objects of the next frame.

        Returns:
            (slots, 7) float32, the columns of :data:`FEATURES`: presence 0 or 1; x, y of the centre in [-1,
            1]; width, height as fractions of the frame; dx, dy in units of ``max_speed`` pixels a step, cut to
            [-1, 1]. After the call ``sources`` holds, for each slot, the index of its detection, or -1.
        """
        if detections.class_names is not self._class_names:  # one tuple a model: the first frame only
            known = self._class_names = detections.class_names
            self._ids = [known.index(name) if name in known else -1 for _, name, _ in self._groups]
            group_of = [self._ids.index(i) if i in self._ids else -1 for i in range(len(known))]
            self._group_of = np.array(group_of, np.int64)
        out = np.zeros((len(self.slot_names), len(FEATURES)), np.float32)
        left: list[bool] | None = None
        if loops is not None:
            seen = (detections.boxes, detections.class_ids, detections.confidence, self._group_of, self._ends)
            rules = (REACH_GROWTH, TURN, DOUBT, STALE, SMOOTH)
            settings = (self.config.keep, REACH * self.config.max_speed, rules, self.native, self.config.max_speed)
            left = loops.track(*seen, *self._state.all(), *settings, out).tolist()
        self._sources = None
        for i, (group, _, _) in enumerate(self._groups):
            if left is None or left[i]:
                self._update(i, detections, out)
            elif isinstance(group, ManySlots) and len(group.waiting):
                group.waiting = group.waiting[:0]
        return out

    def _update(self, number: int, detections: Detections, out: np.ndarray) -> None:
        """Bring one group up to date, and put its rows into ``out``."""
        group, _, at = self._groups[number]
        chosen = (detections.class_ids == self._ids[number]).nonzero()[0]
        boxes, confidence = detections.boxes[chosen].astype(float), detections.confidence[chosen]
        if isinstance(group, ManySlots):
            center = boxes[:, :2] + boxes[:, 2:] / 2
            group.update(chosen, center.view(complex)[:, 0], boxes[:, 2:], confidence)
        else:
            group.update(
                [
                    Sight(i, complex(x + w / 2, y + h / 2), w, h, sure)
                    for i, (x, y, w, h), sure in zip(chosen.tolist(), boxes.tolist(), confidence.tolist(), strict=True)
                ]
            )
        out[at] = group.rows(self.native, self.config.max_speed)
