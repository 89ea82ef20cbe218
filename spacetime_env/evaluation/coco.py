"""Average precision (AP) of detections, as COCO defines it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacetime_env.evaluation.boxes import Truth, frames_of, iou
from spacetime_env.objects.detections import Detections

IOUS = tuple(round(0.1 * k, 1) for k in range(1, 10))  # the published thresholds
RECALLS = np.linspace(0.0, 1.0, 101)  # where COCO reads the precision


def average_precision(
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    ignored: Sequence[Truth] | None = None,
    thresholds: Sequence[float] = IOUS,
) -> np.ndarray:
    """Average precision at each IoU threshold. The names of the detections do not count.

    It follows COCO (Lin et al. 2014, https://arxiv.org/abs/1405.0312) and its pycocotools. In each frame the most
    certain detection chooses first: the free object with the highest IoU. Precision over all frames is made
    non-increasing and read at 101 recalls. The published project reads it at 11 recalls, and a detection whose best
    object is taken gets no other.

    torchmetrics would bring torchvision and pycocotools for this, 100 MB. tests/evaluation/test_coco.py compares with
    numbers that pycocotools gave.

    Args:
        detections, truth, ignored: see :func:`~spacetime_env.evaluation.boxes.detection_scores`.
        thresholds: K IoUs from which on a box fits.

    Returns:
        (K,) float64 in [0, 1]; NaN where there is no object to find.

    Raises:
        ValueError: the lists differ in length, or there are no frames.
    """
    least = np.asarray(thresholds, np.float64)[:, None]  # (K, 1)
    hits, left_out, confidence, actual = [], [], [], 0
    for one, true, other in frames_of(detections, truth, ignored):
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
    """Which of m detections of a frame hit an object, and which do not count, at each of K thresholds.

    Args:
        overlaps: (m, n) IoU. Rows: detections, the most certain first. Columns: the objects asked for, then the
            ignored ones.
        inside: how many objects are asked for.
        least: (K, 1) thresholds.

    Returns:
        Hits and ignored detections, (K, m) bool each.
    """
    m, n = overlaps.shape
    hit, out = np.zeros((len(least), m), bool), np.zeros((len(least), m), bool)
    if not m or not n:
        return hit, out
    may = overlaps >= least.min()
    if may.sum(axis=0).max() <= 1 and may.sum(axis=1).max() <= 1:  # each has one choice, so the order does not matter
        fits = overlaps[None] >= least[:, :, None]
        return np.asarray(fits[:, :, :inside].any(axis=2)), np.asarray(fits[:, :, inside:].any(axis=2))
    free = np.ones((len(least), n), bool)
    for i in np.flatnonzero(may.any(axis=1)).tolist():
        fits = np.where(free & (overlaps[i] >= least), overlaps[i], -1.0)  # (K, n)
        fits[(fits[:, :inside] >= 0).any(axis=1), inside:] = -1.0  # an object asked for goes before an ignored one
        best = fits.argmax(axis=1)
        taken = np.flatnonzero(fits.max(axis=1) >= 0)
        free[taken, best[taken]] = False
        hit[taken, i], out[taken, i] = best[taken] < inside, best[taken] >= inside
    return hit, out
