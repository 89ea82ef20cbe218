"""Class names for detections: from a few labels or, without labels, from clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spacetime_env.config import Config, SceneConfig
from spacetime_env.data.box_table import OBJECT
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.latents import Samples, draw_samples, labelled
from spacetime_env.evaluation.truth import label_truth
from spacetime_env.games import canonical
from spacetime_env.models.classifier import LinearClassifier, export_joblib, fit_clusters, fit_ridge
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space

CLUSTERS = 8  # classes of a model without labels, if neither train.clusters nor scene.classes says how many


class NothingFoundError(ValueError):
    """The network detects no object, so there is nothing to name."""


def as_model(
    config: Config,
    space: Space,
    native: tuple[int, int],
    classifier: LinearClassifier | None = None,
    variant: tuple[int | None, int | None] = (None, None),
) -> Model:
    """A network in training as the model that a user would load. The network is switched to evaluation mode.

    Args:
        config: of one game.
        native: H, W of the game's frames.
        classifier: of z_what; None: each object is called ``moving``.
        variant: mode and difficulty of the game in the training data; None: its default.
    """
    classifier = classifier or one_class(config, "moving")
    names, (mode, difficulty) = classifier.class_names, variant
    game = config.game if config.data.pictures else canonical(config.game)
    settings = Settings(game, native, names, config.model, config.scene, "", "", mode=mode, difficulty=difficulty)
    return Model(space, classifier, settings)


def one_class(config: Config, name: str) -> LinearClassifier:
    """A classifier that calls each object ``name``."""
    return LinearClassifier(np.zeros((1, config.model.z_what_dim), np.float32), np.zeros(1, np.float32), (name,))


def renamed(detections: Sequence[Detections], classifier: LinearClassifier) -> list[Detections]:
    """The same detections with the class names that a classifier gives them."""
    names = classifier.class_names
    return [replace(one, class_ids=classifier.class_ids(one.z_what), class_names=names) for one in detections]


def known_samples(
    config: Config, detections: Sequence[Detections], split: Stacks, nearby: bool = True
) -> Samples | None:
    """z_what and true names that few-shot samples are drawn from.

    Args:
        detections: in all frames of ``split``, or in its first ones.
        nearby: names are to be given, so a label near a detection counts too, see
            :func:`~spacetime_env.evaluation.latents.true_names`; False: z_what is to be measured.

    Returns:
        None if the split has no labels, or no detection matches a relevant true object.
    """
    if not split.meta.labels:
        return None
    samples = labelled(detections, label_truth(split, config.scene, len(detections)), nearby)
    return samples if samples.names else None


def few_shot_classifier(config: Config, known: Samples, count: int) -> LinearClassifier:
    """A ridge classifier on ``count`` samples per class, drawn with the run's seed."""
    z_what, names = known
    picks = draw_samples(names, count, np.random.default_rng(config.seed))
    return fit_ridge(z_what[picks], [names[i] for i in picks], config.scene.classes or sorted(set(names)))


def name_objects(
    config: Config, detections: Sequence[Detections], known: Samples | None
) -> tuple[LinearClassifier, SceneConfig]:
    """A classifier of z_what and the scene with its classes: a few-shot ridge classifier, or clusters without labels.

    Of pictures whose boxes have no classes, all objects are of the class ``object``, unless ``train.clusters`` says
    otherwise.

    Args:
        detections: in the validation frames; slots are counted in them.
        known: see :func:`known_samples`.

    Raises:
        NothingFoundError: there is nothing to name.
    """
    unnamed = known is None or (bool(config.data.pictures) and set(known.names) == {OBJECT})
    clusters = config.train.clusters or len(config.scene.classes)
    if unnamed and config.data.pictures and not clusters:
        classifier = one_class(config, OBJECT)  # nobody says that there are several
    elif known is not None and not (unnamed and config.train.clusters):
        classifier = few_shot_classifier(config, known, max(config.train.few_shot))
    else:
        z_what = np.concatenate([one.z_what for one in detections])
        if not len(z_what):
            raise NothingFoundError(
                "the network finds no object on the validation frames, so there is nothing to name. Train "
                "longer (train.steps), or look at the pictures in TensorBoard."
            )
        classifier = fit_clusters(z_what, clusters or CLUSTERS, config.seed)
    ids = [classifier.class_ids(one.z_what) for one in detections]
    return classifier, with_slots(config.scene, classifier.class_names, ids)


def with_slots(scene: SceneConfig, names: tuple[str, ...], ids: Sequence[np.ndarray]) -> SceneConfig:
    """The scene with classes, and with slots for each of them.

    A class without slots in ``scene`` gets as many as its objects in 99 % of the frames, at least one.

    Args:
        scene: its slots of classes that are in ``names`` are kept.
        names: of the classes.
        ids: for each frame, the class of each object, (n,) indices into ``names``.
    """
    slots = {}
    for index, name in enumerate(names):
        counts = [int(np.sum(each == index)) for each in ids]
        often = max(1, int(np.percentile(counts, 99))) if counts else 1
        slots[name] = scene.slots.get(name, often)
    return replace(scene, classes=names, slots=slots)


def export_classifiers(config: Config, known: Samples | None, folder: Path) -> list[Path]:
    """Write ``z_what-classifier_{n}.joblib.pkl`` for each n of ``train.few_shot``; no file without labels."""
    paths = []
    for count in config.train.few_shot if known is not None else ():
        assert known is not None
        paths.append(folder / f"z_what-classifier_{count}.joblib.pkl")
        export_joblib(few_shot_classifier(config, known, count), paths[-1])
    return paths
