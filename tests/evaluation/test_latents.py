"""Few shots, centroids, clusters and the Kalman filter, each worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.evaluation.latents import (
    centroid_accuracy,
    cluster_scores,
    draw_samples,
    few_shot_accuracy,
    kalman_accuracy,
    kalman_features,
    labelled,
    smooth,
    true_names,
)
from tests.helpers.made import found, truth


def test_labelled_takes_z_what_of_matched_objects_only() -> None:
    z_what, names = labelled(
        [found(((30, 0, 3, 3), "Ball"), ((0, 0, 4, 4), "Player")), found()],
        [truth(((0, 0, 4, 4), "Enemy")), truth(((0, 0, 4, 4), "Enemy"))],
    )
    assert z_what.tolist() == [[10, 11, 12]] and names == ["Enemy"]
    z_what, names = labelled([found()], [truth()])
    assert z_what.shape == (0, 3) and names == []


def test_draw_samples() -> None:
    names = ["b", "a", "b", "b", "a", "c"]
    picks = draw_samples(names, 2, np.random.default_rng(0))
    assert len(set(picks.tolist())) == 5 and sorted(names[i] for i in picks) == ["a", "a", "b", "b", "c"]
    others = {tuple(draw_samples(names, 1, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert len(others) > 3
    assert draw_samples([], 2, np.random.default_rng(0)).tolist() == []


def clouds(count: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, list[str]]:
    generator = np.random.default_rng(seed)
    names = ["a", "b", "c"] * count
    centers = {"a": (0, 0), "b": (3, 0), "c": (0, 3)}
    z_what = np.array([centers[name] for name in names]) + generator.normal(size=(3 * count, 2)) * spread
    return z_what.astype(np.float32), names


def test_few_shot_accuracy_follows_its_seed() -> None:
    train, test = clouds(70, 0), clouds(50, 1)
    one = few_shot_accuracy(train, test, (1, 16), draws=3, seed=4)
    assert one == few_shot_accuracy(train, test, (1, 16), draws=3, seed=4)
    assert one != few_shot_accuracy(train, test, (1, 16), draws=3, seed=5)
    # A count has its own draws, whichever others are asked for.
    assert one[16] == few_shot_accuracy(train, test, (16,), draws=3, seed=4)[16]
    assert set(one) == {1, 16} and one[16][0] > one[1][0] and one[1][1] > 0


def test_few_shot_accuracy_of_easy_classes_is_one() -> None:
    assert few_shot_accuracy(clouds(5, 0, 0.01), clouds(5, 1, 0.01), (4,)) == {4: (1.0, 0.0)}


def test_few_shot_accuracy_counts_classes_it_has_not_seen_as_wrong() -> None:
    z_what, names = clouds(5, 0, 0.01)
    seen = [i for i, name in enumerate(names) if name != "c"]
    mean, _ = few_shot_accuracy((z_what[seen], [names[i] for i in seen]), clouds(10, 1, 0.01), (4,))[4]
    assert mean == pytest.approx(2 / 3)


def test_few_shot_accuracy_without_samples() -> None:
    nothing: tuple[np.ndarray, list[str]] = (np.zeros((0, 2), np.float32), [])
    assert few_shot_accuracy(nothing, clouds(2, 0)) == few_shot_accuracy(clouds(2, 0), nothing) == {}


def test_true_names() -> None:
    box, other = (0, 0, 4, 4), (20, 20, 2, 4)
    frames = [found(((30, 0, 3, 3), "Ball"), (box, "Ball"), (other, "Ball")), found((box, "Ball")), found()]
    there = [truth((other, "Shield"), (box, "Player")), truth(), truth((box, "Ball"))]
    assert true_names(frames, there) == [["", "Player", "Shield"], [""], []]


def test_centroid_accuracy_by_hand() -> None:
    """Means (1, 0) and (9, 2) of two and four samples; 4 is nearer to the first, as 6 to the second."""
    at = np.array([[0, 0], [2, 0], [8, 2], [10, 2], [8, 2], [10, 2]], np.float32)
    train = (at, ["a", "a", "b", "b", "b", "b"])
    test = (np.array([[4, 0], [6, 2], [4, 0], [9, 9]], np.float32), ["a", "b", "b", "c"])
    assert centroid_accuracy(train, test) == 2 / 4
    assert centroid_accuracy((at[:2], ["a", "a"]), test) == 1 / 4
    assert np.isnan(centroid_accuracy((at[:0], []), test)) and np.isnan(centroid_accuracy(train, (at[:0], [])))


def test_centroids_count_each_dimension_in_its_own_unit() -> None:
    """The second dimension is a thousand times as wide, and says nothing."""
    at = np.array([[0, -1000], [0, 1000], [1, -900], [1, 1100]], np.float32)
    assert centroid_accuracy((at, ["a", "a", "b", "b"]), (np.array([[0.1, 100]]), ["a"])) == 1


def test_cluster_scores_by_hand() -> None:
    """Two clusters of three, of which one holds a, a, b.

    Pairs together in both: 1 + 3 = 4. In a class: 1 + 6, in a cluster: 3 + 3, of 15: 2.8 by chance.
    """
    at = np.array([[0], [0.1], [0.2], [10], [10.1], [10.2]], np.float32)
    scores = cluster_scores((at, ["a", "a", "b", "b", "b", "b"]))
    assert scores["ari"] == pytest.approx((4 - 2.8) / ((7 + 6) / 2 - 2.8)) and scores["cluster_accuracy"] == 5 / 6
    assert 0 < scores["ami"] < 1
    assert cluster_scores((at, ["a"] * 3 + ["b"] * 3)) == pytest.approx({"ami": 1, "ari": 1, "cluster_accuracy": 1})
    same = cluster_scores((np.ones((4, 2), np.float32), ["a", "a", "a", "b"]))  # one point: one cluster
    assert same["cluster_accuracy"] == 3 / 4 and same["ari"] == 0
    assert all(np.isnan(value) for value in cluster_scores((at[:2], ["a", "a"])).values())


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


def places(*objects: tuple[float, float, str]) -> tuple[np.ndarray, list[str]]:
    """Features of objects: x, what they look like, and their name."""
    rows = [[0.1, 0.1, x, 0.0, look] for x, look, _ in objects]
    return np.array(rows, np.float32).reshape(-1, 5), [name for *_, name in objects]


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
