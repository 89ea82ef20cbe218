"""Scores of boxes, each computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.evaluation.boxes import (
    DetectionScores,
    centeredness,
    detection_scores,
    divide,
    iou,
    match,
    of_classes,
)
from spacetime_env.evaluation.coco import average_precision
from tests.helpers.made import found, truth


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
        objects=5,
        precision=3 / 5,
        recall=3 / 5,
        f1=2 * 3 / (5 + 5),
        center_precision=4 / 5,
        center_recall=4 / 5,
        center_f1=2 * 4 / (5 + 5),
        f1_75=2 * 2 / (5 + 5),
        perfect=2 / 4,
        overcount=1 / 4,
        undercount=1 / 4,
        error_rate=(1 / 2 + 0 + 1 / 1 + 0) / 4,
        class_recall={"Ball": 1 / 3, "Player": 2 / 2},
        name_accuracy=2 / 3,
    )


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


SHIELD, BALL, PLAYER = (20, 20, 8, 6), (5, 5, 2, 4), (0, 20, 4, 8)


def test_what_is_ignored_costs_nothing() -> None:
    """A shield, its double, a ball, and something where nothing is."""
    detections = [found((SHIELD, "Shield"), (SHIELD, "Ball"), (BALL, "Ball"), ((30, 0, 3, 3), "Ball"))]
    inside, outside = divide([truth((SHIELD, "Shield"), (PLAYER, "Player"), (BALL, "Ball"))], ("Ball", "Player"))
    assert inside[0].names == ("Player", "Ball") and outside[0].names == ("Shield",)
    assert inside[0].boxes.tolist() == [list(PLAYER), list(BALL)] and outside[0].boxes.tolist() == [list(SHIELD)]
    strict, mild = detection_scores(detections, inside), detection_scores(detections, inside, outside)
    assert (strict.precision, mild.precision) == (1 / 4, 1 / 3)  # the double stays false: one detection an object
    assert (strict.center_precision, mild.center_precision) == (1 / 4, 1 / 3)
    assert (strict.recall, mild.recall) == (strict.center_recall, mild.center_recall) == (1 / 2, 1 / 2)
    assert (strict.f1, mild.f1) == (2 / 6, 2 / 5) == (strict.center_f1, mild.center_f1)
    assert (strict.error_rate, mild.error_rate) == (2 / 2, 1 / 2)  # four and three for two
    assert mild.objects == 2 and mild.class_recall == {"Ball": 1.0, "Player": 0.0}


def test_what_is_asked_about_goes_before_what_is_ignored() -> None:
    """The detection fits the shield best, and is the ball's all the same."""
    detections = [found(((0, 0, 4, 4), "Ball"))]
    ball, shield = [truth(((0, 0, 4, 3), "Ball"))], [truth(((0, 0, 4, 4), "Shield"))]
    scores = detection_scores(detections, ball, shield)
    assert (scores.precision, scores.recall) == (1, 1)
    aps = average_precision(detections, ball, shield)
    assert aps.tolist() == [1] * 7 + [0, 0]  # IoU 12 / 16; above that it is the shield's, and the ball is missed


def test_only_the_center_matches_the_ignored() -> None:
    """A box of a ninth of the shield's area in its middle: left out by the centre, false by IoU."""
    scores = detection_scores(
        [found(((23, 22, 2, 2), "Ball"), (BALL, "Ball"))], [truth((BALL, "Ball"))], [truth((SHIELD, "Shield"))]
    )
    assert (scores.precision, scores.center_precision) == (1 / 2, 1)


def test_counts_by_hand() -> None:
    one, other = ((0, 0, 4, 4), "Player"), ((20, 20, 2, 4), "Ball")
    frames = [
        (found(one), truth(one)),  # right, and the next too: the number counts, not the place
        (found(one), truth(other)),
        (found(one, other, ((9, 9, 1, 1), "Ball")), truth(one, other)),  # one too many of 2
        (found(), truth(one, other)),  # two too few of 2
        (found(one), truth()),  # one too many of none
        (found(), truth()),
    ]
    scores = detection_scores([f for f, _ in frames], [t for _, t in frames])
    assert (scores.perfect, scores.overcount, scores.undercount) == (3 / 6, 2 / 6, 1 / 6)
    assert scores.error_rate == pytest.approx((1 / 2 + 2 / 2 + 1 / 1) / 6)


def test_of_class_keeps_rows_together() -> None:
    three = found((PLAYER, "Player"), (BALL, "Ball"), (SHIELD, "Ball"), confidence=(0.9, 0.8, 0.7))
    (one,) = of_classes([three], ("Ball",))
    assert one.boxes.tolist() == [list(BALL), list(SHIELD)] and one.names == ["Ball", "Ball"]
    assert one.z_what[:, 0].tolist() == [10, 20] and np.allclose(one.confidence, [0.8, 0.7])
    assert len(of_classes([found()], ("Ball",))[0]) == 0


@pytest.mark.parametrize("measure", [detection_scores, average_precision])
def test_lists_of_other_lengths(measure) -> None:
    with pytest.raises(ValueError, match="got 1 and 1, and 0 of what is ignored"):
        measure([found()], [truth()], [])
    with pytest.raises(ValueError, match="got 0 and 0"):
        measure([], [])
