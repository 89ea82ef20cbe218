"""The stages on frames of 14 x 20 pixels, with blocks that can be counted by hand.

Of 280 pixels, a part may have 16 (6 %), be 12 wide and 5 high; an object may be 6 wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spacetime_env.config import MotionConfig, RarityConfig
from spacetime_env.data.motion import ColorCounts, RareMotion, View
from spacetime_env.data.motion.rarity import Stages
from tests.data.motion.test_parts import color, ids_of

SIZE = (14, 20)
Block = tuple[str, int, int, int, int]  # colour, x, y, w, h


def picture(*blocks: Block, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Palette ids: background 0, and the blocks, later ones in front."""
    ids = np.zeros(size, np.uint8)
    for letter, x, y, w, h in blocks:
        ids[y : y + h, x : x + w] = color(letter)
    return ids


def view(*blocks: Block, steadiness: Any = 0.0, before: np.ndarray | None = None) -> View:
    return View(picture(*blocks), np.broadcast_to(np.float32(steadiness), SIZE), before)


def motion(*usual: np.ndarray, min_area: float = 1, max_area: float = 0.25, **rarity: Any) -> RareMotion:
    """The stages after a set of 100 frames: the ``usual`` ones in turn, else blank ones."""
    frames = usual or (picture(),)
    counts = ColorCounts(frames[0].shape)
    counts.add(np.stack([frames[i % len(frames)] for i in range(100)]))
    config = MotionConfig(foreground="rarity", min_area=min_area, max_area=max_area, rarity=RarityConfig(**rarity))
    return RareMotion(config, counts)


def boxes_of(found: RareMotion, *blocks: Block, **kwargs: Any) -> list[list[float]]:
    return found.of(view(*blocks, **kwargs))[1].tolist()


def named(stages: Stages, flags: np.ndarray) -> str:
    """The colours of the parts where ``flags``, sorted."""
    return "".join(sorted(chr(c + ord(".")) for c in stages.parts.colors[flags]))


# 1. Rare


def test_rare_colours_that_were_not_there_all_the_time_are_foreground():
    # A is at (0, 0) in 30 of 100 frames, at (3, 0) in 40, at (6, 0) in none.
    often = [picture(*[("A", x, 0, 1, 1) for x, n in ((0, 3), (3, 4)) if i < n]) for i in range(10)]
    steadiness = np.zeros(SIZE, np.float32)
    steadiness[0, 9], steadiness[0, 12] = 0.9, 0.95
    blocks: list[Block] = [("A", x, 0, 1, 1) for x in (0, 3, 6, 9, 12)]
    foreground = motion(*often).stages(picture(*blocks), steadiness).foreground
    expected = np.zeros(SIZE, bool)
    expected[0, [0, 6, 9]] = True  # not where it is usual, and not where it stands
    assert (foreground == expected).all()


def test_what_is_always_there_belongs_to_no_part():
    stages = motion(picture(("W", 0, 10, 20, 4))).stages(
        picture(("W", 0, 10, 20, 4), ("A", 4, 3, 2, 2)), np.zeros(SIZE)
    )
    assert stages.parts.boxes.tolist() == [[4, 3, 2, 2]]
    assert stages.parts.labels.sum() == 4


def test_a_paddle_that_touches_a_wall_of_its_colour_is_not_the_wall():
    wall = picture(("W", 0, 0, 2, 14))
    blocks: tuple[Block, ...] = (("W", 0, 0, 2, 14), ("W", 2, 5, 3, 1))
    assert boxes_of(motion(wall), *blocks) == [[2, 5, 3, 1]]


# 2. Parts that can be objects


@pytest.mark.parametrize(
    ("block", "usable"),
    [
        (("A", 2, 2, 4, 4), True),
        (("A", 2, 2, 6, 3), False),  # 18 pixels
        (("A", 2, 2, 12, 1), True),
        (("A", 2, 2, 13, 1), False),
        (("A", 2, 2, 1, 5), True),
        (("A", 2, 2, 1, 6), False),
    ],
)
def test_parts_of_a_size_that_no_object_has_are_not_usable(block: Block, usable: bool):
    stages = motion().stages(picture(block), np.zeros(SIZE))
    assert stages.usable.tolist() == stages.voted.tolist() == [usable]


def test_limits_of_width_and_height_are_not_swapped():
    """9 is less than 0.6 of 20 and more than 0.6 of 14; height may be 5."""
    stages = motion(part_height=0.6).stages(picture(("A", 0, 0, 9, 1), ("B", 15, 0, 1, 9)), np.zeros(SIZE))
    assert named(stages, stages.usable) == "A"


def test_a_hole_is_rejected_and_an_object_beside_it_is_not():
    everywhere = {"part_area": 1.0, "part_width": 1.0, "part_height": 1.0, "group_width": 1.0}
    ground = ids_of("......", "......", "AAAAAA", "AAAAAA")
    ids = ids_of("......", ".AA.B.", "AAAAAA", "AAAAAA")
    for limit, usable in ((0.2, "B"), (0.4, "AB")):  # 2 of A's 6 edges open to the ground
        stages = motion(ground, open_edge=limit, **everywhere).stages(ids, np.zeros(ids.shape))
        assert named(stages, stages.usable) == named(stages, stages.voted) == usable


