"""How steadily the rows of a tracker stay with the objects that are drawn: gaps, switches and name flips.

An agent reads rows, not boxes. An object-step is a step at which a true object is drawn, and was and will be at the
steps before and after. Counted are, per 1000 object-steps:

- ``gaps``: the object is in no row, but it was in one before and will be in one again.
- ``switches``: it is in another row than it was in last, of the same class.
- ``flips``: it is in a row of another class than it was in last.
- ``ghosts``: rows that show something where no object is, true or neutral.

An object keeps its row as long as their boxes fit, as in CLEAR MOT (Bernardin and Stiefelhagen 2008,
https://doi.org/10.1155/2008/246309); all others are assigned one to one. Boxes fit if the centre of the row's is within
half the diagonal of the true one, and their IoU is at least :data:`OVERLAP`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.boxes import Truth, centeredness, divide, iou, match
from spacetime_env.evaluation.drawn import Drawn, join
from spacetime_env.evaluation.tracks import link
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.slots import REACH
from spacetime_env.objects.tracker import Tracker

OVERLAP = 0.2  # IoU from which on a row can be of an object: a box of 2 x 2 pixels that is a pixel off has 0.33
KINDS = ("gaps", "switches", "flips", "ghosts")


class Steadiness(NamedTuple):
    """Counts of all classes together, and the object-steps that they are of."""

    steps: int
    gaps: int
    switches: int
    flips: int
    ghosts: int

    def per_1000(self, kind: str) -> float:
        """How many per 1000 object-steps; NaN without any."""
        return 1000 * float(getattr(self, kind)) / self.steps if self.steps else float("nan")


class _Moment(NamedTuple):
    """An object at a step."""

    step: int
    sure: bool  # it is a true object, not a neutral one
    row: int  # -1: none


def steadiness(
    detections: Sequence[Detections],
    drawn: Sequence[Drawn],
    runs: Sequence[range],
    scene: SceneConfig,
    native: tuple[int, int],
) -> Steadiness:
    """Count gaps, switches, flips and ghosts of a tracker.

    Args:
        detections, drawn: of each frame.
        runs: ranges of consecutive frames; the tracker starts anew in each.
        scene: classes, slots, keep and max_speed of the tracker. Objects of other classes are neutral.
        native: H, W of the frames.

    Raises:
        ValueError: the scene has no slots.
    """
    tracker = Tracker(scene, native)
    classes = [name for name, count in tracker.counts.items() for _ in range(count)]
    kept = set(scene.classes) - set(scene.still)
    total: Counter[str] = Counter()
    for run in runs:
        tracker.reset()
        frames = [_followed(drawn[f], kept) for f in run]
        numbers = link([truth for truth, _, _ in frames], REACH * scene.max_speed, scene.keep)
        tracks: dict[int, list[_Moment]] = {}
        last: dict[int, int] = {}  # the last row of each object
        for step, f in enumerate(run):
            rows, boxes = _shown(tracker, detections[f])
            truth, sure, neutral = frames[step]
            taken = _assign(numbers[step], truth.boxes, rows, boxes, last)
            for number, certain in zip(numbers[step], sure, strict=True):
                moment = _Moment(step, certain, taken.get(number, -1))
                tracks.setdefault(number, []).append(moment)
            last |= taken
            left = boxes[~np.isin(rows, list(taken.values()))]
            total["ghosts"] += len(left) - len(match(_fit(left, neutral.boxes), OVERLAP))
        for moments in tracks.values():
            total += _counted(moments, classes)
    return Steadiness(total["steps"], *(total[kind] for kind in KINDS))


def _followed(one: Drawn, classes: set[str]) -> tuple[Truth, list[bool], Truth]:
    """The objects of a frame that are followed, which of them are true, and what else is there."""
    truth, others = divide([one.truth], classes)
    unsure = [kind in ("undecided", "sliver") for kind in one.kinds]  # they are there, but not all of them is seen
    hidden, beside = (
        Truth(one.neutral.boxes[part], tuple(one.neutral.names[i] for i in part))
        for part in ([i for i, value in enumerate(unsure) if value is flag] for flag in (True, False))
    )
    followed, rest = divide([hidden], classes)
    whole = join([truth[0], followed[0]])
    sure = [True] * len(truth[0].names) + [False] * len(followed[0].names)
    return whole, sure, join([others[0], rest[0], beside])


def _shown(tracker: Tracker, detections: Detections) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows with presence 1, (n,), and their boxes in native pixels, (n, 4)."""
    features = tracker.update(detections).astype(np.float64)
    rows = np.flatnonzero(features[:, 0] == 1)
    height, width = tracker.native
    _, x, y, w, h, *_ = features[rows].T
    w, h = w * width, h * height
    return rows, np.stack([(x + 1) * width / 2 - w / 2, (y + 1) * height / 2 - h / 2, w, h], axis=1)


def _fit(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How well boxes fit true ones, (n, m): the IoU, and 0 where the centre is too far off."""
    fit: np.ndarray = np.where(centeredness(boxes, truth) >= 0.5, iou(boxes, truth), 0)
    return fit


def _assign(
    numbers: Sequence[int], truth: np.ndarray, rows: np.ndarray, boxes: np.ndarray, last: dict[int, int]
) -> dict[int, int]:
    """The row of each object that has one: object -> row."""
    fit, place = _fit(boxes, truth), {row: i for i, row in enumerate(rows.tolist())}
    taken: dict[int, int] = {}
    for j, number in enumerate(numbers):
        row = last.get(number, -1)
        if row in place and row not in taken.values() and fit[place[row], j] >= OVERLAP:
            taken[number] = row
    free = [i for i, row in enumerate(rows.tolist()) if row not in taken.values()]
    open_ = [j for j, number in enumerate(numbers) if number not in taken]
    for i, j in match(fit[np.ix_(free, open_)], OVERLAP):
        taken[numbers[open_[j]]] = int(rows[free[i]])
    return taken


def _counted(moments: Sequence[_Moment], classes: Sequence[str]) -> Counter[str]:
    """The counts of one object."""
    count: Counter[str] = Counter()
    sure = {one.step for one in moments if one.sure}
    seen = [one.step for one in moments if one.row >= 0]
    last = -1
    for one in moments:
        if {one.step - 1, one.step, one.step + 1} <= sure:
            count["steps"] += 1
            count["gaps"] += one.row < 0 and bool(seen) and seen[0] < one.step < seen[-1]
            if one.row >= 0 and last >= 0:
                count["flips"] += classes[one.row] != classes[last]
                count["switches"] += one.row != last and classes[one.row] == classes[last]
        last = one.row if one.row >= 0 else last
    return count
