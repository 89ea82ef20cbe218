"""Detected boxes compared with true boxes: precision, recall, F1, counts and names.

Some true objects can be ignored. A detection that matches an ignored object, and none of the objects asked for, counts
neither as right nor as wrong. For example, the F1 of what moves stays the same when a shield that does not move is
detected too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.objects.detections import Detections


@dataclass(frozen=True)
class Truth:
    """The true objects of one frame."""

    boxes: np.ndarray  # (n, 4) x, y, w, h in native pixels
    names: tuple[str, ...]  # n class names


@dataclass(frozen=True)
class DetectionScores:
    """Scores over some frames. F1, precision and recall match at an IoU of at least 0.5, ``center_*`` by distance."""

    frames: int
    objects: int  # true ones, in all frames
    precision: float
    recall: float
    f1: float
    center_precision: float  # a detection matches if its centre is within half the true box's diagonal
    center_recall: float
    center_f1: float
    f1_75: float  # F1 at an IoU of at least 0.75
    perfect: float  # fraction of the frames with as many detections as objects ...
    overcount: float  # ... with more ...
    undercount: float  # ... and with fewer
    error_rate: float  # mean over frames of |detections - objects| / objects (over 1 where there is none)
    class_recall: dict[str, float]  # at an IoU of at least 0.5; the detection's name does not count
    name_accuracy: float  # of the matched detections
    class_objects: dict[str, int] = field(default_factory=dict, compare=False)  # true ones, by class


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The area that boxes x, y, w, h have in common: (n, 4) and (m, 4) -> (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    common: np.ndarray = np.prod(np.clip(high - low, 0, None), axis=2)
    return common


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x, y, w, h: (n, 4) and (m, 4) -> (n, m)."""
    common = intersection(a, b)
    union = np.prod(a[:, 2:], axis=1)[:, None] + np.prod(b[:, 2:], axis=1)[None] - common
    return common / np.maximum(union, 1e-9)


def centeredness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - distance of the centres / diagonal of the true box ``b``, as published: (n, 4) and (m, 4) -> (n, m)."""
    centers = a[:, None, :2] + a[:, None, 2:] / 2 - b[None, :, :2] - b[None, :, 2:] / 2
    diagonal = np.linalg.norm(b[:, 2:], axis=1)[None]
    return 1 - np.linalg.norm(centers, axis=2) / np.maximum(diagonal, 1e-9)


def match(score: np.ndarray, least: float = 0.5) -> list[tuple[int, int]]:
    """One-to-one pairs (row, column) of a score matrix (n, m).

    Only scores of at least ``least`` make a pair. There are as many pairs as possible; of equally many, those with the
    highest sum of scores.
    """
    allowed = score >= least
    if not allowed.any():
        return []
    if allowed.sum(axis=0).max() == 1 and allowed.sum(axis=1).max() == 1:  # each has one choice: ten times as fast
        return list(zip(*(index.tolist() for index in allowed.nonzero()), strict=True))
    rows, columns = linear_sum_assignment(np.where(allowed, 1000.0 + score, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def divide(truth: Sequence[Truth], names: Collection[str]) -> tuple[list[Truth], list[Truth]]:
    """Split the objects of each frame into those of the classes ``names`` and all others."""
    inside: list[Truth] = []
    outside: list[Truth] = []
    for one in truth:
        chosen = np.array([name in names for name in one.names], bool)
        for part, kept in ((inside, chosen), (outside, ~chosen)):
            part.append(Truth(one.boxes[kept], tuple(np.array(one.names, object)[kept].tolist())))
    return inside, outside


def of_classes(detections: Sequence[Detections], names: Collection[str]) -> list[Detections]:
    """The detections of each frame that have one of the classes ``names``."""
    result = []
    for one in detections:
        kept = np.array([name in names for name in one.names], bool)
        parts = {part: getattr(one, part)[kept] for part in ("boxes", "z_where", "class_ids", "confidence", "z_what")}
        result.append(replace(one, **parts))
    return result


def frames_of(
    detections: Sequence[Detections], truth: Sequence[Truth], ignored: Sequence[Truth] | None
) -> list[tuple[Detections, Truth, Truth]]:
    """Detections, true objects and ignored objects (none where ``ignored`` is None) of each frame.

    Raises:
        ValueError: the lists differ in length or are empty.
    """
    others = [_NOTHING] * len(truth) if ignored is None else ignored
    if len(detections) != len(truth) or len(others) != len(truth) or not detections:
        raise ValueError(
            f"expected detections and truth of the same frames, got {len(detections)} and {len(truth)}"
            + (f", and {len(others)} of what is ignored." if len(others) != len(truth) else ".")
        )
    return list(zip(detections, truth, others, strict=True))


def detection_scores(
    detections: Sequence[Detections], truth: Sequence[Truth], ignored: Sequence[Truth] | None = None
) -> DetectionScores:
    """Compare detections with the truth, frame by frame.

    Args:
        detections: of each frame.
        truth: of each frame, the objects that should be found.
        ignored: of each frame, objects that may be found. A detection that matches no object of ``truth``, but one of
            these, does not count. ``center_*`` match by the centre here too, all others by IoU.

    Raises:
        ValueError: the lists differ in length, or there are no frames.
    """
    frames = frames_of(detections, truth, ignored)
    hits = tight = centered = counted = center_counted = actual = right = 0
    counts = {"perfect": 0, "overcount": 0, "undercount": 0}
    errors = 0.0
    class_hits: dict[str, int] = {}
    class_total: dict[str, int] = {}
    for one, true, other in frames:
        pairs, left_out = _pairs(iou, one, true, other)
        by_center, center_left_out = _pairs(centeredness, one, true, other)
        here, there = len(one) - left_out, len(true.names)
        counts["perfect" if here == there else "overcount" if here > there else "undercount"] += 1
        errors += abs(here - there) / max(there, 1)
        counted, center_counted = counted + here, center_counted + len(one) - center_left_out
        hits, centered, actual = hits + len(pairs), centered + len(by_center), actual + there
        tight += len(match(iou(one.boxes, true.boxes), 0.75))
        for name in true.names:
            class_total[name] = class_total.get(name, 0) + 1
        names = one.names
        for i, j in pairs:
            class_hits[true.names[j]] = class_hits.get(true.names[j], 0) + 1
            right += names[i] == true.names[j]
    return DetectionScores(
        frames=len(frames),
        objects=actual,
        precision=hits / max(counted, 1),
        recall=hits / max(actual, 1),
        f1=2 * hits / max(counted + actual, 1),
        center_precision=centered / max(center_counted, 1),
        center_recall=centered / max(actual, 1),
        center_f1=2 * centered / max(center_counted + actual, 1),
        f1_75=2 * tight / max(counted + actual, 1),
        **{name: count / len(frames) for name, count in counts.items()},
        error_rate=errors / len(frames),
        class_recall={name: class_hits.get(name, 0) / class_total[name] for name in sorted(class_total)},
        name_accuracy=right / max(hits, 1),
        class_objects={name: class_total[name] for name in sorted(class_total)},
    )


_NOTHING = Truth(np.zeros((0, 4), np.float32), ())


def _pairs(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], one: Detections, true: Truth, other: Truth
) -> tuple[list[tuple[int, int]], int]:
    """Matched pairs of detection and object, and how many of the other detections match an ignored object."""
    pairs = match(measure(one.boxes, true.boxes))
    if not len(other.boxes) or len(pairs) == len(one):
        return pairs, 0
    rest = np.ones(len(one), bool)
    rest[[i for i, _ in pairs]] = False
    return pairs, len(match(measure(one.boxes[rest], other.boxes)))
