"""Names for what a network finds: from a few labels or, where there are none, by clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from spacetime_env.config import Config, SceneConfig
from spacetime_env.data.split import Split
from spacetime_env.evaluation.latents import Samples, draw_samples, labelled
from spacetime_env.evaluation.truth import label_truth
from spacetime_env.games import canonical
from spacetime_env.models.classifier import LinearClassifier, export_joblib, fit_clusters, fit_ridge
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space

CLUSTERS = 8  # classes where no labels are and scene.classes names none


class NothingFoundError(ValueError):
    """The network finds no object, so there is nothing to name."""


def as_model(
    config: Config, space: Space, native: tuple[int, int], classifier: LinearClassifier | None = None
) -> Model:
    """A network in training as the model that a user would load; all is ``moving`` without a classifier."""
    if classifier is None:
        zeros = np.zeros((1, config.model.z_what_dim), np.float32)
        classifier = LinearClassifier(zeros, np.zeros(1, np.float32), ("moving",))
    names = classifier.class_names
    return Model(
        space, classifier, Settings(canonical(config.game), native, names, config.model, config.scene, "", "")
    )


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