# 3. Vote


@pytest.mark.parametrize(("moving", "voted"), [(4, True), (2, True), (1, False), (0, False)])
def test_a_part_is_taken_whole_if_half_of_it_is_foreground(moving: int, voted: bool):
    steadiness = np.ones(SIZE, np.float32)
    steadiness[3, 5 : 5 + moving] = 0.5
    stages = motion().stages(picture(("A", 5, 3, 4, 1)), steadiness)
    assert stages.foreground.sum() == moving and stages.usable.tolist() == [True]
    assert stages.voted.tolist() == [voted]
    assert stages.steadiness.tolist() == [1 - moving / 8]
    assert boxes_of(motion(), ("A", 5, 3, 4, 1), steadiness=steadiness) == ([[5, 3, 4, 1]] if voted else [])


# 4. Parked

HOME: Block = ("A", 2, 2, 4, 3)  # 12 pixels


def parking(block: Block = HOME, times: int = 10, places: int = 4, **rarity: Any) -> RareMotion:
    """A set in which a block is at its place in 60 of 100 frames; it learns frames where it is elsewhere."""
    letter, x, y, w, h = block
    found = motion(*[picture(block)] * 6, *[picture()] * 4, **rarity)
    found.learn(view((letter, x + 8 + i % places, y + 5, w, h)) for i in range(times))
    return found


def test_what_moves_elsewhere_is_found_where_it_is_not_rare():
    assert not parking().stages(picture(HOME), np.zeros(SIZE)).foreground.any()
    assert boxes_of(motion(*[picture(HOME)] * 6, *[picture()] * 4), HOME) == []
    assert boxes_of(parking(), HOME) == [[2, 2, 4, 3]]
    assert boxes_of(parking(), HOME, steadiness=1) == [[2, 2, 4, 3]]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(parking(times=9), id="too few times"),
        pytest.param(parking(places=3), id="at too few places"),
        pytest.param(parking(parked_area=13), id="too small to be sure of"),
    ],
)
def test_what_was_not_seen_enough_elsewhere_is_not(found: RareMotion):
    assert boxes_of(found, HOME) == []


def test_another_shape_is_not_taken_for_it():
    """A part of another colour, another size, or another outline in the same box; 12 pixels or more each."""
    block: Block = ("A", 2, 2, 5, 3)
    notched = picture(block)
    notched[2, 2] = 0
    others = [picture(("B", *block[1:])), picture(("A", 2, 2, 3, 5)), notched]
    for shown, boxes in ((picture(block), [[2, 2, 5, 3]]), *((other, []) for other in others)):
        found = parking(block)
        found._counts.add(np.stack([shown] * 200))  # not rare there
        assert found.of(View(shown, np.zeros(SIZE)))[1].tolist() == boxes


def test_what_is_always_at_its_place_is_found_if_its_shape_moves_elsewhere():
    """The second chicken of Freeway: in all of 100 frames at its place, and its twin walks."""
    home = picture(HOME)
    found = motion(home)
    assert boxes_of(found, HOME, steadiness=1) == []
    found.learn(view(("A", 10 + i % 4, 7, 4, 3)) for i in range(10))
    assert boxes_of(found, HOME, steadiness=1) == [[2, 2, 4, 3]]
    other: Block = ("B", 2, 8, 4, 3)
    assert boxes_of(motion(home, picture(other)), HOME, steadiness=1) == []  # nothing was learned


def test_an_object_is_separated_from_scenery_of_its_colour():
    """A line of the court is in half of the frames in the player's colour, for as long as the game shows this side."""
    line: Block = ("A", 6, 1, 1, 12)
    found = motion(picture(line), picture(), open_edge=0.3)  # 3 of 14 edges are the line's
    found.learn(view(("A", 1 + i % 4, 7, 5, 3)) for i in range(10))
    steadiness = np.zeros(SIZE, np.float32)
    steadiness[:, 6] = 1  # the player, before the line, came just now, but the line has its colour
    player: Block = ("A", 2, 5, 5, 3)  # its last column is on the line
    assert boxes_of(found, line, player, steadiness=steadiness) == [[2, 5, 4, 3]]
    unknown = motion(picture(line), picture(), open_edge=0.3)
    unknown.learn(view(("A", 1 + i % 4, 7, 8, 2)) for i in range(10))  # objects of this colour are 8 x 2
    assert [2, 5, 4, 3] not in boxes_of(unknown, line, player, steadiness=steadiness)


# 5. Join


