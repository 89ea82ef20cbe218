"""Found boxes beside true boxes: precision, recall, F1, counts and average precision.

Every function can leave objects out (``ignored``): a detection that fits none of the objects asked about, but one of
those, is neither right nor wrong. So the F1 of what moves does not suffer from a shield that is found too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.objects.detections import Detections

IOUS = tuple(round(0.1 * k, 1) for k in range(1, 10))  # the published thresholds of AP
RECALLS = np.linspace(0.0, 1.0, 101)  # where COCO reads the precision


@dataclass(frozen=True)
class Truth:
    """Objects of one frame."""

    boxes: np.ndarray  # (n, 4) x, y, w, h in native pixels
    names: tuple[str, ...]  # n class names


@dataclass(frozen=True)
class DetectionScores:
    """Over all frames. F1, precision and recall count a detection at IoU >= 0.5; ``center_*`` by distance."""

    frames: int
    objects: int  # that are truly there
    precision: float
    recall: float
    f1: float
    center_precision: float  # a detection counts if its centre is within half the true box's diagonal
    center_recall: float
    center_f1: float
    perfect: float  # fraction of the frames with as many detections as objects ...
    overcount: float  # ... with more ...
    undercount: float  # ... and with fewer
    error_rate: float  # mean over frames of |detections - objects| / objects (over 1 where there is none)
    class_recall: dict[str, float]  # IoU >= 0.5, whatever the detection is called
    name_accuracy: float  # of the matched detections
    class_objects: dict[str, int] = field(default_factory=dict, compare=False)  # that are truly there

    def lines(self) -> list[str]:
        """A Markdown table."""
        rows = [
            ("F1 at IoU 0.5", self.f1),
            ("precision", self.precision),
            ("recall", self.recall),
            ("F1 by centre distance", self.center_f1),
            ("name accuracy", self.name_accuracy),
            *((f"recall of {name}", value) for name, value in self.class_recall.items()),
        ]
        return ["| figure | value |", "|---|---|", *(f"| {name} | {value:.4f} |" for name, value in rows)]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x, y, w, h: (n, 4) and (m, 4) -> (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    union = np.prod(a[:, 2:], axis=1)[:, None] + np.prod(b[:, 2:], axis=1)[None] - common
    return common / np.maximum(union, 1e-9)


def centeredness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 - distance of centres / diagonal of the true box ``b``: the published measure; over 0.5 is found."""
    centers = a[:, None, :2] + a[:, None, 2:] / 2 - b[None, :, :2] - b[None, :, 2:] / 2
    diagonal = np.linalg.norm(b[:, 2:], axis=1)[None]
    return 1 - np.linalg.norm(centers, axis=2) / np.maximum(diagonal, 1e-9)


