"""The objects that a model should find, from motion and from labels."""

from __future__ import annotations

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import Split
from spacetime_env.evaluation.truth import label_truth, motion_truth, moving_truth, truth_sets
from spacetime_env.objects.describe import in_regions


def test_truth_leaves_out_other_classes_and_ignored_regions(validation: Split) -> None:
    assert {name for one in label_truth(validation, SceneConfig()) for name in one.names} == {"Player", "Ball"}
    left = SceneConfig(ignore=((0, 0, 23, 44),))  # where the ball is
    for scene in (SceneConfig(classes=("Player",)), left):
        found = label_truth(validation, scene)
        assert [one.names for one in found] == [("Player",)] * 12 and found[0].boxes.shape == (1, 4)
    moving = motion_truth(validation, left)
    assert {name for one in moving for name in one.names} == {"moving"}
    assert all((one.boxes[:, 0] > 18).all() for one in moving)
    # The centre decides, and the region's far edge is outside of it.
    box = np.array([[0, 0, 4, 4]], np.float32)
    assert not in_regions(box, ((0, 0, 2, 2),))[0]
    assert in_regions(box, ((2, 2, 1, 1),))[0]


def test_what_moves_and_what_else_is_there(validation: Split) -> None:
    scene = SceneConfig(classes=("Player", "Ball"), still=("Ball",))
    moving, others = moving_truth(validation, scene)
    assert [one.names for one in moving] == [("Player",)] * 12 and [one.names for one in others] == [("Ball",)] * 12
    assert len(moving_truth(validation, scene, frames=5)[1]) == 5
    known = ("Shield", "Player", "Ball")
    assert truth_sets(SceneConfig(classes=("Player", "Shield", "Ghost"), still=("Shield",)), known) == {
        "all": ("Ball", "Player", "Shield"),
        "moving": ("Player",),
        "relevant": ("Player", "Shield"),
    }
    clusters = truth_sets(SceneConfig(classes=("object0",)), known)  # none of them is the truth's
    assert clusters["relevant"] == clusters["moving"] == clusters["all"] == ("Ball", "Player", "Shield")
