"""The scores on each test split, and on all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.drawn import as_drawn
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.run_model import Predictions, predict
from spacetime_env.evaluation.split_scores import ALL_TESTS, scores_by_split, target_scores
from tests.helpers.made import found, truth
from tests.helpers.seer import seer

BALL, PLAYER, SHIELD, NOWHERE = (5.0, 5, 2, 4), (0.0, 20, 4, 8), (20.0, 20, 8, 6), (30.0, 0, 3, 3)
SCENE = SceneConfig(classes=("Ball", "Player", "Shield"), still=("Shield",))


def made_up(name: str, agent: str, seed: int, targets: Sequence[Sequence[tuple[float, ...]]]) -> Split:
    """A split that has motion boxes in each frame and nothing else."""
    boxes = [np.array(one, np.float32).reshape(-1, 4) for one in targets]
    meta = SimpleNamespace(agent=agent, seed=seed)
    return cast(Split, SimpleNamespace(path=Path(name), native=(44, 36), motion_boxes=boxes, meta=meta))


def predictions(*frames: tuple[tuple[tuple[tuple[float, ...], str], ...], Truth]) -> Predictions:
    detections, there = [found(*objects) for objects, _ in frames], [true for _, true in frames]
    return Predictions(detections, there, as_drawn(there), [], [], frozenset({"Ball", "Player", "Shield", "Score"}))


def test_scores_by_hand() -> None:
    """One frame each. In the first a still shield and a score are detected, in the second the ball is missed."""
    score = ((10.0, 0, 4, 6), "Score")
    one = predictions(
        (((BALL, "Ball"), (SHIELD, "Shield"), (score[0], "Ball")), truth((BALL, "Ball"), (SHIELD, "Shield"), score))
    )
    other = predictions((((PLAYER, "Ball"), (NOWHERE, "Ball")), truth((BALL, "Ball"), (PLAYER, "Player"))))
    tests = [made_up("test-a", "random", 0, [[BALL]]), made_up("test-b", "pong-ppo", 3, [[BALL, NOWHERE]])]
    scores = scores_by_split(tests, [one, other], SCENE, None, (1,))
    assert list(scores) == ["test-a", "test-b", ALL_TESTS]
    first, second, both = scores.values()
    assert (first.detection.f1, first.detection.objects) == (1, 1)  # shield and score are ignored
    assert first.relevant.f1 == 2 * 2 / (3 + 2)  # the score is a false detection
    assert second.detection.f1 == second.relevant.f1 == 2 * 1 / (2 + 2) and second.detection.name_accuracy == 0
    assert both.detection.f1 == 2 * 2 / (3 + 3) and both.detection.frames == 2
    assert (first.target_f1, second.target_f1, both.target_f1) == (1, 2 * 1 / (2 + 2), 2 * 2 / (3 + 3))
    assert (second.agent, second.seed) == ("pong-ppo", "3")
    assert (both.agent, both.seed) == ("random and pong-ppo", "0 and 3")
    assert both.few_shot == {}
    assert target_scores(tests[1:], other, SCENE).recall == 1 / 2


def test_one_split_is_not_taken_together_with_others() -> None:
    one = predictions((((BALL, "Ball"),), truth((BALL, "Ball"))))
    assert list(scores_by_split([made_up("test-a", "random", 0, [[]])], [one], SCENE, None, ())) == ["test-a"]
    assert scores_by_split([], [], SCENE, None, ()) == {}


def test_few_shot_scores_are_of_relevant_objects() -> None:
    """z_what of the first object is (0, 1, 2), of the second (10, 11, 12), so the shield looks like a player."""
    known = Samples(np.array([[0, 1, 2], [10, 11, 12]], np.float32), ["Ball", "Player"])
    one = predictions((((BALL, "Ball"), (SHIELD, "Shield")), truth((BALL, "Ball"), (SHIELD, "Shield"))))
    test = made_up("test-a", "random", 0, [[]])
    assert scores_by_split([test], [one], SCENE, known, (1,))["test-a"].few_shot == {1: (0.5, 0.0)}
    without = SceneConfig(classes=("Ball", "Player"))
    assert scores_by_split([test], [one], without, known, (1, 4))["test-a"].few_shot == {1: (1.0, 0.0), 4: (1.0, 0.0)}


def test_a_model_that_finds_nothing_has_scores_too(test: Split) -> None:
    known = Samples(np.zeros((2, 3), np.float32), ["Player", "Ball"])
    blind = predict(seer(blind=("Player", "Ball")), test)
    (scores,) = scores_by_split([test], [blind], SceneConfig(), known, (1,)).values()
    assert scores.detection.f1 == 0 and scores.few_shot == {} and scores.target_f1 > 0.8


def test_predictions_of_other_splits() -> None:
    with pytest.raises(ValueError, match="zip"):
        scores_by_split([made_up("test-a", "random", 0, [[]])], [], SCENE, None, ())
