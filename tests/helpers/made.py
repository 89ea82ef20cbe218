"""Detections and truths of one frame, from (box, name) pairs. ``from tests.helpers.made import found, truth``."""

from __future__ import annotations

import numpy as np

from spacetime_env.evaluation.boxes import Truth
from spacetime_env.objects.detections import Detections

CLASSES = ("Player", "Ball", "Shield")


def found(*objects: tuple[tuple[float, ...], str], confidence: tuple[float, ...] = ()) -> Detections:
    """Detections of (box, name); z_what counts up from 10 * the number of the object, and so does z_where."""
    n = len(objects)
    return Detections(
        boxes=np.array([box for box, _ in objects], np.float32).reshape(-1, 4),
        z_where=(np.arange(4) / 4 + np.arange(n)[:, None]).astype(np.float32),
        class_ids=np.array([CLASSES.index(name) for _, name in objects], np.int64),
        confidence=np.array(confidence or np.ones(n), np.float32),
        z_what=(np.arange(3) + 10 * np.arange(n)[:, None]).astype(np.float32),
        class_names=CLASSES,
    )


def truth(*objects: tuple[tuple[float, ...], str]) -> Truth:
    boxes = np.array([box for box, _ in objects], np.float32).reshape(-1, 4)
    return Truth(boxes, tuple(name for _, name in objects))
