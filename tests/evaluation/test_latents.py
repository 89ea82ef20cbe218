"""Few-shot samples, centroids and clusters, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.evaluation.latents import (
    Samples,
    centroid_accuracy,
    cluster_scores,
    draw_samples,
    few_shot_accuracy,
    labelled,
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


def clouds(count: int, seed: int, spread: float = 1.5) -> Samples:
    generator = np.random.default_rng(seed)
    names = ["a", "b", "c"] * count
    centers = {"a": (0, 0), "b": (3, 0), "c": (0, 3)}
    z_what = np.array([centers[name] for name in names]) + generator.normal(size=(3 * count, 2)) * spread
    return Samples(z_what.astype(np.float32), names)


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
    mean, _ = few_shot_accuracy(Samples(z_what[seen], [names[i] for i in seen]), clouds(10, 1, 0.01), (4,))[4]
    assert mean == pytest.approx(2 / 3)


def test_few_shot_accuracy_without_samples() -> None:
    nothing = Samples(np.zeros((0, 2), np.float32), [])
    assert few_shot_accuracy(nothing, clouds(2, 0)) == few_shot_accuracy(clouds(2, 0), nothing) == {}


def test_true_names() -> None:
    box, other = (0, 0, 4, 4), (20, 20, 2, 4)
    frames = [found(((30, 0, 3, 3), "Ball"), (box, "Ball"), (other, "Ball")), found((box, "Ball")), found()]
    there = [truth((other, "Shield"), (box, "Player")), truth(), truth((box, "Ball"))]
    assert true_names(frames, there) == [["", "Player", "Shield"], [""], []]


def test_centroid_accuracy_by_hand() -> None:
    """Means (1, 0) and (9, 2) of two and four samples; 4 is nearer to the first, as 6 to the second."""
    at = np.array([[0, 0], [2, 0], [8, 2], [10, 2], [8, 2], [10, 2]], np.float32)
    train = Samples(at, ["a", "a", "b", "b", "b", "b"])
    test = Samples(np.array([[4, 0], [6, 2], [4, 0], [9, 9]], np.float32), ["a", "b", "b", "c"])
    assert centroid_accuracy(train, test) == 2 / 4
    assert centroid_accuracy(Samples(at[:2], ["a", "a"]), test) == 1 / 4
    nothing = Samples(at[:0], [])
    assert np.isnan(centroid_accuracy(nothing, test)) and np.isnan(centroid_accuracy(train, nothing))


def test_centroids_count_each_dimension_in_its_own_unit() -> None:
    """The second dimension is a thousand times as wide, and says nothing."""
    at = np.array([[0, -1000], [0, 1000], [1, -900], [1, 1100]], np.float32)
    train, test = Samples(at, ["a", "a", "b", "b"]), Samples(np.array([[0.1, 100]]), ["a"])
    assert centroid_accuracy(train, test) == 1


def test_cluster_scores_by_hand() -> None:
    """Two clusters of three, of which one holds a, a, b.

    Pairs together in both: 1 + 3 = 4. In a class: 1 + 6, in a cluster: 3 + 3, of 15: 2.8 by chance.
    """
    at = np.array([[0], [0.1], [0.2], [10], [10.1], [10.2]], np.float32)
    scores = cluster_scores(Samples(at, ["a", "a", "b", "b", "b", "b"]))
    assert scores["ari"] == pytest.approx((4 - 2.8) / ((7 + 6) / 2 - 2.8)) and scores["cluster_accuracy"] == 5 / 6
    assert 0 < scores["ami"] < 1
    perfect = cluster_scores(Samples(at, ["a"] * 3 + ["b"] * 3))
    assert perfect == pytest.approx({"ami": 1, "ari": 1, "cluster_accuracy": 1})
    same = cluster_scores(Samples(np.ones((4, 2), np.float32), ["a", "a", "a", "b"]))  # one point: one cluster
    assert same["cluster_accuracy"] == 3 / 4 and same["ari"] == 0
    assert all(np.isnan(value) for value in cluster_scores(Samples(at[:2], ["a", "a"])).values())


def test_nearby_names_are_those_of_objects_that_no_other_detection_overlaps() -> None:
    # A shot whose true box is two pixels beside it, and a second detection beside a player that is found.
    frames = [found(((10, 10, 1, 5), "Ball"), ((30, 10, 8, 8), "Player"), ((34, 10, 8, 8), "Player"))]
    there = [truth(((12, 10, 1, 5), "Shield"), ((30, 10, 8, 8), "Player"))]
    assert true_names(frames, there) == [["", "Player", ""]]
    assert true_names(frames, there, nearby=True) == [["Shield", "Player", ""]]
    z_what, names = labelled(frames, there, nearby=True)
    assert names == ["Shield", "Player"] and z_what.tolist() == [[0, 1, 2], [10, 11, 12]]
