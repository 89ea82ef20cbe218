"""Average precision, computed by hand and by pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.coco import average_precision
from spacetime_env.objects.detections import Detections
from tests.helpers.made import found, truth

SHIELD, BALL, PLAYER = (20, 20, 8, 6), (5, 5, 2, 4), (0, 20, 4, 8)


def test_average_precision_by_hand() -> None:
    """Three objects; from the most certain on: a hit, a false one, a hit. One object is never found.

    Precision 1 up to recall 1/3 (34 of the 101 recalls 0, 0.01 ...), then 2/3 up to recall 2/3 (33 more), then 0.
    """
    detections = [
        found((PLAYER, "Player"), ((30, 0, 3, 3), "Ball"), confidence=(0.9, 0.7)),
        found((BALL, "Ball"), confidence=(0.6,)),
    ]
    there = [truth((PLAYER, "Player"), (SHIELD, "Shield")), truth((BALL, "Ball"))]
    expected = (34 * 1 + 33 * 2 / 3) / 101
    assert np.allclose(average_precision(detections, there), [expected] * 9)
    # Certainty orders the detections of all frames: the false one first, and precision is 1/2 and then 2/3.
    first = [found((PLAYER, "Player"), ((30, 0, 3, 3), "Ball"), confidence=(0.7, 0.9)), detections[1]]
    assert np.allclose(average_precision(first, there), 67 * (2 / 3) / 101)


def test_average_precision_follows_the_threshold() -> None:
    aps = average_precision([found(((0, 0, 4, 7), "Ball"))], [truth(((0, 0, 4, 10), "Ball"))])
    assert aps.tolist() == [1] * 7 + [0, 0]  # an IoU of 28 / 40 is 0.7
    assert average_precision([found()], [truth((BALL, "Ball"))], thresholds=(0.5,)).tolist() == [0]
    assert np.isnan(average_precision([found((BALL, "Ball"))], [truth()])).all()


def test_two_detections_of_one_object_take_their_second_best() -> None:
    """Both lie nearest to the first object; the less certain one goes to the second, which it fits too."""
    detections = [found(((0, 0, 10, 10), "Ball"), ((0, 1, 10, 10), "Ball"), confidence=(0.6, 0.5))]
    there = [truth(((0, 0, 10, 10), "Ball"), ((0, 4, 10, 10), "Ball"))]
    # 70 / 130 with the second object
    assert average_precision(detections, there).tolist() == pytest.approx([1] * 5 + [51 / 101] * 4)


COCO = (0.97298783, 0.97298783, 0.97298783, 0.88766915, 0.70763111, 0.31043001, 0.11155145, 0.00792079, 0.0)


def crowded() -> tuple[list[Detections], list[Truth], list[Truth]]:
    """Twelve frames in which boxes lie on each other, some of them ignored; the same numbers on every machine."""
    state = 1

    def below(limit: int) -> int:
        nonlocal state
        state = state * 48271 % 2147483647
        return state % limit

    detections, there, ignored = [], [], []
    for frame in range(12):
        boxes = [[below(12), below(12), 4 + below(7), 4 + below(7)] for _ in range(2 + below(6))]
        some = 1 + below(len(boxes))
        mine = [[v + below(3) - 1 + below(64) / 64 for v in box] for box in [*boxes, boxes[0], [3, 3, 5, 5]]]
        sure = [0.9 - 0.07 * i + frame / 1024 for i in range(len(mine))]
        detections.append(found(*((tuple(box), "Ball") for box in mine), confidence=tuple(sure)))
        there.append(truth(*((tuple(box), "Ball") for box in boxes[:some])))
        ignored.append(truth(*((tuple(box), "Shield") for box in boxes[some:])))
    return detections, there, ignored


def test_average_precision_is_that_of_pycocotools() -> None:
    """COCOeval of pycocotools 2.0.11 gave these on the same boxes, with ``ignore`` set on the ignored ones."""
    assert np.allclose(average_precision(*crowded()), COCO, atol=1e-8)
