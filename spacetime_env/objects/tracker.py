"""Objects frame by frame -> rows that stay with their object, with velocities.

A learned detector misses objects (a few in a hundred), shakes by a pixel and at times sees what is not there.
So a tracker that only asks "which box is nearest?" swaps objects and makes up speeds. This one predicts each
object's place, assigns detections to objects of one class all at once (as SORT does, Bewley et al. 2016,
https://arxiv.org/abs/1602.00763), keeps a lost object for a few steps, and reports no speed for an object
that it sees for the first time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spacetime_env.compiled import INSTALLED
from spacetime_env.config import SceneConfig
from spacetime_env.files import did_you_mean, shown, shown_names
from spacetime_env.objects import slots
from spacetime_env.objects.detections import Detections

loops: Any = None
if INSTALLED:
    from spacetime_env.objects import slots_compiled

    loops = slots_compiled

FEATURES = ("presence", "x", "y", "width", "height", "dx", "dy")


class Objects(NamedTuple):
    """What a tracker knows: copies of its slots and of the detections that wait for one."""

    slots: np.ndarray  # (S,) of spacetime_env.objects.slots.OBJECT
    waiting: np.ndarray  # (k,) of spacetime_env.objects.slots.WAITING
    class_names: tuple[str, ...] | None  # those that class_id counts


class Tracker:
    """Gives each object a slot that stays its own, and says where it is and how it moves.

    Slots are grouped by class, in the order of ``config.classes``; a class has as many as ``config.slots``
    says (one where it says nothing, none for 0). The rules:

    - Detections go to the objects of their class so that the sum of their distances to the expected places
      is least. What is out of reach (``1.5 * max_speed``, more after a loss) is another object, and it
      costs less to leave one object without a detection than to shift a whole row of them by one.
    - An object not seen keeps its last place for ``config.keep`` steps with presence 0 and no speed. Then
      its row is zeros and its slot is free.
    - An object behind another one that is seen is shown for two steps where it is expected, with presence 1
      and the speed that it had.
    - An object is known by its place too: where a detection of another class has its place or, within half
      the reach, its size, it is that object, called otherwise for a step. Names are votes. An object has up
      to 8 for its class, and goes to another class, with its speed, when they are used up.
    - A new object takes a free slot at once. Where all slots are taken and one of them is lost, it must be
      seen in two steps to take that one: a single false detection cannot.
    - dx, dy are the displacement since the last step; 0 where an object is seen for the first time, and the
      mean over the gap where it comes back.

    Args:
        config: classes, slots, keep, max_speed.
        native: H, W of the frame in pixels.

    Attributes:
        slot_names: the name of each row, such as ``("Player", "Ghost0", "Ghost1")``.
        counts: class name -> number of its slots, of the classes that have any.
        compiled: whether it takes its steps with :mod:`spacetime_env.objects.slots_compiled`: where numba is
            installed. Otherwise with :mod:`spacetime_env.objects.slots`.

    Raises:
        ValueError: slots for a class that does not exist, or no slot at all.
    """

    def __init__(self, config: SceneConfig, native: tuple[int, int]) -> None:
        for name in config.slots:
            if name not in config.classes:
                hint = did_you_mean(name, config.classes) or f"Classes: {shown_names(config.classes)}."
                raise ValueError(f"slots are given for a class {shown(name)} that is not in classes. {hint}")
        counts = {name: config.slots.get(name, 1) for name in config.classes}
        if sum(counts.values()) < 1:
            raise ValueError("expected a class with a slot; set classes and slots in the model's scene.")
        self.config = config
        self.native = native
        self.slot_names = tuple(
            name if count == 1 else f"{name}{i}" for name, count in counts.items() for i in range(count)
        )
        self.counts = {name: count for name, count in counts.items() if count}
        self._classes = tuple(name for name, count in counts.items() for _ in range(count))
        height, width = native
        self._rules = slots.Rules(config.keep, slots.REACH * config.max_speed, config.max_speed, height, width)
        self.compiled = loops is not None
        self._class_names: tuple[str, ...] | None = None
        self._objects = slots.empty(np.full(len(self._classes), -1))
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        self._objects["alive"], self._objects["missed"] = False, 0
        self._waiting = np.zeros(0, slots.WAITING)

    def remember(self) -> Objects:
        """All that it knows of the objects."""
        return Objects(self._objects.copy(), self._waiting.copy(), self._class_names)

    def recall(self, objects: Objects) -> None:
        """Know what was known then.

        Raises:
            ValueError: it has other slots.
        """
        if len(objects.slots) != len(self._objects):
            raise ValueError(f"expected the state of {len(self._objects)} slots, got {len(objects.slots)}.")
        self._objects, self._waiting, self._class_names = objects.slots.copy(), objects.waiting.copy(), None
        if objects.class_names is not None:
            self._know(objects.class_names)

    @property
    def sources(self) -> tuple[int, ...]:
        """For each slot, the index of its detection in the last frame, or -1."""
        return tuple(np.where(self._objects["alive"], self._objects["source"], -1).tolist())

    @property
    def dropped(self) -> int:
        """How many detections of the last frame are in no slot, since their class has too few."""
        return len(self._waiting)

    def update(self, detections: Detections) -> np.ndarray:
        """Take the objects of the next frame.

        Returns:
            (slots, 7) float32, the columns of :data:`FEATURES`: presence 0 or 1; x, y of the centre in [-1,
            1]; width, height as fractions of the frame; dx, dy in units of ``max_speed`` pixels a step, cut to
            [-1, 1]. After the call ``sources`` holds, for each slot, the index of its detection, or -1.
        """
        if detections.class_names is not self._class_names:  # one tuple a model: the first frame only
            self._know(detections.class_names)
        out = np.empty((len(self._objects), len(FEATURES)), np.float32)
        step = loops.step if self.compiled else slots.step
        seen = detections.boxes, detections.class_ids, detections.confidence
        self._waiting = step(self._objects, self._waiting, *seen, self._rules, out)
        return out

    def _know(self, class_names: tuple[str, ...]) -> None:
        """Take the numbers of classes as indices into ``class_names``."""
        self._class_names = class_names
        self._objects["class_id"] = [class_names.index(name) if name in class_names else -1 for name in self._classes]
