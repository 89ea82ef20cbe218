"""Boxes of what is drawn, on screens drawn by hand, and on the shipped splits of Pong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from spacetime_env.data.recording import Recording
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.drawn import Drawn, Looks, as_drawn, drawn_tests, drawn_truth, learn_looks
from spacetime_env.evaluation.drawn_colors import learn_colors, rectangles
from tests.helpers.made import truth
from tests.helpers.screens import BLUE, GREEN, GROUND, NATIVE, RED, SKY, Box, Screen, shard

FRAMES = 24


def made(screens: Sequence[Screen], subframes: int = 1, length: int = 2) -> Recording:
    """A recording of one shard."""
    one = shard(screens, length)
    found = SimpleNamespace(
        shards=lambda: [one], all_labels=one.labels, subframes=subframes, meta=SimpleNamespace(length=length)
    )
    return cast(Recording, found)


def play(odd: Callable[[int], Screen] | None = None, at: Sequence[int] = ()) -> list[Screen]:
    """A green Car of 6 x 4 drives over the sky; its RAM box is 1 px off. The frames ``at`` have another screen."""
    screens = []
    for t in range(FRAMES):
        car = (2 + t, 10, 6, 4)
        plain = Screen([(car, GREEN)], [((car[0] + 1, 9, 6, 4), "Car")])
        screens.append(odd(t) if odd is not None and t in at else plain)
    return screens


def boxes(found: Drawn) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(int(v) for v in box), name) for box, name in zip(found.truth.boxes, found.truth.names, strict=True)]


def neutral(found: Drawn) -> list[tuple[tuple[int, ...], str, str]]:
    each = zip(found.neutral.boxes, found.neutral.names, found.kinds, strict=True)
    return [(tuple(int(v) for v in box), name, kind) for box, name, kind in each]


def test_rectangles_are_whole_pixels_on_the_screen() -> None:
    found = rectangles(np.array([[1.5, 2.0, 3.0, 4.5], [-3, 28, 50, 9]]), NATIVE, 1)
    assert found.tolist() == [[0, 1, 6, 8], [0, 27, 40, 30]]


def test_a_box_off_by_a_pixel_is_put_right() -> None:
    found = drawn_truth(made(play()))
    assert [boxes(one) for one in found] == [[((2 + t, 10, 6, 4), "Car")] for t in range(FRAMES)]
    assert all(one.kinds == () for one in found)


def test_colours_and_scenery_are_counted() -> None:
    colors = learn_colors([shard(play())])
    assert colors.classes == ("Car",) and np.flatnonzero(colors.own[0]).tolist() == [GREEN >> 1]
    assert colors.scenery[SKY >> 1, :24].all() and colors.scenery[GROUND >> 1, 24:].all()
    assert not colors.scenery[GREEN >> 1].any()
    assert colors.shares().tolist() == [[True]]


def test_scenery_of_the_same_colour_is_left_out() -> None:
    """A green wall that the car stands before in half of the frames, and that touches it."""
    wall = ((0, 14, 40, 2), GREEN)
    screens = [Screen([wall, *one.draw], one.ram) for one in play()]
    assert boxes(drawn_truth(made(screens))[5]) == [((7, 10, 6, 4), "Car")]


def test_an_object_that_is_not_drawn_is_none() -> None:
    found = drawn_truth(made(play(lambda t: Screen([], [((20, 9, 6, 4), "Car")]), at=[6])))
    assert boxes(found[6]) == [] and neutral(found[6]) == []
    assert boxes(found[7]) == [((9, 10, 6, 4), "Car")]


def test_an_object_cut_by_the_screen() -> None:
    found = drawn_truth(made(play(lambda t: Screen([((-2, 10, 6, 4), GREEN)], [((-2, 10, 6, 4), "Car")]), at=[0])))
    assert boxes(found[0]) == [((0, 10, 4, 4), "Car")]


def test_a_sliver_is_neutral() -> None:
    """3 of 24 pixels are under 15 %."""
    found = drawn_truth(made(play(lambda t: Screen([((0, 10, 1, 3), GREEN)], [((-5, 10, 6, 4), "Car")]), at=[0])))
    assert boxes(found[0]) == [] and neutral(found[0]) == [((0, 10, 1, 3), "Car", "sliver")]


def test_parts_that_hang_together_are_kept_and_others_are_not() -> None:
    arm, far = ((13, 11, 9, 2), GREEN), ((30, 11, 2, 2), GREEN)
    found = drawn_truth(made(play(lambda t: Screen([((7, 10, 6, 4), GREEN), arm, far], [((7, 10, 6, 4), "Car")]), [5])))
    assert boxes(found[5]) == [((7, 10, 15, 4), "Car")]


def test_pixels_go_to_the_nearer_of_two_and_what_overlaps_is_undecided() -> None:
    """Cars one beside the other, 1 px apart; and one that covers half of the other."""
    def two(t: int) -> Screen:
        shift = 7 if t == 4 else 3
        cars: list[Box] = [(6, 10, 6, 4), (6 + shift, 10, 6, 4)]
        return Screen([(car, GREEN) for car in cars], [(car, "Car") for car in cars])

    found = drawn_truth(made(play(two, at=[4, 8])))
    assert boxes(found[4]) == [((6, 10, 6, 4), "Car"), ((13, 10, 6, 4), "Car")]
    assert boxes(found[8]) == [] and {kind for *_, kind in neutral(found[8])} == {"undecided"}


def test_two_ram_boxes_of_one_thing() -> None:
    found = drawn_truth(
        made(play(lambda t: Screen([((7, 10, 6, 4), GREEN)], [((7, 10, 6, 4), "Car"), ((8, 10, 6, 4), "Car")]), at=[5]))
    )
    assert boxes(found[5]) == [((7, 10, 6, 4), "Car")] and neutral(found[5]) == []


def test_what_the_ram_does_not_list() -> None:
    """A second car that moves looks like the first, so it is an object. A smaller thing that moves is neutral."""
    def more(t: int) -> Screen:
        return Screen([((7, 10, 6, 4), GREEN), ((20 + t, 10, 6, 4), GREEN)], [((7, 10, 6, 4), "Car")])

    def small(t: int) -> Screen:
        return Screen([((7, 10, 6, 4), GREEN), ((20 + t, 11, 5, 2), GREEN)], [((7, 10, 6, 4), "Car")])

    found = drawn_truth(made(play(more, at=[4, 5])))
    assert boxes(found[4]) == [((7, 10, 6, 4), "Car"), ((24, 10, 6, 4), "Car")] and neutral(found[4]) == []
    found = drawn_truth(made(play(small, at=[4, 5])))
    assert boxes(found[4]) == [((7, 10, 6, 4), "Car")] and neutral(found[4]) == [((24, 11, 5, 2), "Car", "unlisted")]


def test_digits_are_not_neutral() -> None:
    """What is drawn in the class's colour where no car ever is: 8 px and more from all of them."""
    screens = [Screen([*one.draw, ((2 + t % 3, 0, 3, 1), GREEN)], one.ram) for t, one in enumerate(play())]
    assert all(one.kinds == () for one in drawn_truth(made(screens)))


