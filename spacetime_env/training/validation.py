"""Scores on validation data during training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import detection_scores
from spacetime_env.evaluation.coco import average_precision
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import motion_truth, moving_truth
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.space import Space
from spacetime_env.training.naming import as_model, few_shot_classifier, known_samples

QUICK = 64  # validation stacks that are scored


def quick_scores(config: Config, space: Space, validation: Split) -> dict[str, float]:
    """Scores on a few validation stacks. The network is in training mode afterwards.

    Returns:
        ``motion_f1``: F1 on the motion boxes. If the split has labels also ``f1``, ``center_f1`` and ``ap`` (the mean
        over IoUs from 0.1 to 0.9) of what moves, where detections of other true objects are ignored, see
        :func:`moving_truth`; and ``recall_<class>`` of each class that moves.
    """
    stacks = range(min(QUICK, len(validation)))
    frames = len(stacks) * validation.meta.length
    detections = detect_all(as_model(config, space, validation.native), validation, stacks)
    space.train()
    scores = {"motion_f1": detection_scores(detections, motion_truth(validation, config.scene, frames)).f1}
    if validation.meta.labels:
        truth, others = moving_truth(validation, config.scene, frames)
        detection = detection_scores(detections, truth, others)
        scores |= {"f1": detection.f1, "center_f1": detection.center_f1}
        if detection.objects:
            scores["ap"] = float(average_precision(detections, truth, others).mean())
        scores.update({f"recall_{name}": value for name, value in detection.class_recall.items()})
    return scores


def quick_classifiers(config: Config, space: Space, validation: Split) -> dict[str, LinearClassifier]:
    """Few-shot classifiers from a few validation stacks, by the number of samples a class; none without labels.

    A finished training makes its own from all validation frames.
    """
    if not validation.meta.labels:
        return {}
    stacks = range(min(QUICK, len(validation)))
    detections = detect_all(as_model(config, space, validation.native), validation, stacks)
    known = known_samples(config, detections, validation)
    if known is None:
        return {}
    return {str(count): few_shot_classifier(config, known, count) for count in config.train.few_shot}


def mean_scores(
    config: Config, spaces: Mapping[str, Space], validation: Mapping[str, Split]
) -> dict[str, float]:
    """The scores of several games: their means over the games that have them, and those of each game.

    Args:
        spaces: for each game of :func:`~spacetime_env.config.games.each_game`, the network with its background.
        validation: a split for each of them.

    Returns:
        ``f1`` is a mean and ``Pong/f1`` is of Pong; see :func:`quick_scores`. Recalls have no mean.
    """
    each = {game: quick_scores(one, spaces[game], validation[game]) for game, one in each_game(config).items()}
    names = dict.fromkeys(name for scores in each.values() for name in scores if not name.startswith("recall_"))
    mean = {name: float(np.mean([scores[name] for scores in each.values() if name in scores])) for name in names}
    return mean | {f"{game}/{name}": value for game, scores in each.items() for name, value in scores.items()}
