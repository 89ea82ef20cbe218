"""Made-up detections, truths and scores. ``from tests.helpers.made import found, truth, SCORES, EVALUATION``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spacetime_env.evaluation.boxes import DetectionScores, Truth
from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.evaluation.split_scores import SplitScores
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


SCORES = DetectionScores(
    frames=12,
    objects=24,
    precision=0.5,
    recall=0.25,
    f1=0.75,
    center_precision=0.375,
    center_recall=0.4375,
    center_f1=0.875,
    f1_75=0.65625,
    perfect=0.1875,
    overcount=0.3125,
    undercount=0.5625,
    error_rate=1.5,
    class_recall={"Ball": 0.125},
    name_accuracy=0.625,
)
SPLIT_SCORES = SplitScores(
    detection=SCORES,
    ram=replace(SCORES, f1=0.59375, class_recall={"Ball": 0.1171875}),
    f1_all=0.578125,
    neutral={"still": 0, "sliver": 7, "unlisted": 2},
    relevant=replace(SCORES, f1=0.6875),
    few_shot={1: (0.5, 0.25), 16: (1.0, 0.0)},
    target_f1=0.9375,
    agent="pong-ppo",
    seed="5",
)
MOVING = {"objects": 24, "f1": 0.75, "ap": 0.5, "centroid_accuracy": 0.25, "ami": 0.125, "ari": math.nan}
MOVING |= {"identity_switches": 3, "kalman_accuracy": 0.0625}
DRAWN = {"objects": 23, "f1": 0.875, "f1_all": 0.625, "ap": 0.5625}
EVALUATION = Evaluation(
    model="tiny",
    sha256="abc",
    splits=("test-pong-ppo",),
    frames=12,
    reconstruction_mse=0.03125,
    sets={"drawn": DRAWN, "moving": MOVING},
    classes={},
    notes=(),
    by_split={"test-pong-ppo": SPLIT_SCORES},
)
