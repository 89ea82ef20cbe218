"""Who is who from frame to frame, by hand."""

from __future__ import annotations

import sys

import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.evaluation.tracks import identity_switches, link
from tests.helpers.made import found, truth

NATIVE = (44, 36)
SCENE = SceneConfig(classes=("Ball", "Player"), slots={"Ball": 2, "Player": 1}, keep=0, max_speed=4.0)


def ball(x: float) -> tuple[tuple[float, ...], str]:
    return (x, 5, 3, 4), "Ball"


def test_link_follows_the_nearest_of_a_class() -> None:
    player = ((12, 5, 3, 4), "Player")
    frames = [truth(ball(10), ball(20), player), truth(player, ball(17), ball(12)), truth(ball(14), player, ball(15))]
    # Classes take their numbers by name, objects in their order.
    assert link(frames, reach=6) == [[0, 1, 2], [2, 1, 0], [0, 2, 1]]


def test_link_takes_what_is_out_of_reach_for_another() -> None:
    assert link([truth(ball(10)), truth(ball(15))], reach=6) == [[0], [0]]
    assert link([truth(ball(10)), truth(ball(16))], reach=6) == [[0], [1]]
    # One is gone and one is new: the two that stay are not moved along to make room.
    row = [truth(ball(10), ball(15), ball(20)), truth(ball(15), ball(20), ball(25))]
    assert link(row, reach=4) == [[0, 1, 2], [1, 2, 3]]


def test_link_knows_what_flickers() -> None:
    frames = [truth(ball(10)), truth(), truth(), truth(ball(16))]
    assert link(frames, reach=3, keep=2) == [[0], [], [], [0]]  # 6 pixels in three steps of 3
    assert link(frames, reach=3, keep=1) == [[0], [], [], [1]]
    assert link(frames, reach=2, keep=2) == [[0], [], [], [1]]
    assert link([], reach=2) == []


def test_identity_switches_by_hand() -> None:
    """Two balls are lost; the second comes back alone, in the first slot, and then the first in the second slot."""
    pytest.importorskip("motmetrics")
    player = ((30, 30, 3, 4), "Player")
    both, second = found(ball(5), ball(20), player), found(ball(20), player)
    frames = [both, found(player), second, both, both]
    there = [truth(ball(5), ball(20), player)] * 5
    assert identity_switches(frames, there, [range(5)], SCENE, NATIVE) == {"Ball": 2, "Player": 0}
    # The tracker begins anew in each run, and so do the objects.
    assert identity_switches(frames, there, [range(2), range(2, 5)], SCENE, NATIVE) == {"Ball": 0, "Player": 0}
    assert identity_switches(frames, there, [range(3), range(3, 5)], SCENE, NATIVE)["Ball"] == 1
    # Without overlap a slot has no object.
    assert identity_switches([found(ball(7.5))] * 5, there, [range(5)], SCENE, NATIVE) == {"Ball": 0, "Player": 0}


def test_identity_switches_without_motmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "motmetrics", None)
    with pytest.raises(ImportError):
        identity_switches([found()], [truth()], [range(1)], SCENE, NATIVE)
