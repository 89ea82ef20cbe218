"""Moved stacks: pictures, targets, and that a resumed run moves them alike."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.augment import draw_shifts, shift_pictures, shift_targets
from spacetime_env.motion.cells import targets

SIZE = (32, 64)  # h, w


def test_pictures_move_right_and_down() -> None:
    picture = np.arange(6).reshape(1, 2, 3)  # [[0, 1, 2], [3, 4, 5]]
    assert shift_pictures(picture, np.array([1, 0])).tolist() == [[[0, 0, 1], [3, 3, 4]]]
    assert shift_pictures(picture, np.array([0, -1])).tolist() == [[[3, 4, 5], [3, 4, 5]]]
    assert shift_pictures(picture, np.array([-1, 1]), fill=True).tolist() == [[[0, 0, 0], [1, 2, 0]]]
    assert shift_pictures(picture == 4, np.array([1, 1]), fill=True).sum() == 0
    assert picture.tolist() == [[[0, 1, 2], [3, 4, 5]]]


@pytest.mark.parametrize("by", [(0, 0), (5, 0), (0, -3), (-9, 6), (8, 8), (31, 0)])
def test_targets_are_those_of_boxes_that_moved(by: tuple[int, int]) -> None:
    boxes = np.array([[4, 3, 6, 4], [30, 20, 2, 2], [50, 10, 8, 8], [20, 25, 10, 5]], np.float32)
    moved = np.add(boxes, [*by, 0, 0])
    center = moved[:, :2] + moved[:, 2:] / 2
    inside = moved[((center > 0) & (center < [64, 32])).all(axis=1)]
    assert len(inside) < 4 or by != (31, 0)
    pres, where = (each[None] for each in targets(boxes, SIZE, 4))
    found = shift_targets(np.repeat(pres, 2, axis=0), np.repeat(where, 2, axis=0), np.array(by), SIZE)
    wanted = targets(inside, SIZE, 4)
    for t in range(2):
        for one, other in zip(found, wanted, strict=True):
            assert one[t] == pytest.approx(other, abs=1e-6)


def test_the_larger_of_two_in_a_cell_stays() -> None:
    boxes = np.array([[14, 2, 4, 4], [2, 2, 3, 3]], np.float32)  # centres 16 and 3.5: in cells 1 and 0
    pres, where = (each[None] for each in targets(boxes, SIZE, 4))
    assert pres[0, :2, 0].tolist() == [1, 1]
    pres, where = shift_targets(pres, where, np.array([-2, 0]), SIZE)  # 14 and 1.5
    assert pres[0, :, 0].sum() == 1 and where[0, 0, 0] == pytest.approx(4 / 64)


def test_shifts_depend_on_seed_and_step_alone() -> None:
    assert draw_shifts(0, 5, 4, 0) is None
    first = draw_shifts(0, 5, 4, 2)
    assert first is not None and first.shape == (4, 2)
    assert (draw_shifts(0, 5, 4, 2) == first).all()
    many = [draw_shifts(seed, step, 4, 2) for seed in (0, 1) for step in range(50)]
    assert len({str(one) for one in many}) > 90
    assert sorted({int(v) for one in many if one is not None for v in one.ravel()}) == [-2, -1, 0, 1, 2]