def test_a_class_that_never_moves_is_scenery() -> None:
    tree = (30, 18, 4, 6)
    screens = [Screen([*one.draw, (tree, BLUE)], [*one.ram, (tree, "Tree")]) for one in play()]
    found = drawn_truth(made(screens))
    assert boxes(found[3]) == [((5, 10, 6, 4), "Car")] and neutral(found[3]) == [(tree, "Tree", "still")]


def test_a_sprite_in_the_frame_before_alone() -> None:
    """A model that sees one frame was not shown it; one that sees both was. Where it was and is are two places."""
    def away(t: int) -> Screen:
        return Screen([], [((8, 9, 6, 4), "Car")], before=[((7, 10, 6, 4), GREEN)])

    screens = play(away, at=[5])
    one = drawn_truth(made(screens))[5]
    assert boxes(one) == [] and neutral(one) == [((0, 0, 0, 0), "Car", "unshown")]
    assert boxes(drawn_truth(made(screens, subframes=2))[5]) == [((7, 10, 6, 4), "Car")]

    def twice(t: int) -> Screen:
        return Screen([((7, 10, 6, 4), GREEN)], [((7, 10, 6, 4), "Car")], before=[((7, 17, 6, 4), GREEN)])

    both = drawn_truth(made(play(twice, at=[5]), subframes=2))[5]
    assert boxes(both) == [((7, 10, 6, 4), "Car")] and neutral(both) == [((7, 17, 6, 4), "Car", "twice")]


