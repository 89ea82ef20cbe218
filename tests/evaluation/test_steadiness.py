"""Gaps, switches, name flips and ghosts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.drawn import Drawn, as_drawn
from spacetime_env.evaluation.steadiness import Steadiness, steadiness
from tests.helpers.made import found, truth

NATIVE = (44, 36)
SCENE = SceneConfig(classes=("Ball", "Player"), slots={"Ball": 2, "Player": 1}, keep=0, max_speed=4.0)
BALL, OTHER, PLAYER = ((5, 5, 3, 4), "Ball"), ((20, 5, 3, 4), "Ball"), ((30, 30, 5, 3), "Player")


def test_nothing_to_complain_of() -> None:
    frames, there = [found(BALL, PLAYER)] * 5, as_drawn([truth(BALL, PLAYER)] * 5)
    # Two objects, three steps with one before and one after. Two runs: of 3 and 2 frames, one step each.
    assert steadiness(frames, there, [range(5)], SCENE, NATIVE) == Steadiness(6, 0, 0, 0, 0)
    assert steadiness(frames, there, [range(3), range(3, 5)], SCENE, NATIVE).steps == 2
    assert np.isnan(steadiness(frames, there, [range(2)], SCENE, NATIVE).per_1000("gaps"))


def test_a_gap_is_between_two_steps_that_are_seen() -> None:
    there = as_drawn([truth(PLAYER)] * 6)
    seen = [found(PLAYER) if here else found() for here in (0, 1, 0, 1, 1, 0)]
    one = steadiness(seen, there, [range(6)], SCENE, NATIVE)
    assert one == Steadiness(4, 1, 0, 0, 0) and one.per_1000("gaps") == 250  # not before the first, not after the last


def test_a_switch_is_of_a_class_and_a_flip_is_not() -> None:
    # Both balls are lost for a step. Then the second comes back alone, in the first slot, and the first in the second.
    both, second = found(BALL, OTHER), found(OTHER)
    there = as_drawn([truth(BALL, OTHER)] * 6)
    one = steadiness([both, both, found(), second, both, both], there, [range(6)], SCENE, NATIVE)
    assert one == Steadiness(8, 3, 2, 0, 0)
    # A name that stays is believed, and the row is another one.
    called = found((BALL[0], "Player"))
    one = steadiness([found(BALL), *[called] * 4], as_drawn([truth(BALL)] * 5), [range(5)], SCENE, NATIVE)
    assert one == Steadiness(3, 0, 0, 1, 0)


def test_ghosts_are_where_nothing_is() -> None:
    scenery = Drawn(truth(PLAYER), truth(OTHER), ("still",))
    one = steadiness([found(PLAYER, BALL, OTHER)] * 4, [scenery] * 4, [range(4)], SCENE, NATIVE)
    assert one == Steadiness(2, 0, 0, 0, 4)  # BALL, in each of four frames; what is neutral is none


def test_a_neutral_object_is_followed_and_its_steps_do_not_count() -> None:
    hidden = Drawn(Truth(np.zeros((0, 4), np.float32), ()), truth(PLAYER), ("undecided",))
    there = [*as_drawn([truth(PLAYER)] * 3), hidden, *as_drawn([truth(PLAYER)] * 3)]
    one = steadiness([found(PLAYER)] * 7, there, [range(7)], SCENE, NATIVE)
    assert one == Steadiness(2, 0, 0, 0, 0)  # the steps 1 and 5; 2 and 4 are beside one that is not sure


@pytest.mark.parametrize(("shift", "gaps"), [(1, 0), (2.5, 1)])
def test_a_row_that_is_too_far_off_is_another_things(shift: float, gaps: int) -> None:
    off = found(((5 + shift, 5, 3, 4), "Ball"))
    seen = [found(BALL), found(BALL), off, found(BALL), found(BALL)]
    one = steadiness(seen, as_drawn([truth(BALL)] * 5), [range(5)], SCENE, NATIVE)
    assert one.gaps == gaps == one.ghosts
