"""Objects frame by frame -> rows that stay with their object, with velocities.

A learned detector misses objects (a few in a hundred), shakes by a pixel and at times sees what is not there.
So a tracker that only asks "which box is nearest?" swaps objects and makes up speeds. This one predicts each
object's place, assigns detections to objects of one class all at once (as SORT does, Bewley et al. 2016,
https://arxiv.org/abs/1602.00763), keeps a lost object for a few steps, and reports no speed for an object
that it sees for the first time.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.config import SceneConfig

if TYPE_CHECKING:
    from spacetime_env.scene import Detections

FEATURES = ("presence", "x", "y", "width", "height", "dx", "dy")

# The tracker's own numbers. They are ratios, so they hold for any game; max_speed and keep are the game's.
REACH = 1.5  # max_speeds an object may be from where it was expected (a diagonal step is 1.41 of them) ...
REACH_GROWTH = 0.25  # ... and this part more for each step it was not seen
TURN = 0.75  # weight of the last place, beside the expected one, for an object that may have turned round
DOUBT = 0.25  # cost of a detection of no confidence; one at the edge of the reach costs 1
STALE = 0.1  # cost for each step an object was not seen: where two merge into one box, it stays one's own
SMOOTH = 0.5  # part of the newest displacement in the velocity that predicts


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
        self._groups = {name: _Group(count, config) for name, count in counts.items() if count}
        self._class_names: tuple[str, ...] | None = None
        self._group_of: list[_Group | None] = []
        self.reset()

    def reset(self) -> None:
        """Forget all objects."""
        for group in self._groups.values():
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
            self._class_names = detections.class_names
            self._group_of = [self._groups.get(name) for name in detections.class_names]
        for group in self._groups.values():
            group.seen.clear()
        boxes, confidence = detections.boxes.tolist(), detections.confidence.tolist()
        for i, class_id in enumerate(detections.class_ids.tolist()):
            if (group := self._group_of[class_id]) is not None:
                x, y, w, h = boxes[i]
                group.seen.append(_Seen(i, complex(x + w / 2, y + h / 2), w, h, confidence[i]))
        height, width = self.native
        scale = 1.0 / self.config.max_speed
        rows: list[Sequence[float]] = []
        sources: list[int] = []
        for group in self._groups.values():
            group.update()
            for track in group.tracks:
                if track is None:
                    rows.append(_EMPTY)
                    sources.append(-1)
                    continue
                rows.append(
                    (
                        0.0 if track.missed else 1.0,
                        _cut(2 * track.at.real / width - 1),
                        _cut(2 * track.at.imag / height - 1),
                        _cut(track.w / width),
                        _cut(track.h / height),
                        _cut(track.step.real * scale),
                        _cut(track.step.imag * scale),
                    )
                )
                sources.append(track.source)
        self.sources = tuple(sources)
        return np.array(rows, np.float32)


_EMPTY = (0.0,) * len(FEATURES)


def _cut(value: float) -> float:
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value


# Places are complex numbers x + iy in native pixels: a difference and its length are one operation each.


class _Seen:
    """A detection: its index, the place of its centre, size in native pixels, confidence."""

    __slots__ = ("at", "confidence", "h", "index", "w")

    def __init__(self, index: int, at: complex, w: float, h: float, confidence: float) -> None:
        self.index, self.at, self.w, self.h, self.confidence = index, at, w, h, confidence


class _Track:
    """An object: its last place and size, last displacement, predicting velocity, steps not seen."""

    __slots__ = ("at", "h", "missed", "moved", "source", "step", "velocity", "w")

    def __init__(self, seen: _Seen) -> None:
        self.at, self.w, self.h, self.source = seen.at, seen.w, seen.h, seen.index
        self.step = self.velocity = 0j
        self.missed = 0
        self.moved = False  # whether a displacement was measured yet

    def see(self, seen: _Seen) -> None:
        self.step = (seen.at - self.at) / (self.missed + 1)
        self.velocity += (SMOOTH if self.moved else 1.0) * (self.step - self.velocity)
        self.at, self.w, self.h, self.source = seen.at, seen.w, seen.h, seen.index
        self.missed = 0
        self.moved = True

    def miss(self) -> None:
        self.missed += 1
        self.step = 0j
        self.source = -1


class _Group:
    """The slots of one class."""

    def __init__(self, slots: int, config: SceneConfig) -> None:
        self.slots = slots
        self.keep = config.keep
        self.reach = REACH * config.max_speed
        self.seen: list[_Seen] = []
        self.reset()

    def reset(self) -> None:
        self.tracks: list[_Track | None] = [None] * self.slots
        self.waiting: list[_Seen] = []  # seen in the last step, but no slot was free

    def update(self) -> None:
        """Bring the tracks up to date with ``seen``."""
        alive = [track for track in self.tracks if track is not None]
        taken = self._match(alive) if alive and self.seen else [None] * len(alive)
        for track, seen in zip(alive, taken, strict=True):
            if seen is not None:
                track.see(seen)
            else:
                track.miss()
                if track.missed > self.keep:
                    self.tracks[self.tracks.index(track)] = None
        if len(alive) == len(self.seen) and None not in taken:
            self.waiting = []
            return
        used = {id(seen) for seen in taken}
        self._place([seen for seen in self.seen if id(seen) not in used])

    def _match(self, alive: list[_Track]) -> list[_Seen | None]:
        """The detection of each track, or None."""
        if len(alive) == 1:
            costs = [self._cost(alive[0], seen) for seen in self.seen]
            best = min(costs)
            return [self.seen[costs.index(best)] if best < 1.0 else None]
        # A pair that costs 1 means "neither": so an object may go without rather than take one far away.
        cost = np.minimum(self._costs(alive), 1.0)
        rows, columns = np.arange(len(alive)), cost.argmin(axis=1)
        if len(set(columns.tolist())) < len(alive):  # where no two want the same, no assignment costs less
            rows, columns = linear_sum_assignment(cost)
        taken: list[_Seen | None] = [None] * len(alive)
        pairs = zip(rows.tolist(), columns.tolist(), cost[rows, columns].tolist(), strict=True)
        for row, column, paid in pairs:
            if paid < 1.0:
                taken[row] = self.seen[column]
        return taken

    def _cost(self, track: _Track, seen: _Seen) -> float:
        """As :meth:`_costs`, for one pair: most classes have one object, and this is ten times as fast."""
        off = seen.at - track.at
        from_last, expected = abs(off), abs(off - track.velocity * (track.missed + 1))
        distance = min(expected, expected + TURN * (from_last - expected))
        reach = self.reach * (1.0 + REACH_GROWTH * track.missed)
        return math.sqrt(distance / reach) + DOUBT * (1.0 - seen.confidence)  # alone, so never stale

    def _costs(self, alive: list[_Track]) -> np.ndarray:
        """(tracks, detections): root of the distance from the expected place in reaches, plus the doubt.

        The root makes one far and many near cheaper than all at middle distance: where one of a row of
        invaders is missed and another appears at its end, the rest stay themselves. An object that turned
        round is nearer to its last place than to the expected one, and that counts too, but less: or two
        that cross would be taken for two that stand still.
        """
        missed = np.array([[t.missed] for t in alive], float)  # (tracks, 1)
        ahead = np.array([[t.velocity * (t.missed + 1)] for t in alive])
        off = np.array([s.at for s in self.seen]) - np.array([[t.at] for t in alive])  # (tracks, detections)
        from_last, expected = np.abs(off), np.abs(off - ahead)
        distance = np.minimum(expected, expected + TURN * (from_last - expected))
        doubt = np.array([DOUBT * (1.0 - s.confidence) for s in self.seen])
        return np.sqrt(distance / (self.reach * (1.0 + REACH_GROWTH * missed))) + doubt + STALE * missed

    def _place(self, new: list[_Seen]) -> None:
        """Give slots to detections that belong to no track; those without one wait."""
        free = [i for i, track in enumerate(self.tracks) if track is None]
        if len(new) > len(free):
            new.sort(key=lambda seen: -seen.confidence)
            new, surplus = new[: len(free)], new[len(free) :]
        else:
            surplus = []
        if len(new) > 1:  # line by line, as one reads: a level that starts the same way fills its slots so
            line = max(seen.h for seen in new) or 1.0
            new.sort(key=lambda seen: (seen.at.imag // line, seen.at.real))
        for i, seen in zip(free, new, strict=False):
            self.tracks[i] = _Track(seen)
        waited, self.waiting = self.waiting, []
        for seen in surplus:
            lost = [i for i, track in enumerate(self.tracks) if track is not None and track.missed]
            if lost and any(abs(seen.at - w.at) <= self.reach for w in waited):
                longest = max(lost, key=lambda i: self.tracks[i].missed)  # type: ignore[union-attr]
                self.tracks[longest] = _Track(seen)
            else:
                self.waiting.append(seen)
