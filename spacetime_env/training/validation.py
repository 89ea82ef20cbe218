"""What a network finds beside what is there: scores during training, and final figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth, detection_scores
from spacetime_env.evaluation.coco import average_precision
from spacetime_env.evaluation.latents import Samples, few_shot_accuracy, labelled
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import label_truth, motion_truth, moving_truth
from spacetime_env.objects.detections import Detections, from_boxes
from spacetime_env.space import Space
from spacetime_env.training import card
from spacetime_env.training.naming import as_model

QUICK = 64  # validation stacks looked at during training


def quick_scores(config: Config, space: Space, validation: Split) -> dict[str, float]:
    """Figures on a few validation stacks: against motion, which needs no labels, and against any labels.

    ``f1``, ``center_f1`` and ``ap`` (the mean over IoU 0.1 to 0.9) are of what moves, and finding something else that
    is there costs nothing; see :func:`moving_truth`.
    """
    stacks = range(min(QUICK, len(validation)))
    frames = len(stacks) * validation.meta.length
    found = detect_all(as_model(config, space, validation.native), validation, stacks)
    space.train()
    scores = {"motion_f1": detection_scores(found, motion_truth(validation, config.scene, frames)).f1}
    if validation.meta.labels:
        truth, others = moving_truth(validation, config.scene, frames)
        detection = detection_scores(found, truth, others)
        scores |= {"f1": detection.f1, "center_f1": detection.center_f1}
        if detection.objects:
            scores["ap"] = float(average_precision(found, truth, others).mean())
        scores.update({f"recall_{name}": value for name, value in detection.class_recall.items()})
    return scores


def mean_scores(
    config: Config, spaces: Mapping[str, Space], validation: Mapping[str, Split]
) -> dict[str, float]:
    """Of several games, the mean of each of :func:`quick_scores` but for recalls, over those that have it.

    The scores of each game are there too, as ``Pong/f1``.

    Args:
        spaces: the network with the background of each of :func:`~spacetime_env.config.games.each_game`.
        validation: a split for each of them.
    """
    each = {game: quick_scores(one, spaces[game], validation[game]) for game, one in each_game(config).items()}
    names = dict.fromkeys(name for scores in each.values() for name in scores if not name.startswith("recall_"))
    mean = {name: float(np.mean([scores[name] for scores in each.values() if name in scores])) for name in names}
    return mean | {f"{game}/{name}": value for game, scores in each.items() for name, value in scores.items()}


def full_scores(
    config: Config, seen: Sequence[Sequence[Detections]], known: Samples | None, tests: Sequence[Split]
) -> card.Figures:
    """Detection, naming and few-shot figures on whole test splits that have labels, taken together.

    Args:
        seen: of each of ``tests``, what a model finds in all its frames, see :func:`detect_all`.
    """
    found = [one for each in seen for one in each]
    truth = [one for test in tests for one in label_truth(test, config.scene)]
    moving: list[Truth] = []
    others: list[Truth] = []
    for test in tests:
        for part, more in zip((moving, others), moving_truth(test, config.scene), strict=True):
            part += more
    targets = [from_boxes(one.boxes, test.native) for test in tests for one in motion_truth(test, config.scene)]
    shots = few_shot_accuracy(known, labelled(found, truth), config.train.few_shot) if known is not None else {}
    return card.Figures(
        detection_scores(found, moving, others),
        detection_scores(found, truth),
        shots,
        detection_scores(targets, moving, others).f1,
        " and ".join(test.meta.agent for test in tests),
        " and ".join(str(seed) for seed in sorted({test.meta.seed for test in tests})),
    )
