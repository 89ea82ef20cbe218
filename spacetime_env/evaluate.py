"""How good is a model: detection, naming, few-shot accuracy. Ground truth is read from the stored splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.classifier import fit_ridge
from spacetime_env.scene import Detections


@dataclass(frozen=True)
class Truth:
    """Objects of one frame."""

    boxes: np.ndarray  # (n, 4) x, y, w, h in native pixels
    names: tuple[str, ...]  # n class names


@dataclass(frozen=True)
class DetectionScores:
    """Over all frames. F1, precision and recall count a detection at IoU >= 0.5; ``center`` by distance."""

    frames: int
    precision: float
    recall: float
    f1: float
    center_f1: float  # a detection counts if its centre is within half the true box's diagonal
    class_recall: dict[str, float]  # IoU >= 0.5, whatever the detection is called
    name_accuracy: float  # of the matched detections

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
    rows, columns = linear_sum_assignment(np.where(allowed, 1000.0 + score, 0.0), maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def detection_scores(found: Sequence[Detections], truth: Sequence[Truth]) -> DetectionScores:
    """Compare detections with the truth, frame by frame.

    Raises:
        ValueError: not one for each other, or no frames at all.
    """
    if len(found) != len(truth) or not found:
        raise ValueError(
            f"expected detections and truth of the same frames, got {len(found)} and {len(truth)}."
        )
    hits = centered = predicted = actual = named = 0
    class_hits: dict[str, int] = {}
    class_total: dict[str, int] = {}
    for one, true in zip(found, truth, strict=True):
        predicted, actual = predicted + len(one), actual + len(true.names)
        pairs = match(iou(one.boxes, true.boxes), 0.5)
        hits += len(pairs)
        centered += len(match(centeredness(one.boxes, true.boxes), 0.5))
        for name in true.names:
            class_total[name] = class_total.get(name, 0) + 1
        names = one.names
        for i, j in pairs:
            class_hits[true.names[j]] = class_hits.get(true.names[j], 0) + 1
            named += names[i] == true.names[j]
    precision, recall = hits / max(predicted, 1), hits / max(actual, 1)
    return DetectionScores(
        frames=len(found),
        precision=precision,
        recall=recall,
        f1=2 * hits / max(predicted + actual, 1),
        center_f1=2 * centered / max(predicted + actual, 1),
        class_recall={name: class_hits.get(name, 0) / class_total[name] for name in sorted(class_total)},
        name_accuracy=named / max(hits, 1),
    )


def labelled(found: Sequence[Detections], truth: Sequence[Truth]) -> tuple[np.ndarray, list[str]]:
    """z_what of every detection that matches a true object at IoU >= 0.5, with that object's name."""
    z_what, names = [], []
    for one, true in zip(found, truth, strict=True):
        for i, j in match(iou(one.boxes, true.boxes), 0.5):
            z_what.append(one.z_what[i])
            names.append(true.names[j])
    dimension = found[0].z_what.shape[1] if len(found) else 0
    return np.array(z_what, dtype=np.float32).reshape(-1, dimension), names


def draw_samples(names: Sequence[str], count: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of ``count`` random samples of each class; all of a class that has fewer."""
    array = np.array(names)
    picks = [generator.permutation(np.flatnonzero(array == name))[:count] for name in sorted(set(names))]
    return np.concatenate(picks) if picks else np.zeros(0, dtype=int)


def few_shot_accuracy(
    train: tuple[np.ndarray, list[str]],
    test: tuple[np.ndarray, list[str]],
    counts: Sequence[int] = (1, 4, 16, 64),
    draws: int = 5,
    seed: int = 0,
) -> dict[int, tuple[float, float]]:
    """Accuracy on ``test`` of ridge classifiers fitted on a few samples a class of ``train``.

    Args:
        train, test: z_what (n, D) and n names each, as :func:`labelled` gives them.
        counts: samples a class.
        draws: of samples, for each count.
        seed: the same seed draws the same samples.

    Returns:
        samples a class -> mean and standard deviation over the draws; empty where a side has no samples.
    """
    if not train[1] or not test[1]:
        return {}
    classes = sorted({*train[1], *test[1]})
    result = {}
    for count in counts:
        accuracies = []
        for draw in range(draws):
            picks = draw_samples(train[1], count, np.random.default_rng((seed, count, draw)))
            classifier = fit_ridge(train[0][picks], [train[1][i] for i in picks], classes)
            accuracies.append(float(np.mean(classifier.predict(test[0]) == np.array(test[1]))))
        result[count] = (float(np.mean(accuracies)), float(np.std(accuracies)))
    return result
