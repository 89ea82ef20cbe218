from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.config import RarityConfig
from spacetime_env.data.motion.shapes import Shapes, Touching
from tests.data.motion.test_parts import color, parts_of

CONFIG = RarityConfig(parked_count=3, parked_places=2, still_count=4, still=0.3, moves=0.5)
SHAPE = parts_of("AAA").shape(0)


def shown(shapes: Shapes, place: int, steadiness: float, accepted: bool) -> None:
    parts = parts_of("." * place + "AAA")
    shapes.learn(parts, np.ones(1, bool), np.array([accepted]), np.array([steadiness]))


def test_what_never_moves_is_still_once_it_was_seen_often():
    shapes = Shapes(CONFIG)
    for _ in range(3):
        shown(shapes, 2, 1.0, True)
    assert not shapes.still(SHAPE)
    shown(shapes, 2, 1.0, True)
    assert shapes.still(SHAPE)


def test_what_moves_often_enough_is_not_still():
    shapes = Shapes(CONFIG)
    for steadiness in (1.0, 1.0, 0.2, 1.0, 0.1):  # 2 of 5 moving, 0.4 over 0.3
        shown(shapes, 2, steadiness, True)
    assert not shapes.still(SHAPE)
    for _ in range(2):  # 2 of 7
        shown(shapes, 2, 1.0, True)
    assert shapes.still(SHAPE)


@pytest.mark.parametrize(
    ("places", "steadiness", "accepted", "parked"),
    [
        ([1, 1, 5], 0.0, True, True),
        ([1, 5], 0.0, True, False),  # too few times
        ([1, 1, 1], 0.0, True, False),  # at one place
        ([1, 1, 5], 0.0, False, False),  # never taken for an object
        ([1, 1, 5], 0.9, True, False),  # it does not move
    ],
)
def test_parked(places, steadiness, accepted, parked):
    shapes = Shapes(CONFIG)
    for place in places:
        shown(shapes, place, steadiness, accepted)
    assert shapes.parked(SHAPE) == parked


def test_parts_that_are_not_usable_are_not_learned():
    shapes = Shapes(CONFIG)
    for _ in range(9):
        shapes.learn(parts_of("AAA"), np.zeros(1, bool), np.zeros(1, bool), np.ones(1))
    assert not shapes.still(SHAPE)


def test_touching_is_by_area_and_takes_the_one_that_depends_more():
    # B is always near A. Of A's 8 pixels, 3 are near B.
    touching = Touching(CONFIG)
    near = parts_of("AAAB")
    touching.learn(near, np.arange(2), [(0, 1)])
    touching.learn(parts_of("AAAAA"), np.arange(1), [])
    assert touching.together(color("B"), color("A")) == 1
    assert touching.together(color("A"), color("B")) == 1
    # A second B, far from any A: 1 of 2 pixels, more than A's 3 of 8.
    touching.learn(parts_of("B"), np.arange(1), [])
    assert touching.together(color("A"), color("B")) == pytest.approx(0.5)
    assert touching.together(color("A"), color("C")) == 0


def test_a_part_counts_once_for_a_colour_however_many_parts_of_it_are_near():
    touching = Touching(CONFIG)
    parts = parts_of("BAAB")
    order = {int(c): i for i, c in enumerate(parts.colors)}
    a = order[color("A")]
    pairs = [tuple(sorted((a, i))) for i in range(3) if i != a]
    touching.learn(parts, np.arange(3), pairs)
    assert touching.together(color("A"), color("B")) == 1


def test_a_shape_that_is_hardly_ever_seen_without_a_colour_belongs_to_it():
    """B beside A in 9 of 10 frames: 90 %. A is large and has B beside it in 9 of 60, so no colours are together."""
    touching = Touching(RarityConfig(beside=0.9, beside_count=10))
    for t in range(60):
        if t < 9:
            touching.learn(parts_of("AAAAAAAB"), np.arange(2), [(0, 1)])
        elif t == 20:
            touching.learn(parts_of("B"), np.arange(1), [])
        else:
            touching.learn(parts_of("AAAAAAA"), np.arange(1), [])
        assert not touching.beside(parts_of("B").shape(0), color("A")) or t >= 20  # ten times or more
    assert touching.beside(parts_of("B").shape(0), color("A"))
    assert not touching.beside(parts_of("AAAAAAA").shape(0), color("B"))
    assert not touching.beside(parts_of("BB").shape(0), color("A"))  # never seen
    touching.learn(parts_of("B"), np.arange(1), [])
    assert not touching.beside(parts_of("B").shape(0), color("A"))  # 9 of 11


def test_sizes_are_of_shapes_that_are_known_as_objects():
    shapes = Shapes(RarityConfig(parked_count=2, parked_places=2))
    block = parts_of(".AAA", ".AAA", "....")
    shapes.learn(block, np.ones(1, bool), np.ones(1, bool), np.zeros(1))
    assert not shapes.known_size(color("A"), 3, 2)  # at one place
    shapes.learn(parts_of("AAA.", "AAA.", "...."), np.ones(1, bool), np.ones(1, bool), np.zeros(1))
    assert shapes.known_size(color("A"), 3, 2) and shapes.known_size(color("A"), 5, 4)
    assert not shapes.known_size(color("A"), 6, 2) and not shapes.known_size(color("A"), 3, 5)
    assert not shapes.known_size(color("B"), 3, 2)
