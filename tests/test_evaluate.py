"""Figures, each worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.evaluate import (
    DetectionScores,
    Truth,
    centeredness,
    detection_scores,
    draw_samples,
    few_shot_accuracy,
    iou,
    labelled,
    match,
)
from spacetime_env.scene import Detections

CLASSES = ("Player", "Ball")


def found(*objects: tuple[tuple[float, ...], str]) -> Detections:
    """Detections of (box, name); z_what counts up from 10 * the number of the object."""
    n = len(objects)
    return Detections(
        boxes=np.array([box for box, _ in objects], np.float32).reshape(-1, 4),
        z_where=np.zeros((n, 4), np.float32),
        class_ids=np.array([CLASSES.index(name) for _, name in objects], np.int64),
        confidence=np.ones(n, np.float32),
        z_what=(np.arange(3) + 10 * np.arange(n)[:, None]).astype(np.float32),
        class_names=CLASSES,
    )


def truth(*objects: tuple[tuple[float, ...], str]) -> Truth:
    boxes = np.array([box for box, _ in objects], np.float32).reshape(-1, 4)
    return Truth(boxes, tuple(name for _, name in objects))


def test_iou_by_hand() -> None:
    a = np.array([[0, 0, 4, 2], [10, 10, 2, 2]])
    b = np.array([[0, 0, 4, 2], [2, 1, 4, 2], [4, 0, 4, 2], [1, 0, 2, 1]])
    # 2 x 1 shared of 8 + 8 - 2; touching shares nothing; 2 of 8.
    assert np.allclose(iou(a, b), [[1, 2 / 14, 0, 2 / 8], [0, 0, 0, 0]])
    assert iou(a, b[:0]).shape == (2, 0) and iou(a[:0], b).shape == (0, 4)
    assert iou(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0]]  # a box of no size


def test_centeredness_by_hand() -> None:
    box, true = np.array([[3.0, 0, 2, 2], [0, 0, 6, 8]]), np.array([[0.0, 0, 6, 8]])
    # Centres (4, 1) and (3, 4) to (3, 4), in diagonals of 10.
    assert np.allclose(centeredness(box, true), [[1 - np.sqrt(10) / 10], [1]])


def test_matching_takes_as_many_pairs_as_there_are() -> None:
    # Greedily 0-0 (0.9) would leave 1 without a partner.
    assert match(np.array([[0.9, 0.6], [0.8, 0.1]]), 0.5) == [(0, 1), (1, 0)]
    # Three poor pairs rather than two perfect ones.
    assert match(np.array([[0.5, 1, 0], [0, 0.5, 1], [0, 0, 0.5]]), 0.5) == [(0, 0), (1, 1), (2, 2)]
    # Of equally many, the higher sum.
    assert match(np.array([[0.9, 0.6], [0.8, 0.7]]), 0.5) == [(0, 0), (1, 1)]
    assert match(np.array([[0.5, 0.49]]), 0.5) == [(0, 0)]
    assert match(np.array([[0.49]]), 0.5) == []
    assert match(np.zeros((0, 3)), 0.5) == match(np.zeros((3, 0)), 0.5) == []


def test_detection_scores_by_hand() -> None:
    frames = [
        # A hit with the right name, one with a wrong name, and a false alarm.
        (
            found(((0, 0, 4, 4), "Player"), ((20, 20, 2, 4), "Player"), ((30, 0, 3, 3), "Ball")),
            truth(((0, 0, 4, 4), "Player"), ((20, 20, 2, 4), "Ball")),
        ),
        # IoU 8 / 16 = 0.5 counts; a ball 2 px off has none, but its centre is 2 from the truth, in sqrt(20).
        (
            found(((0, 0, 4, 2), "Player"), ((22, 20, 2, 4), "Ball")),
            truth(((0, 0, 4, 4), "Player"), ((20, 20, 2, 4), "Ball")),
        ),
        (found(), truth(((5, 5, 2, 2), "Ball"))),
        (found(), truth()),
    ]
    scores = detection_scores([f for f, _ in frames], [t for _, t in frames])
    assert scores == DetectionScores(
        frames=4,
        precision=3 / 5,
        recall=3 / 5,
        f1=2 * 3 / (5 + 5),
        center_f1=2 * 4 / (5 + 5),
        class_recall={"Ball": 1 / 3, "Player": 2 / 2},
        name_accuracy=2 / 3,
    )
    lines = scores.lines()
    assert lines[:2] == ["| figure | value |", "|---|---|"]
    assert "| F1 at IoU 0.5 | 0.6000 |" in lines and "| recall of Ball | 0.3333 |" in lines


def test_two_detections_of_one_object_count_once() -> None:
    scores = detection_scores(
        [found(((0, 0, 4, 4), "Player"), ((0, 0, 4, 3), "Player"))], [truth(((0, 0, 4, 4), "Player"))]
    )
    assert (scores.precision, scores.recall, scores.center_f1) == (0.5, 1.0, 2 / 3)


def test_nothing_there_and_nothing_found() -> None:
    scores = detection_scores([found()], [truth()])
    assert (scores.f1, scores.precision, scores.recall, scores.class_recall) == (0, 0, 0, {})
    for detections, true in (([], []), ([found()], [])):
        with pytest.raises(ValueError, match=r"same frames, got \d and 0"):
            detection_scores(detections, true)


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
