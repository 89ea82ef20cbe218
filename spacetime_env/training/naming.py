"""What a network finds beside what is there: scores during training, names for objects, final figures."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spacetime_env.config import Config, ConfigError, SceneConfig
from spacetime_env.config.games import each_game
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth, average_precision, detection_scores
from spacetime_env.evaluation.latents import Samples, draw_samples, few_shot_accuracy, labelled
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import label_truth, motion_truth, moving_truth
from spacetime_env.games import canonical
from spacetime_env.models.classifier import LinearClassifier, export_joblib, fit_clusters, fit_ridge
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.objects.detections import Detections, from_boxes
from spacetime_env.space import Space
from spacetime_env.training import card

CLUSTERS = 8  # classes where no labels are and scene.classes names none
QUICK = 64  # validation stacks looked at during training


class NothingFoundError(ValueError):
    """The network finds no object, so there is nothing to name."""


def require_classes(config: Config, validation: Split) -> None:
    """Refuse names in ``scene.classes`` and ``scene.still`` that the ground truth does not have.

    Raises:
        ConfigError: naming the nearest that it has.
    """
    known = validation.meta.classes
    asked = [("classes", name) for name in config.scene.classes] + [("still", name) for name in config.scene.still]
    for key, name in asked if validation.meta.labels and known else ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"scene.{key}: the ground truth of {config.game} has no {name!r}; "
                f"it has {', '.join(known)}.{hint}"
            )


def as_model(
    config: Config, space: Space, native: tuple[int, int], classifier: LinearClassifier | None = None
) -> Model:
    """A network in training as the model that a user would load; all is ``moving`` without a classifier.

    It switches the network to evaluation.
    """
    if classifier is None:
        zeros = np.zeros((1, config.model.z_what_dim), np.float32)
        classifier = LinearClassifier(zeros, np.zeros(1, np.float32), ("moving",))
    names = classifier.class_names
    return Model(
        space, classifier, Settings(canonical(config.game), native, names, config.model, config.scene, "", "")
    )


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


def known_samples(config: Config, found: Sequence[Detections], split: Split) -> Samples | None:
    """What few-shot naming draws from; None where the split has no labels, or nothing found has one."""
    if not split.meta.labels:
        return None
    z_what, names = labelled(found, label_truth(split, config.scene))
    return (z_what, names) if names else None


def few_shot_classifier(config: Config, known: Samples, count: int) -> LinearClassifier:
    """Ridge on ``count`` samples per class, drawn with the run's seed."""
    z_what, names = known
    picks = draw_samples(names, count, np.random.default_rng(config.seed))
    return fit_ridge(z_what[picks], [names[i] for i in picks], config.scene.classes or sorted(set(names)))


def name_objects(
    config: Config, found: Sequence[Detections], known: Samples | None
) -> tuple[LinearClassifier, SceneConfig]:
    """Classifier and scene: few-shot ridge where labels are, clusters of z_what where not.

    Raises:
        NothingFoundError: there is nothing to name.
    """
    if known is not None:
        classifier = few_shot_classifier(config, known, max(config.train.few_shot))
    else:
        z_what = np.concatenate([one.z_what for one in found])
        if not len(z_what):
            raise NothingFoundError(
                "the network finds no object on the validation frames, so there is nothing to name. Train "
                "longer (train.steps), or look at the pictures in TensorBoard."
            )
        classifier = fit_clusters(z_what, len(config.scene.classes) or CLUSTERS, config.seed)
    ids = [classifier.class_ids(one.z_what) for one in found]
    return classifier, with_slots(config.scene, classifier.class_names, ids)


def with_slots(scene: SceneConfig, names: tuple[str, ...], ids: Sequence[np.ndarray]) -> SceneConfig:
    """The scene with classes, and slots for those that have none: as many as are seen at once in most frames.

    Args:
        scene: its slots are kept, for those of ``names`` that it gives any.
        names: of the classes.
        ids: of each frame, the class of each object, (n,) indices into ``names``.
    """
    slots = {}
    for index, name in enumerate(names):
        counts = [int(np.sum(each == index)) for each in ids]
        often = max(1, int(np.percentile(counts, 99))) if counts else 1
        slots[name] = scene.slots.get(name, often)
    return replace(scene, classes=names, slots=slots)


def export_classifiers(config: Config, known: Samples | None, folder: Path) -> list[Path]:
    """Write ``z_what-classifier_{n}.joblib.pkl`` for each n of ``train.few_shot``; none without labels."""
    paths = []
    for count in config.train.few_shot if known is not None else ():
        assert known is not None
        paths.append(folder / f"z_what-classifier_{count}.joblib.pkl")
        export_joblib(few_shot_classifier(config, known, count), paths[-1])
    return paths


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