def match(score: np.ndarray, least: float) -> list[tuple[int, int]]:
    """One-to-one pairs with a score of at least ``least``, as many as there can be, of the highest sum."""
    allowed = score >= least
    if not allowed.any():
        return []
    if allowed.sum(axis=0).max() == 1 and allowed.sum(axis=1).max() == 1:  # nothing to choose: ten times as fast
        return list(zip(*(index.tolist() for index in allowed.nonzero()), strict=True))
    rows, columns = linear_sum_assignment(np.where(allowed, 1000.0 + score, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def divide(truth: Sequence[Truth], names: Collection[str]) -> tuple[list[Truth], list[Truth]]:
    """The objects of some classes, frame by frame, and all others."""
    inside: list[Truth] = []
    outside: list[Truth] = []
    for one in truth:
        chosen = np.array([name in names for name in one.names], bool)
        for part, kept in ((inside, chosen), (outside, ~chosen)):
            part.append(Truth(one.boxes[kept], tuple(np.array(one.names, object)[kept].tolist())))
    return inside, outside


def named(found: Sequence[Detections], name: str) -> list[Detections]:
    """Only what is called ``name``."""
    result = []
    for one in found:
        kept = np.array([n == name for n in one.names], bool)
        parts = {part: getattr(one, part)[kept] for part in ("boxes", "z_where", "class_ids", "confidence", "z_what")}
        result.append(replace(one, **parts))
    return result


def require_same_frames(found: Sequence[object], truth: Sequence[object], ignored: Sequence[object]) -> None:
    """Refuse lists that are not one for each other, or empty.

    Raises:
        ValueError: saying how long each is.
    """
    if len(found) != len(truth) or len(ignored) != len(truth) or not found:
        raise ValueError(
            f"expected detections and truth of the same frames, got {len(found)} and {len(truth)}"
            + (f", and {len(ignored)} of what is ignored." if len(ignored) != len(truth) else ".")
        )


def detection_scores(
    found: Sequence[Detections], truth: Sequence[Truth], ignored: Sequence[Truth] | None = None
) -> DetectionScores:
    """Compare detections with the truth, frame by frame.

    Args:
        found: of each frame.
        truth: of each frame, the objects that should be found.
        ignored: of each frame, objects that may be found: a detection left without an object of ``truth`` that
            matches one of these (by IoU, or by the centre for the centre's figures) does not count. One each.

    Raises:
        ValueError: not one for each other, or no frames at all.
    """
    others = [_NOTHING] * len(truth) if ignored is None else ignored
    require_same_frames(found, truth, others)
    hits = centered = counted = center_counted = actual = right = 0
    counts = {"perfect": 0, "overcount": 0, "undercount": 0}
    errors = 0.0
    class_hits: dict[str, int] = {}
    class_total: dict[str, int] = {}
    for one, true, other in zip(found, truth, others, strict=True):
        pairs, left_out = _pairs(iou, one, true, other)
        by_center, center_left_out = _pairs(centeredness, one, true, other)
        here, there = len(one) - left_out, len(true.names)
        counts["perfect" if here == there else "overcount" if here > there else "undercount"] += 1
        errors += abs(here - there) / max(there, 1)
        counted, center_counted = counted + here, center_counted + len(one) - center_left_out
        hits, centered, actual = hits + len(pairs), centered + len(by_center), actual + there
        for name in true.names:
            class_total[name] = class_total.get(name, 0) + 1
        names = one.names
        for i, j in pairs:
            class_hits[true.names[j]] = class_hits.get(true.names[j], 0) + 1
            right += names[i] == true.names[j]
    return DetectionScores(
        frames=len(found),
        objects=actual,
        precision=hits / max(counted, 1),
        recall=hits / max(actual, 1),
        f1=2 * hits / max(counted + actual, 1),
        center_precision=centered / max(center_counted, 1),
        center_recall=centered / max(actual, 1),
        center_f1=2 * centered / max(center_counted + actual, 1),
        **{name: count / len(found) for name, count in counts.items()},
        error_rate=errors / len(found),
        class_recall={name: class_hits.get(name, 0) / class_total[name] for name in sorted(class_total)},
        name_accuracy=right / max(hits, 1),
        class_objects={name: class_total[name] for name in sorted(class_total)},
    )


_NOTHING = Truth(np.zeros((0, 4), np.float32), ())


def _pairs(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], one: Detections, true: Truth, other: Truth
) -> tuple[list[tuple[int, int]], int]:
    """Matched pairs of detection and object, and how many of the other detections match an ignored object."""
    pairs = match(measure(one.boxes, true.boxes), 0.5)
    if not len(other.boxes) or len(pairs) == len(one):
        return pairs, 0
    rest = np.ones(len(one), bool)
    rest[[i for i, _ in pairs]] = False
    return pairs, len(match(measure(one.boxes[rest], other.boxes), 0.5))


def average_precision(
    found: Sequence[Detections],
    truth: Sequence[Truth],
    ignored: Sequence[Truth] | None = None,
    thresholds: Sequence[float] = IOUS,
) -> np.ndarray:
    """Average precision at each IoU threshold, whatever a detection is called: (thresholds,), in [0, 1].

    As COCO does it (Lin et al. 2014, https://arxiv.org/abs/1405.0312, and its pycocotools): in each frame the most
    certain detection chooses first, the free object with the highest IoU; precision over all frames, made falling, is
    read at 101 recalls. The published project reads it at 11, and does not let a detection take its second best.

    Own code, since torchmetrics brings torchvision and pycocotools for it: 100 MB for forty lines, of which
    tests/evaluation/test_boxes.py has numbers that pycocotools gave.

    Args:
        found, truth, ignored: see :func:`detection_scores`.
        thresholds: IoUs from which on a box fits.

    Returns:
        (thresholds,) float64; NaN where there is no object to find.

    Raises:
        ValueError: not one for each other, or no frames at all.
    """
    others = [_NOTHING] * len(truth) if ignored is None else ignored
    require_same_frames(found, truth, others)
    least = np.asarray(thresholds, np.float64)[:, None]  # (K, 1)
    hits, left_out, confidence, actual = [], [], [], 0
    for one, true, other in zip(found, truth, others, strict=True):
        actual += len(true.names)
        order = np.argsort(-one.confidence, kind="stable")
        both = np.concatenate([true.boxes, other.boxes]).astype(np.float64)  # in float32, 28 / 40 is less than 0.7
        overlaps = iou(one.boxes[order].astype(np.float64), both)
        hit, out = _choose(overlaps, len(true.names), least)
        hits.append(hit)
        left_out.append(out)
        confidence.append(one.confidence[order])
    if not actual:
        return np.full(len(least), np.nan)
    order = np.argsort(-np.concatenate(confidence), kind="stable")
    all_hits, all_out = np.concatenate(hits, axis=1)[:, order], np.concatenate(left_out, axis=1)[:, order]
    result = []
    for hit, out in zip(all_hits, all_out, strict=True):
        right = hit[~out].cumsum()
        precision = right / np.arange(1, len(right) + 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(right / actual, RECALLS, side="left")
        result.append(float(np.append(falling, 0.0)[np.minimum(at, len(falling))].mean()))
    return np.array(result)


def _choose(overlaps: np.ndarray, inside: int, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which detections of a frame hit, and which do not count, at each threshold: (K, m) bool, twice.

    Args:
        overlaps: (m, n) IoU; rows from the most certain on, first the ``inside`` objects asked about, then others.
        inside: how many are asked about.
        least: (K, 1) thresholds.
    """
    m, n = overlaps.shape
    hit, out = np.zeros((len(least), m), bool), np.zeros((len(least), m), bool)
    if not m or not n:
        return hit, out
    may = overlaps >= least.min()
    if may.sum(axis=0).max() <= 1 and may.sum(axis=1).max() <= 1:  # each has one choice: no order, no loop
        fits = overlaps[None] >= least[:, :, None]
        return np.asarray(fits[:, :, :inside].any(axis=2)), np.asarray(fits[:, :, inside:].any(axis=2))
    free = np.ones((len(least), n), bool)
    for i in np.flatnonzero(may.any(axis=1)).tolist():
        fits = np.where(free & (overlaps[i] >= least), overlaps[i], -1.0)  # (K, n)
        fits[(fits[:, :inside] >= 0).any(axis=1), inside:] = -1.0  # one that is asked about goes first
        best = fits.argmax(axis=1)
        taken = np.flatnonzero(fits.max(axis=1) >= 0)
        free[taken, best[taken]] = False
        hit[taken, i], out[taken, i] = best[taken] < inside, best[taken] >= inside
    return hit, out