@pytest.mark.parametrize(("x", "boxes"), [(7, [[2, 3, 6, 1]]), (8, [[2, 3, 2, 1], [8, 3, 1, 1]])])
def test_parts_of_one_colour_are_joined_if_near(x: int, boxes: list[list[int]]):
    assert boxes_of(motion(), ("A", 2, 3, 2, 1), ("A", x, 3, 1, 1)) == boxes  # 4 apart, 5 apart


def test_parts_that_are_usually_together_are_joined():
    person: tuple[Block, ...] = (("A", 5, 3, 2, 2), ("B", 5, 5, 3, 3))
    found = motion()
    assert boxes_of(found, *person) == [[5, 5, 3, 3], [5, 3, 2, 2]]
    found.learn([view(*person)])
    assert boxes_of(found, *person) == [[5, 3, 3, 5]]
    # A's area is then mostly by itself, but B's is not: a head that is never without its hat.
    found.learn([view(("A", 12, 1, 4, 4))] * 5)
    assert boxes_of(found, *person) == [[5, 3, 3, 5]]
    found.learn([view(("B", 12, 9, 3, 3))] * 5)
    assert boxes_of(found, *person) == [[5, 5, 3, 3], [5, 3, 2, 2]]


def test_only_what_was_taken_joins_and_is_learned():
    scenery: Block = ("B", 5, 5, 13, 1)  # too wide
    found = motion()
    found.learn([view(("A", 5, 3, 2, 2), scenery)])
    assert boxes_of(found, ("A", 5, 3, 2, 2), scenery) == [[5, 3, 2, 2]]
    assert found._touching.together(color("A"), color("B")) == 0


def test_a_shape_that_is_hardly_seen_without_a_colour_is_joined_to_it():
    """Aerials B on roofs A: always, but most A have none, so the colours are not together."""
    found = motion(touching=1.1, beside_count=10)
    for i in range(20):
        x = 2 + i % 6
        found.learn([view(("A", x, 5, 5, 3), *([("B", x + 1, 4, 1, 1)] if i < 12 else []))])
    assert boxes_of(found, ("A", 3, 5, 5, 3), ("B", 4, 4, 1, 1)) == [[3, 4, 5, 4]]
    assert len(boxes_of(found, ("A", 3, 5, 5, 3), ("B", 4, 3, 1, 2))) == 2  # another shape


# 6. Still things, and sizes of objects


def test_what_never_moves_is_not_an_object_even_when_it_is_rare():
    found = motion()
    found.learn(view(("A", 1 + i % 9, 4, 2, 2), steadiness=1) for i in range(20))
    assert boxes_of(found, ("A", 3, 4, 2, 2), ("A", 12, 4, 2, 3)) == [[12, 4, 2, 3]]
    assert boxes_of(motion(), ("A", 3, 4, 2, 2), ("A", 12, 4, 2, 3)) == [[12, 4, 2, 3], [3, 4, 2, 2]]


@pytest.mark.parametrize(("width", "kept"), [(4, False), (5, True)])
def test_a_group_is_still_by_most_of_its_area(width: int, kept: bool):
    found = motion()
    found.learn([view(("A", 4, 4, 2, 2), steadiness=1)] * 20)
    boxes = boxes_of(found, ("A", 4, 4, 2, 2), ("A", 4, 8, width - 1, 1))  # 4 still pixels, 3 or 4 others
    assert boxes == ([[4, 4, 4, 5]] if kept else [])


@pytest.mark.parametrize(("width", "kept"), [(6, True), (7, False)])
def test_objects_that_are_too_wide_are_dropped(width: int, kept: bool):
    assert boxes_of(motion(), ("A", 2, 2, width, 1)) == ([[2, 2, width, 1]] if kept else [])
    # Two parts that could be objects each, but that are joined.
    assert boxes_of(motion(), ("A", 2, 2, 1, 1), ("A", width - 2, 2, 4, 1)) == ([[2, 2, 6, 1]] if kept else [])


@pytest.mark.parametrize(
    ("limits", "boxes"),
    [
        ({"min_area": 3}, [[8, 2, 4, 4], [2, 2, 3, 1]]),
        ({"min_area": 3.5}, [[8, 2, 4, 4]]),
        ({"max_area": 0.06}, [[8, 2, 4, 4], [2, 2, 3, 1]]),  # 16.8 pixels
        ({"max_area": 0.05}, [[2, 2, 3, 1]]),
    ],
)
def test_objects_that_are_too_small_or_too_large_are_dropped(limits: dict[str, float], boxes: list[list[int]]):
    assert boxes_of(motion(**limits), ("A", 2, 2, 3, 1), ("B", 8, 2, 4, 4)) == boxes


def test_the_smallest_is_by_pixels_and_the_largest_by_the_box():
    corners: tuple[Block, ...] = (("A", 2, 2, 1, 1), ("A", 5, 5, 1, 1))  # 2 pixels in a box of 16
    assert boxes_of(motion(min_area=2), *corners) == [[2, 2, 4, 4]]
    assert boxes_of(motion(min_area=3), *corners) == []
    assert boxes_of(motion(max_area=15 / 280), *corners) == []
