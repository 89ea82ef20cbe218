"""A model run on splits: detections beside the truth, and splits that cannot be used."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation.drawn import as_drawn
from spacetime_env.evaluation.latents import labelled
from spacetime_env.evaluation.run_model import EvaluationError, Predictions, labelled_tests, predict, runs_of
from spacetime_env.models.model import Model
from tests.helpers.made import found, truth
from tests.helpers.seer import SCENE, Seer, seer
from tests.helpers.tiny import write_split


def test_splits_are_taken_together(test: Split, validation: Split) -> None:
    parts = [predict(seer(), split) for split in (test, validation)]
    joined = Predictions.join(parts)
    assert len(joined.detections) == len(joined.truth) == 24 and joined.classes == {"Player", "Ball"}
    assert joined.stacks == joined.runs == [range(at, at + 3) for at in range(0, 24, 3)]
    assert parts[1].stacks == [range(at, at + 3) for at in range(0, 12, 3)]
    assert joined.detections[12] is parts[1].detections[0]
    for one, true in zip(joined.detections, joined.truth, strict=True):
        assert sorted(one.boxes.tolist()) == sorted(true.boxes.tolist())


def test_samples_by_hand() -> None:
    """Two frames of a stack: the ball is detected in both, the player in the second alone, and a false one."""
    ball, player = (5.0, 5, 2, 4), (0.0, 20, 4, 8)
    detections = [found((ball, "Player")), found(((30, 0, 3, 3), "Ball"), (player, "Player"), (ball, "Ball"))]
    there = [truth((player, "Player"), (ball, "Ball")), truth((ball, "Ball"), (player, "Player"))]
    predictions = Predictions(detections, there, as_drawn(there), [range(2)], [range(2)], frozenset({"Ball", "Player"}))
    assert predictions.true_names == [["Ball"], ["", "Player", "Ball"]]
    z_what, names = predictions.samples(("Ball", "Player"))
    assert z_what.tolist() == [[0, 1, 2], [10, 11, 12], [20, 21, 22]] and names == ["Ball", "Player", "Ball"]
    assert np.array_equal(z_what, labelled(detections, there).features)
    features, names = predictions.samples(("Player",), kalman=True)
    assert features.tolist() == [[1, 1.25, 1.5, 1.75, 10, 11, 12]] and names == ["Player"]
    assert predictions.samples(("Ghost",)).features.shape == (0, 0)
    ((first, second),) = predictions.kalman_stacks(("Player",))
    assert first.names == [] and first.features.shape == (0, 7) and second.names == ["Player"]
    moving, others = predictions.moving(SCENE)
    assert [one.names for one in moving] == [("Player", "Ball"), ("Ball", "Player")] and others[0].names == ()


def test_runs_of_a_sequential_split() -> None:
    """Stacks go on in the second and fourth; the third begins another episode, the fifth skips, the sixth is a file."""
    steps = np.array([[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5], [7, 8, 9]])
    files = [
        SimpleNamespace(episodes=np.array([0, 0, 1, 1, 1]), steps=steps),
        SimpleNamespace(episodes=np.array([1]), steps=np.array([[10, 11, 12]])),
    ]

    class Recorded:
        meta = SimpleNamespace(order="sequential", length=3)

        def __len__(self) -> int:
            return 6

        def shards(self) -> list[SimpleNamespace]:
            return files

    split = cast(Split, Recorded())
    assert runs_of(split) == [range(0, 6), range(6, 12), range(12, 15), range(15, 18)]
    split.meta.order = "random"  # type: ignore[misc]
    assert runs_of(split) == [range(at, at + 3) for at in range(0, 18, 3)]


def test_what_cannot_be_used(test: Split, tmp_path: Path) -> None:
    bare = open_split(write_split(tmp_path, "test"))
    with pytest.raises(EvaluationError, match="recorded without ground truth"):
        predict(seer(), bare)
    with pytest.raises(EvaluationError, match="recorded without ground truth"):
        Predictions.of(bare, [], SCENE)
    other = Seer()
    other.native = (44, 37)
    with pytest.raises(EvaluationError, match=r"frames of \(44, 36\) pixels \(H, W\), and the model reads \(44, 37\)"):
        predict(cast(Model, other), test)
    with pytest.raises(EvaluationError, match=r"no labelled test split in .*--split"):
        labelled_tests(tmp_path, "Pong")
