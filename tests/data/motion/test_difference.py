"""Stages of the motion targets, on pictures small enough to work out by hand. H = 10, W = 12."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.config import ConfigError, MotionConfig
from spacetime_env.data.motion import (
    ColorCounts,
    background_of,
    close,
    difference,
    motion_boxes,
    motion_mask,
    motion_of,
    targets,
)

H, W = 10, 12
PUBLISHED = MotionConfig()
COLOR = MotionConfig(components="color", closing=1)
RED, BLUE = (200, 0, 0), (0, 0, 90)


def blank(*shape: int) -> np.ndarray:
    return np.zeros((*shape, H, W, 3), np.uint8)


def mask_with(*rectangles: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((H, W), bool)
    for x, y, w, h in rectangles:
        mask[y : y + h, x : x + w] = True
    return mask


def test_mode_is_the_most_frequent_colour_not_the_mean() -> None:
    frames = blank(5)
    frames[0, 2, 7] = RED
    frames[1:4, 4, 1] = BLUE
    background = background_of(frames, "mode")
    assert background.shape == (H, W, 3) and background.dtype == np.uint8
    assert background[2, 7].tolist() == [0, 0, 0]
    assert background[4, 1].tolist() == list(BLUE)


def test_median_is_that_of_each_channel() -> None:
    frames = np.random.default_rng(0).integers(0, 6, (7, H, W, 3)).astype(np.uint8)
    frames[..., 1:] = frames[..., :1] * [[7, 1]]  # at most 6 colours, channels in other proportions
    assert (background_of(frames, "median") == np.median(frames, axis=0)).all()
    # Of an even number, the lower of the two in the middle: a colour that was there.
    assert (background_of(frames[:2], "median") == frames[:2].min(0)).all()


def test_counts_follow_a_moving_trail() -> None:
    palette = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    ids = np.zeros((4, H, W), np.uint8)
    ids[1:3, 3, 5], ids[3, 3, 5] = 8, 9
    counts = ColorCounts((H, W))
    counts.add(ids[:3])
    assert counts.image(palette)[3, 5, 0] == 8
    counts.remove(ids[1:2])
    counts.add(ids[3:])
    assert counts.total == 3
    assert counts.image(palette)[3, 5, 0] == 0  # 0, 8 and 9 once each: the lowest id
    assert counts.image(palette, "median")[3, 5, 0] == 8


def test_background_refuses_what_has_none() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        ColorCounts((H, W)).image(np.zeros((256, 3), np.uint8))
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\) uint8"):
        background_of(blank(2).astype(np.float32))
    with pytest.raises(ValueError, match="palette ids"):
        ColorCounts((H, W)).add(np.zeros((2, W, H), np.uint8))
    many = np.arange(3 * H * W, dtype=np.uint32).reshape(3, H, W)
    with pytest.raises(ValueError, match="360 colours"):
        background_of(np.stack([many >> 8, many & 255, 0 * many], -1).astype(np.uint8))


def test_difference_sums_channels_without_overflow() -> None:
    frame, background = blank(), blank()
    frame[1, 2], background[3, 4] = (255, 255, 255), (10, 0, 7)
    apart = difference(frame, background)
    assert (apart[1, 2], apart[3, 4], apart.sum()) == (765, 17, 782)
    with pytest.raises(ValueError, match="expected the same"):
        difference(frame, background.transpose(1, 0, 2))


def test_mask_is_what_differs_more_than_the_mean() -> None:
    frame = blank()
    frame[2, 3], frame[6, 9] = (240, 0, 0), (1, 0, 0)  # the mean is 241 / 120 = 2.008
    assert np.argwhere(motion_mask(frame, blank(), PUBLISHED)).tolist() == [[2, 3]]
    frame[6, 9] = (3, 0, 0)
    assert np.argwhere(motion_mask(frame, blank(), PUBLISHED)).tolist() == [[2, 3], [6, 9]]
    assert not motion_mask(blank(), blank(), PUBLISHED).any()


def test_closing_joins_what_is_near() -> None:
    apart = mask_with((1, 4, 2, 2), (5, 4, 2, 2), (10, 4, 1, 2))  # gaps of 2 and of 3
    assert (close(apart, 3) == mask_with((1, 4, 6, 2), (10, 4, 1, 2))).all()
    assert (close(apart, 1) == apart).all()
    assert (close(mask_with((1, 1, 1, 1)), 3) == mask_with((1, 1, 1, 1))).all()  # does not grow to the edge
    for side in (0, 2, 4):
        with pytest.raises(ConfigError, match="odd number"):
            close(apart, side)


def test_boxes_are_those_of_connected_parts_largest_first() -> None:
    mask = mask_with((1, 1, 2, 3), (6, 2, 4, 5))
    mask[4, 3] = True  # touches the first part at a corner: the same part
    boxes = motion_boxes(mask, PUBLISHED)
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[6, 2, 4, 5], [1, 1, 3, 4]]
    assert motion_boxes(np.zeros((H, W), bool), PUBLISHED).shape == (0, 4)


def test_a_part_inside_another_ones_hole_has_its_own_box() -> None:
    mask = mask_with((2, 1, 7, 7)) & ~mask_with((3, 2, 5, 5)) | mask_with((5, 4, 1, 1))
    assert motion_boxes(mask, MotionConfig(max_area=1.0)).tolist() == [[2, 1, 7, 7], [5, 4, 1, 1]]


def test_boxes_that_are_too_small_or_too_large_go() -> None:
    mask = mask_with((0, 0, 1, 1), (3, 0, 2, 1), (2, 3, 5, 6))  # 1, 2 and 30 of 120 pixels
    assert motion_boxes(mask, MotionConfig(min_area=2.0)).tolist() == [[2, 3, 5, 6], [3, 0, 2, 1]]
    assert motion_boxes(mask, MotionConfig(max_area=0.24)).tolist() == [[3, 0, 2, 1], [0, 0, 1, 1]]


def test_colours_tell_touching_objects_apart() -> None:
    frame = blank()
    frame[2:8, 1:3], frame[4:6, 3:4] = RED, BLUE
    assert motion_of(frame, blank(), PUBLISHED)[1].tolist() == [[1, 2, 3, 6]]
    mask, boxes = motion_of(frame, blank(), COLOR)
    assert boxes.tolist() == [[1, 2, 2, 6], [3, 4, 1, 2]]
    assert (mask == mask_with((1, 2, 2, 6), (3, 4, 1, 2))).all()
    with pytest.raises(ValueError, match="needs the frame"):
        motion_boxes(mask, COLOR)


def test_closing_by_colour_does_not_join_colours() -> None:
    frame = blank()
    frame[2, 1:3], frame[2, 4:6], frame[2, 7:9] = RED, RED, BLUE  # one pixel between each
    _, boxes = motion_of(frame, blank(), MotionConfig(components="color", closing=3))
    assert boxes.tolist() == [[1, 2, 5, 1], [7, 2, 2, 1]]
    assert motion_of(frame, blank(), PUBLISHED)[1].tolist() == [[1, 2, 8, 1]]


def test_targets_by_hand() -> None:
    # Frame 10 x 12, grid 4: a cell is 3 px wide and 2.5 px high. Centre (8, 3): column 2, row 1, cell 6.
    z_pres, z_where = targets(np.array([[6.0, 1.0, 4.0, 4.0]]), (H, W), 4)
    assert z_pres.shape == (16, 1) and z_where.shape == (16, 4)
    assert np.flatnonzero(z_pres).tolist() == [6] == np.flatnonzero(z_where.any(1)).tolist()
    np.testing.assert_allclose(z_where[6], [4 / 12, 4 / 10, 8 / 12 * 2 - 1, 3 / 10 * 2 - 1], rtol=1e-6)


def test_the_larger_box_has_the_cell_and_the_other_the_nearest_free_one() -> None:
    # Cells of 3 x 2.5. Both centres are in cell 6; the small one's is right of its middle, so cell 7 is the nearest.
    small, large = [7.0, 2.5, 2.0, 2.0], [6.0, 1.0, 4.0, 4.0]
    for boxes in ([small, large], [large, small]):
        z_pres, z_where = targets(np.array(boxes), (H, W), 4)
        assert np.flatnonzero(z_pres).tolist() == [6, 7]
        np.testing.assert_allclose(z_where[[6, 7], 0], [4 / 12, 2 / 12], rtol=1e-6)
        np.testing.assert_allclose(z_where[7, 2:], [8 / 12 * 2 - 1, 3.5 / 10 * 2 - 1], rtol=1e-6)
    # Where cell 7 has an object of its own, it goes to the next nearest; the larger keeps its cell.
    z_pres, z_where = targets(np.array([small, large, [10.0, 3.0, 1.0, 1.0]]), (H, W), 4)
    assert np.flatnonzero(z_pres).tolist() == [2, 6, 7] and z_where[2, 0] == pytest.approx(2 / 12)


def test_a_box_without_a_free_cell_in_reach_is_no_target() -> None:
    # Cell 5 has its middle at (4.5, 3.75). An object at (5.9, 4.9) is in reach of the cells 6 and 9 to 10, not of 1.
    five, low = [3.0, 2.75, 3.0, 2.0], [5.4, 4.4, 1.0, 1.0]
    others = [[3.0 * column + 1, 2.5 * row + 1, 1.0, 1.0] for column, row in ((2, 1), (1, 2), (2, 2))]
    assert np.flatnonzero(targets(np.array([five, low]), (H, W), 4)[0]).tolist() == [5, 6]
    assert np.flatnonzero(targets(np.array([five, low, *others]), (H, W), 4)[0]).tolist() == [5, 6, 9, 10]
    everywhere = [[3 * column + 1, 2.5 * row + 1, 1.0, 1.0] for row in range(4) for column in range(4)]
    z_pres, z_where = targets(np.array([*everywhere, [7.0, 3.0, 2.0, 1.5]]), (H, W), 4)
    assert z_pres.all() and z_where[6, 0] == pytest.approx(2 / 12)  # the smaller one of cell 6 has gone


def test_targets_at_the_edge_and_without_boxes() -> None:
    z_pres, _ = targets(np.array([[11.0, 9.0, 2.0, 2.0]]), (H, W), 4)  # its centre is the lower right corner
    assert np.flatnonzero(z_pres).tolist() == [15]
    z_pres, z_where = targets(np.zeros((0, 4), np.float32), (H, W), 4)
    assert not z_pres.any() and not z_where.any()
