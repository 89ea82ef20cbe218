"""Parts of frames that can be drawn as text: a letter a pixel, "." for what belongs to no part."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.data.motion.parts import Parts, find_parts, join, neighbours, open_edge


def ids_of(*rows: str) -> np.ndarray:
    return np.array([[ord(c) - ord(".") for c in row] for row in rows], np.uint8)


def parts_of(*rows: str) -> Parts:
    ids = ids_of(*rows)
    return find_parts(ids, ids > 0)


def color(letter: str) -> int:
    return ord(letter) - ord(".")


def test_parts_are_connected_pixels_of_one_colour():
    parts = parts_of(
        ".AA....",
        ".ABB...",
        "....B..",  # by a corner
        "A....B.",
        "A......",
    )
    assert sorted(zip(parts.colors.tolist(), parts.boxes.tolist(), parts.areas.tolist(), strict=True)) == sorted(
        [
            (color("A"), [1, 0, 2, 2], 3),
            (color("A"), [0, 3, 1, 2], 2),
            (color("B"), [2, 1, 4, 3], 4),
        ]
    )
    assert parts.labels.shape == (5, 7) and (parts.labels > 0).sum() == 9
    for i in range(3):
        assert (parts.labels == i + 1).sum() == parts.areas[i]


def test_no_pixels_no_parts():
    parts = parts_of("...", "...")
    assert len(parts) == 0 and parts.boxes.shape == (0, 4)
    assert parts.mean(np.ones((2, 3))).shape == (0,) and open_edge(parts, ids_of("...", "...")).shape == (0,)
    assert neighbours(parts, np.zeros(0, int), 2) == [] and join([], []) == []


def test_pixels_that_are_left_out_cut_a_part_in_two():
    ids = ids_of("AAAAA")
    where = np.array([[True, True, False, True, True]])
    assert sorted(find_parts(ids, where).boxes.tolist()) == [[0, 0, 2, 1], [3, 0, 2, 1]]


def test_mean_is_over_the_pixels_of_each_part():
    parts = parts_of("AAB")
    by_color = dict(zip(parts.colors.tolist(), parts.mean(np.array([[1.0, 0.0, 0.25]])).tolist(), strict=True))
    assert by_color == {color("A"): 0.5, color("B"): 0.25}


def test_shape_is_the_same_wherever_it_is_and_differs_by_colour_and_bitmap():
    parts = parts_of(
        "AA...AA..",
        "A....A...",
        ".........",
        "BB...AA..",
        "B.....A..",
    )
    shapes = [parts.shape(i) for i in range(4)]
    places = [tuple(box[:2]) for box in parts.boxes.tolist()]
    at = dict(zip(places, shapes, strict=True))
    assert at[0, 0] == at[5, 0]
    assert len({at[0, 0], at[0, 3], at[5, 3]}) == 3
    assert parts.bitmap(places.index((5, 3))).tolist() == [[True, True], [False, True]]


def test_a_hole_is_open_and_an_object_is_not():
    # The lower two rows of A are always there; the block above is a hole that shows A, B is an object in front.
    ids = ids_of(
        "CCCCCC",
        "CAACBC",
        "AAAAAA",
        "AAAAAA",
    )
    where = np.ones(ids.shape, bool)
    where[2:] = False
    parts = find_parts(ids, where)
    share = dict(zip(parts.colors.tolist(), open_edge(parts, ids).tolist(), strict=True))
    # The hole's outline: 2 above, 1 at each side, 2 below, which are open.
    assert share[color("A")] == pytest.approx(2 / 6)
    assert share[color("B")] == 0 and share[color("C")] == 0


@pytest.mark.parametrize(("gap", "pairs"), [(1, {"AB"}), (2, {"AB", "BC"}), (3, {"AB", "AC", "BC"})])
def test_neighbours_are_within_the_gap(gap, pairs):
    parts = parts_of(
        "AA.....",
        "..B.C..",  # B touches A by a corner; C is 2 right of B and 3 right of A
        ".......",
    )
    found = neighbours(parts, np.arange(3), gap)
    assert all(i < j for i, j in found)
    letters = {"".join(sorted(chr(parts.colors[k] + ord(".")) for k in pair)) for pair in found}
    assert letters == pairs


def test_neighbours_are_told_by_pixels_not_by_boxes():
    parts = parts_of(
        "A.....",
        "A...B.",  # inside the box of A, two away from its pixels
        "A.....",
        "AAAAAA",
    )
    assert neighbours(parts, np.arange(2), 1) == []
    assert neighbours(parts, np.arange(2), 2) == [(0, 1)]


def test_neighbours_only_of_the_chosen():
    parts = parts_of("ABC")
    assert neighbours(parts, np.array([0, 2]), 1) == []
    assert neighbours(parts, np.array([0, 2]), 2) == [(0, 2)]


def test_join_follows_chains():
    assert join([1, 3, 4, 7, 9], [(1, 4), (4, 9)]) == [[1, 4, 9], [3], [7]]
