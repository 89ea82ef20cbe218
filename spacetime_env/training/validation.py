"""Scores on validation data during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import detection_scores
from spacetime_env.evaluation.coco import average_precision
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import motion_truth, moving_truth
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.space import Space
from spacetime_env.space.objective import elbo_terms
from spacetime_env.training.naming import as_model, few_shot_classifier, known_samples

QUICK = 64  # validation stacks that are scored
QUICK_PICTURES = 256  # validation pictures


def quick_scores(config: Config, space: Space, validation: Stacks) -> dict[str, float]:
    """Scores on a few validation stacks. The network is in training mode afterwards.

    Returns:
        Of pictures ``elbo``, see :func:`elbo`, in place of ``motion_f1``.
        ``motion_f1``: F1 on the motion boxes. If the split has labels also ``f1``, ``center_f1`` and ``ap`` (the mean
        over IoUs from 0.1 to 0.9) of what moves, where detections of other true objects are ignored, see
        :func:`moving_truth`; and ``recall_<class>`` of each class that moves.
    """
    most = QUICK_PICTURES if config.data.pictures else QUICK
    stacks = range(min(most, len(validation)))
    frames = len(stacks) * validation.meta.length
    detections = detect_all(as_model(config, space, validation.native), validation, stacks)
    if config.data.pictures:
        scores = {"elbo": elbo(config, space, validation, stacks)}
    else:
        scores = {"motion_f1": detection_scores(detections, motion_truth(validation, config.scene, frames)).f1}
    space.train()
    if validation.meta.labels:
        truth, others = moving_truth(validation, config.scene, frames)
        detection = detection_scores(detections, truth, others)
        scores |= {"f1": detection.f1, "center_f1": detection.center_f1}
        if detection.objects:
            scores["ap"] = float(average_precision(detections, truth, others).mean())
        scores.update({f"recall_{name}": value for name, value in detection.class_recall.items()})
    return scores


@torch.no_grad()
def elbo(config: Config, space: Space, split: Stacks, stacks: Sequence[int]) -> float:
    """The mean evidence lower bound of the frames of some stacks, at the means of the latents: larger is better.

    All priors are those of the end of the training, so that values from different steps can be compared. The network is
    in evaluation mode afterwards.
    """
    model = as_model(config, space, split.native)
    space.eval()
    total, count = 0.0, 0
    for part in np.array_split(np.asarray(stacks), max(1, len(stacks) // 16)):
        frames = model.tensor(split.frames(part.tolist()).reshape(-1, *split.native, 3))
        output = space(frames)
        terms = elbo_terms(frames, output.foreground, output.background, config.loss, 1.0)
        total -= len(frames) * sum(term.item() for term in terms.values())
        count += len(frames)
    return total / count


def quick_classifiers(config: Config, space: Space, validation: Stacks) -> dict[str, LinearClassifier]:
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
    config: Config, spaces: Mapping[str, Space], validation: Mapping[str, Stacks]
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
