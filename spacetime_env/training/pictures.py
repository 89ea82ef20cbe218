"""Pictures for a model's card: what it sees, and where it and the ground truth differ most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacetime_env.evaluation.boxes import Truth, iou, match
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.drawing import draw, enlarge

SCALE = 3  # pictures are drawn larger, so that boxes do not cover what they show


def example(model: Model, frames: np.ndarray) -> np.ndarray:
    """The frame in which most is found: as it is, with boxes and names, and as the network draws it.

    Args:
        frames: (N, H, W, 3) uint8 RGB in native size, N >= 1.

    Returns:
        (3 * H, 9 * W, 3) uint8 RGB.
    """
    found = model.detect(frames)
    most = max(range(len(found)), key=lambda i: len(found[i]))
    drawn = model.reconstruct(frames[most : most + 1])["reconstruction"][0]
    boxes = draw(frames[most], found[most], SCALE, confidence=False)
    return np.concatenate([enlarge(frames[most], SCALE), boxes, enlarge(drawn, SCALE)], axis=1)


def worst(found: Sequence[Detections], truth: Sequence[Truth], count: int) -> list[int]:
    """Frames in which detections and truth differ most (least F1 at IoU 0.5), one of each of ``count`` stretches.

    A thing that is wrong is often wrong for many frames; stretches of equal length show more than one such thing.
    """
    scores = []
    for one, true in zip(found, truth, strict=True):
        total = len(one) + len(true.names)
        scores.append(2 * len(match(iou(one.boxes, true.boxes), 0.5)) / total if total else 1.0)
    stretches = np.array_split(np.arange(len(scores)), min(count, len(scores)))
    return [int(min(stretch, key=lambda f: scores[f])) for stretch in stretches]


def differences(frames: Sequence[np.ndarray], found: Sequence[Detections], truth: Sequence[Truth]) -> np.ndarray:
    """Frames in two columns: what was found (left of each pair), and the ground truth (right).

    Args:
        frames: (H, W, 3) uint8 RGB each.
        found, truth: of these frames.

    Returns:
        uint8 RGB, two frames a row.
    """
    pairs = []
    for frame, one, true in zip(frames, found, truth, strict=True):
        left = draw(frame, one, SCALE, confidence=False)
        right = draw(frame, as_detections(true, frame.shape[:2], one.class_names), SCALE, confidence=False)
        pairs.append(np.concatenate([left, right, np.zeros((len(left), 12, 3), np.uint8)], axis=1))
    if len(pairs) % 2:
        pairs.append(np.zeros_like(pairs[0]))
    rows = [np.concatenate(pairs[i : i + 2], axis=1) for i in range(0, len(pairs), 2)]
    return np.concatenate([part for row in rows for part in (row, np.zeros((12, row.shape[1], 3), np.uint8))])


def as_detections(truth: Truth, native: tuple[int, ...], class_names: Sequence[str]) -> Detections:
    """Ground truth as detections of certainty 1, to be drawn in the colours of ``class_names``."""
    names = tuple(dict.fromkeys([*class_names, *truth.names]))
    n = len(truth.names)
    return Detections(
        truth.boxes.astype(np.float32),
        boxes_to_z_where(truth.boxes, (native[0], native[1])).astype(np.float32),
        np.array([names.index(name) for name in truth.names], np.int64),
        np.ones(n, np.float32),
        np.zeros((n, 1), np.float32),
        names,
    )
