"""The Kalman classifier, computed by hand."""

from __future__ import annotations

import numpy as np

from spacetime_env.evaluation.kalman import kalman_accuracy, kalman_features, smooth
from spacetime_env.evaluation.latents import Samples
from tests.helpers.made import found


def one(at: float, first: float) -> tuple[np.ndarray, np.ndarray]:
    """A frame with one object: its place, and its probability of the first of two classes."""
    return np.array([[at, 0.0]]), np.array([[first, 1 - first]])


def test_the_filter_remembers_by_hand() -> None:
    """Variance 5 + 0.5, gain 5.5 / 6.505 = 0.8455: after 0.9 the state is 0.8382, its variance 0.8497.

    Variance 1.3497, gain 1.3497 / 2.3547 = 0.5732: a second frame must say less than 0.2482 to turn it round.
    """
    assert smooth([one(0, 0.9), one(0, 0.26)]).tolist() == [0]
    assert smooth([one(0, 0.9), one(0, 0.24)]).tolist() == [1]
    assert smooth([one(0, 0.26)]).tolist() == [1]


def test_filters_stay_with_the_nearest_object() -> None:
    before = (np.array([[-0.5, 0], [0.5, 0]]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    after = (np.array([[0.4, 0], [-0.4, 0], [0.9, 0.9]]), np.array([[0.55, 0.45], [0.45, 0.55], [0.6, 0.4]]))
    assert smooth([before, after]).tolist() == [1, 0, 0]  # turned round, and the third is new
    nothing = (np.zeros((0, 2)), np.zeros((0, 2)))
    assert smooth([before, nothing, one(0.4, 0.55)]).tolist() == [1]  # one is gone for a frame, the other for good
    assert smooth([before, nothing]).tolist() == [] == smooth([]).tolist()


def test_kalman_features() -> None:
    frame = found(((0, 0, 4, 4), "Player"), ((9, 9, 1, 1), "Ball"))
    assert kalman_features(frame).tolist() == [[0, 0.25, 0.5, 0.75, 0, 1, 2], [1, 1.25, 1.5, 1.75, 10, 11, 12]]


def places(*objects: tuple[float, float, str]) -> Samples:
    """Features of objects: x, what they look like, and their name."""
    rows = [[0.1, 0.1, x, 0.0, look] for x, look, _ in objects]
    return Samples(np.array(rows, np.float32).reshape(-1, 5), [name for *_, name in objects])


def test_kalman_accuracy() -> None:
    train = places(*((x, look, name) for x in (-0.5, 0.5) for look, name in ((0, "a"), (5, "b")) for _ in range(4)))
    sure = [places((0.5, 0, "a"), (-0.5, 5, "b")), places((-0.4, 5, "b"), (0.4, 0, "a"))]
    assert kalman_accuracy(train, [sure]) == 1
    wrong = [sure[0], places((-0.4, 5, "a"), (0.4, 0, "a"))]  # only the last frame counts
    assert kalman_accuracy(train, [wrong]) == 1 / 2 and kalman_accuracy(train, [wrong, sure, []]) == 3 / 4
    # What looks like the other class for one frame keeps its name.
    slip = [places((0.5, 0, "a")), places((0.5, 0, "a")), places((0.5, 0, "a")), places((0.5, 5, "a"))]
    assert kalman_accuracy(train, [slip[:1] + slip[3:]]) == 0
    assert kalman_accuracy(train, [slip[2:3] * 9 + slip[3:]]) == 1
    assert np.isnan(kalman_accuracy(places(), [sure])) and np.isnan(kalman_accuracy(train, [[sure[0], places()]]))
