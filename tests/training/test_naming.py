"""Class names from a few labels and from clusters, and slots for the classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.latents import Samples
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.tracker import Tracker
from spacetime_env.training import naming
from spacetime_env.training.naming import NothingFoundError
from tests.helpers.made import found
from tests.helpers.tiny import CONFIG, NATIVE, make_space, write_split


def detections(*counts: int) -> list[Detections]:
    """Frames with so many objects, whose z_what are far apart in turn."""
    what = [np.array([[10.0 * (i % 2), 0, 0]], np.float32) for i in range(max(counts))]
    return [
        Detections(
            np.zeros((n, 4), np.float32),
            np.zeros((n, 4), np.float32),
            np.zeros(n, np.int64),
            np.ones(n, np.float32),
            np.concatenate([*what[:n], np.zeros((0, 3), np.float32)]),
            ("moving",),
        )
        for n in counts
    ]


def test_without_labels_classes_are_clusters() -> None:
    """Slots that the config gives to names which no cluster has are dropped: the tracker refuses them."""
    scene = SceneConfig(classes=("Player", "Ball"), slots={"Player": 1, "Ball": 1}, keep=2)
    classifier, named = naming.name_objects(replace(CONFIG, scene=scene), detections(3, 3, 3, 3), None)
    assert classifier.class_names == named.classes == ("object0", "object1")
    assert named.slots == {"object0": 2, "object1": 1} and named.keep == 2
    Tracker(named, NATIVE)
    several = [replace(one, z_what=one.z_what + 30 * i) for i, one in enumerate(detections(0, 3, 3, 3, 3, 3))]
    free, _ = naming.name_objects(replace(CONFIG, scene=SceneConfig()), several, None)
    assert free.class_names == tuple(f"object{i}" for i in range(naming.CLUSTERS))
    with pytest.raises(NothingFoundError, match="finds no object on the validation frames"):
        naming.name_objects(CONFIG, detections(0, 0), None)


def test_with_labels_slots_are_counted_by_name() -> None:
    known = Samples(np.array([[0.0, 0, 0], [10, 0, 0]] * 3, np.float32), ["Ghost", "Ball"] * 3)
    classifier, named = naming.name_objects(CONFIG, detections(5, 5, 5, 5), known)
    assert classifier.class_names == ("Ball", "Ghost") and named.slots == {"Ball": 2, "Ghost": 3}
    fixed = replace(CONFIG, scene=SceneConfig(classes=("Ghost", "Ball"), slots={"Ghost": 4}))
    classifier, named = naming.name_objects(fixed, detections(5, 5), known)
    assert classifier.class_names == ("Ghost", "Ball") and named.slots == {"Ghost": 4, "Ball": 2}


def test_renamed_detections_keep_all_but_their_class() -> None:
    """z_what of the two objects begins with 0 and with 10."""
    classifier = LinearClassifier(
        np.array([[-1, 0, 0], [1, 0, 0]], np.float32), np.array([5, -5], np.float32), ("low", "high")
    )
    before = [found(((1, 2, 3, 4), "Ball"), ((5, 6, 7, 8), "Ball")), found()]
    after = naming.renamed(before, classifier)
    assert [one.names for one in after] == [["low", "high"], []] and after[0].class_names == ("low", "high")
    assert after[0].boxes is before[0].boxes and after[0].z_what is before[0].z_what


def test_without_a_classifier_all_is_moving() -> None:
    model = naming.as_model(CONFIG, make_space(), NATIVE)
    (one,) = model.detect(np.zeros((1, *NATIVE, 3), np.uint8))
    assert model.class_names == ("moving",) and set(one.names) == {"moving"} and not model.space.training


def test_samples_that_few_shot_classifiers_are_fitted_on(tmp_path: Path) -> None:
    split = open_split(write_split(tmp_path, "validation", labels=True))
    there = [tuple(split.labels[f][1]) for f in range(12)]  # the Ball
    detections_of_balls = [found((box, "Player")) for box in there]
    samples = naming.known_samples(CONFIG, detections_of_balls, split)
    assert samples is not None and samples.names == ["Ball"] * 12 and samples.features.shape == (12, 3)
    players = replace(CONFIG, scene=SceneConfig(classes=("Player",)))
    assert naming.known_samples(players, detections_of_balls, split) is None
    assert naming.known_samples(CONFIG, [found()] * 12, split) is None
    bare = open_split(write_split(tmp_path / "bare", "validation"))
    assert naming.known_samples(CONFIG, detections_of_balls, bare) is None
