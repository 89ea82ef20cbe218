"""Classes that move, from boxes by hand."""

from __future__ import annotations

import numpy as np

from spacetime_env.data.shards import FrameBoxes
from spacetime_env.evaluation.moving import moving_classes


def boxes(*frames: list[tuple[tuple[float, ...], str]]) -> FrameBoxes:
    flat = [one for frame in frames for one in frame]
    found = np.array([box for box, _ in flat], np.float32).reshape(-1, 4)
    return FrameBoxes.of(found, np.array([len(f) for f in frames]), np.array([name for _, name in flat], np.str_))


def test_a_class_moves_if_one_of_its_boxes_does() -> None:
    ball = [[((x, 5.0, 2.0, 4.0), "Ball"), ((30.0, 5.0, 2.0, 4.0), "Ball")] for x in (3.0, 6.0, 9.0)]
    assert moving_classes([(boxes(*ball), 3)]) == {"Ball"}
    assert moving_classes([(boxes(*ball), 1)]) == set()  # frames of different stacks say nothing


def test_what_vanishes_appears_or_gets_shorter_is_still() -> None:
    pills = [[((10.0 * x, 5.0, 2.0, 4.0), "Pill") for x in there] for there in ((0, 1, 2), (0, 2), (0, 1, 2))]
    bar = [[((5.0, 20.0, w, 3.0), "Bar")] for w in (9.0, 8.0, 7.0)]
    far = [[((x, 5.0, 2.0, 4.0), "Far")] for x in (0.0, 50.0, 100.0)]  # another one, not the one that is gone
    each = zip(pills, bar, far, strict=True)
    assert moving_classes([(boxes(*[[*p, *b, *f] for p, b, f in each]), 3)]) == set()


def test_one_box_in_two_hundred_is_a_mistake() -> None:
    frames = [[((5.0, 5.0, 2.0, 4.0), "Gate")]] * 250 + [[((8.0, 5.0, 2.0, 4.0), "Gate")]] * 250
    assert moving_classes([(boxes(*frames), 500)]) == set()
    assert moving_classes([(boxes(*frames[200:300]), 100)]) == {"Gate"}
