"""The scores of a model on each test split, as the model's card shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spacetime_env.config import SceneConfig
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import DetectionScores, detection_scores
from spacetime_env.evaluation.latents import Samples, few_shot_accuracy, labelled
from spacetime_env.evaluation.run_model import Predictions
from spacetime_env.evaluation.truth import motion_truth, relevant_truth
from spacetime_env.objects.detections import from_boxes

ALL_TESTS = "all test splits"


@dataclass(frozen=True)
class SplitScores:
    """Scores on one test split, or on several taken together."""

    detection: DetectionScores  # of what is drawn and moves; detections of other true objects are ignored
    ram: DetectionScores  # the same of the RAM boxes
    f1_all: float  # F1 as in ``detection``, if nothing were neutral
    neutral: Mapping[str, int]  # kind -> number of neutral boxes
    relevant: DetectionScores  # of the scene's classes; all other detections are false
    few_shot: Mapping[int, tuple[float, float]]  # samples per class -> mean and standard deviation of the accuracy
    target_f1: float  # F1 of the motion targets as detections, on what is drawn and moves
    agent: str  # who played
    seed: str  # of the recording


def scores_by_split(
    tests: Sequence[Stacks],
    predictions: Sequence[Predictions],
    scene: SceneConfig,
    known: Samples | None,
    counts: Sequence[int],
) -> dict[str, SplitScores]:
    """The scores on each test split by its name, and if there are several, on all together as the last.

    Args:
        tests: labelled splits.
        predictions: of each of them.
        scene: its ``classes`` and ``still`` say what is relevant and what moves.
        known: z_what that few-shot samples are drawn from; None: no few-shot scores.
        counts: few-shot samples per class.
    """
    parts = [([test], one) for test, one in zip(tests, predictions, strict=True)]
    named = {test.path.name: part for test, part in zip(tests, parts, strict=True)}
    if len(tests) > 1:
        named[ALL_TESTS] = (list(tests), Predictions.join(predictions))
    return {name: _split_scores(*part, scene, known, counts) for name, part in named.items()}


def _split_scores(
    tests: Sequence[Stacks], predictions: Predictions, scene: SceneConfig, known: Samples | None, counts: Sequence[int]
) -> SplitScores:
    detections, relevant = predictions.detections, relevant_truth(predictions.truth, scene)
    return SplitScores(
        detection=detection_scores(detections, *predictions.drawn_moving(scene)),
        ram=detection_scores(detections, *predictions.moving(scene)),
        f1_all=detection_scores(detections, *predictions.drawn_all(scene)).f1,
        neutral=predictions.neutral_counts,
        relevant=detection_scores(detections, relevant),
        few_shot={} if known is None else few_shot_accuracy(known, labelled(detections, relevant), counts),
        target_f1=target_scores(tests, predictions, scene).f1,
        agent=" and ".join(test.meta.agent for test in tests),
        seed=" and ".join(str(seed) for seed in sorted({test.meta.seed for test in tests})),
    )


def target_scores(tests: Sequence[Stacks], predictions: Predictions, scene: SceneConfig) -> DetectionScores:
    """The scores that the motion targets of some splits would have as detections of what moves.

    Args:
        predictions: of these splits together; only their truth is used.
    """
    targets = [from_boxes(one.boxes, test.native) for test in tests for one in motion_truth(test, scene)]
    return detection_scores(targets, *predictions.drawn_moving(scene))
