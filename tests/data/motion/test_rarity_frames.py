"""What the stages give for a whole frame, with the sub-frame before it: which boxes, in which order, which mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spacetime_env.data.motion import View
from tests.data.motion.test_parts import color
from tests.data.motion.test_rarity import HOME, SIZE, Block, boxes_of, motion, named, parking, picture, view

# 7. Flicker


def test_what_is_in_the_frame_before_alone_is_added():
    ball: Block = ("B", 12, 8, 2, 2)
    now: Block = ("A", 2, 2, 3, 3)
    mask, boxes = motion().of(view(now, before=picture(now, ball)))
    assert boxes.tolist() == [[2, 2, 3, 3], [12, 8, 2, 2]]
    assert (mask == (picture(now, ball) > 0)).all()
    assert boxes_of(motion(), before=picture(ball)) == [[12, 8, 2, 2]]
    assert boxes_of(motion(), now, before=picture()) == [[2, 2, 3, 3]]
    assert boxes_of(motion(), now) == [[2, 2, 3, 3]]


@pytest.mark.parametrize(
    ("before", "added"),
    [
        (("A", 2, 2, 2, 2), False),
        (("A", 8, 4, 2, 2), False),  # 6 to the right: what a small thing moves in 1/60 s at most
        (("A", 2, 8, 2, 2), False),
        (("A", 9, 2, 2, 2), True),
        (("A", 2, 9, 2, 2), True),
        (("B", 3, 2, 2, 2), True),  # near, but of another colour: two sprites that take turns
    ],
)
def test_what_moved_a_little_is_not_doubled(before: Block, added: bool):
    now: Block = ("A", 2, 2, 2, 2)
    expected = [[2, 2, 2, 2], list(before[1:])] if added else [[2, 2, 2, 2]]
    mask, boxes = motion().of(view(now, before=picture(before)))
    assert sorted(boxes.tolist()) == sorted(expected)
    assert (mask == (picture(now, before) > 0 if added else picture(now) > 0)).all()


@pytest.mark.parametrize(("x", "added"), [(9, False), (10, True)])
def test_a_large_thing_may_change_as_far_as_it_is_large(x: int, added: bool):
    """5 pixels high: its centre may be 1.5 * 5 = 7.5 pixels away."""
    assert len(boxes_of(motion(), ("A", 2, 2, 3, 5), before=picture(("A", x, 2, 3, 5)))) == 1 + added


def test_what_stands_in_both_frames_is_not_added():
    """Its steadiness holds for the frame before too; what differs is as if it had never stood there."""
    house: Block = ("A", 2, 2, 3, 3)
    assert boxes_of(motion(), house, steadiness=1, before=picture(house)) == []
    assert boxes_of(motion(), house, steadiness=1, before=picture(house, ("B", 10, 8, 2, 2))) == [[10, 8, 2, 2]]


# What comes out


def test_boxes_come_largest_first_then_from_the_top_left():
    blocks: list[Block] = [
        ("A", 15, 9, 2, 2),
        ("B", 1, 9, 2, 2),
        ("C", 8, 1, 2, 2),
        ("D", 12, 12, 3, 1),
        ("E", 3, 1, 3, 2),
    ]
    mask, boxes = motion().of(view(*blocks))
    assert boxes.dtype == np.float32 and mask.dtype == bool and mask.shape == SIZE
    assert boxes.tolist() == [[3, 1, 3, 2], [8, 1, 2, 2], [1, 9, 2, 2], [15, 9, 2, 2], [12, 12, 3, 1]]
    # The one that only the frame before has takes its place in the order.
    mixed = boxes_of(motion(), *blocks[:-1], before=picture(blocks[-1]))
    assert mixed == boxes.tolist()


def test_the_mask_is_the_pixels_of_the_parts_and_no_more():
    ids = np.zeros(SIZE, np.uint8)
    ids[2:6, 3], ids[5, 3:7] = color("A"), color("A")  # an L; its box has 16 pixels
    ids[2, 6] = color("A")  # 3 away: the same object
    ids[9, 2:15] = color("B")  # too wide
    mask, boxes = motion().of(View(ids, np.zeros(SIZE)))
    assert boxes.tolist() == [[3, 2, 4, 4]] and (mask == (ids == color("A"))).all() and mask.sum() == 8


def test_a_trace_has_what_each_stage_made_of_it():
    """What came of a vote, what was parked, and what only the frame before has; and the same mask and boxes."""
    found, ball = parking(), ("C", 14, 2, 2, 2)
    asked = view(HOME, ("B", 9, 9, 2, 2), before=picture(HOME, ball))
    trace = found.trace(asked)
    mask, boxes = found.of(asked)
    assert (trace.mask == mask).all() and trace.boxes.tolist() == boxes.tolist()
    assert boxes.tolist() == [[2, 2, 4, 3], [14, 2, 2, 2], [9, 9, 2, 2]]
    assert named(trace.stages, trace.stages.voted) == "B" and named(trace.stages, trace.objects.parked) == "A"
    assert sorted(trace.objects.boxes.tolist()) == [[2, 2, 4, 3], [9, 9, 2, 2]]
    assert trace.added.tolist() == [[14, 2, 2, 2]]
    assert found.trace(replace(asked, before=None)).added.shape == (0, 4)


def test_nothing_moves():
    found = motion()
    for before in (None, picture()):
        mask, boxes = found.of(view(before=before))
        assert boxes.shape == (0, 4) and boxes.dtype == np.float32 and not mask.any() and mask.shape == SIZE


def test_asking_changes_nothing():
    found, asked = parking(), replace(view(HOME, ("B", 9, 9, 2, 2)), before=picture(HOME))
    first = found.of(asked)
    for _ in range(30):
        found.of(view(("A", 9, 9, 4, 3), steadiness=1))
    again = found.of(asked)
    assert first[1].tolist() == again[1].tolist() == [[2, 2, 4, 3], [9, 9, 2, 2]] and (first[0] == again[0]).all()