def test_an_object_that_moves_between_the_frames_has_one_box() -> None:
    def fast(t: int) -> Screen:
        return Screen([((7, 10, 6, 4), GREEN)], [((7, 10, 6, 4), "Car")], before=[((5, 10, 6, 4), GREEN)])

    assert boxes(drawn_truth(made(play(fast, at=[5]), subframes=2))[5]) == [((5, 10, 8, 4), "Car")]
    assert boxes(drawn_truth(made(play(fast, at=[5])))[5]) == [((7, 10, 6, 4), "Car")]


def test_a_shot_has_the_colour_of_who_fired_it() -> None:
    """Shots of 2 x 2 are red, and once in 48 green; of a class of larger boxes a colour so rare is not its own."""
    screens = []
    for t in range(96):
        car, shot = (2 + t % 20, 2, 6, 4), (30 - t % 20, 17, 2, 2)
        color = GREEN if t == 50 else RED
        screens.append(Screen([(car, GREEN), (shot, color)], [(car, "Car"), (shot, "Shot")]))
    own = learn_colors([shard(screens)]).own
    assert [np.flatnonzero(one).tolist() for one in own] == [[GREEN >> 1], [RED >> 1, GREEN >> 1]]


def test_looks_learned_elsewhere() -> None:
    """One screen says nothing on its own; with the looks of a longer recording it does."""
    looks = learn_looks([made(play())])
    assert looks == Looks(frozenset({"Car"}), looks.colors)
    few = made(play()[:2])
    assert [boxes(one) for one in drawn_truth(few, looks)] == [[((2, 10, 6, 4), "Car")], [((3, 10, 6, 4), "Car")]]


def test_a_game_in_which_nothing_moves_or_nothing_is() -> None:
    tree = (30, 18, 4, 6)
    still = [Screen([(tree, BLUE)], [(tree, "Tree")]) for _ in range(FRAMES)]
    assert [neutral(one) for one in drawn_truth(made(still))] == [[(tree, "Tree", "still")]] * FRAMES
    empty = drawn_truth(made([Screen([], []) for _ in range(FRAMES)], subframes=2))
    assert [boxes(one) + neutral(one) for one in empty] == [[]] * FRAMES


def test_pictures_are_taken_as_they_are() -> None:
    there = truth(((0, 0, 4, 4), "Player"))
    (one,) = as_drawn([there])
    assert one.truth is there and one.neutral.names == () and one.kinds == ()
    assert drawn_tests([]) == []


@pytest.mark.parametrize("name", ["test-random", "test-pong-ppo"])
def test_shipped_pong(name: str) -> None:
    """Players are 4 wide and up to 16 high, and the ball is 2 x 5 at most; nearly all boxes fit the RAM's."""
    split = open_split(Path(__file__).parents[2] / "data" / "Pong" / name)
    (found,) = drawn_tests([split])
    assert found is not None
    largest = {"Player": (4, 16), "Enemy": (4, 16), "Ball": (2, 5)}
    for one in found:
        for box, of in zip(one.truth.boxes, one.truth.names, strict=True):
            assert (box[2:] <= largest[of]).all()
    objects, ram = sum(len(one.truth.names) for one in found), len(split.labels.boxes)
    assert ram - 3 <= objects <= ram + 3
    assert sum(len(one.kinds) for one in found) <= 5
