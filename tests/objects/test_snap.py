"""Edges that move to what is drawn, by hand and in both forms."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.compiled import INSTALLED
from spacetime_env.objects import snap as module
from spacetime_env.objects.snap import Backdrop, Pictures, packed, snap
from tests.helpers.forms import both_forms

form = both_forms(module)
TOP, H, W = 3, 12, 16
BACKGROUND = np.random.default_rng(0).integers(0, 200, (H, W, 3)).astype(np.uint8)


def pictures(*drawn: tuple[int, int, int, int], colors: bool = False) -> Pictures:
    """Two frames: of the background alone, and with things (x, y, w, h, y in the frame) of one channel more."""
    frame = BACKGROUND.copy()
    for x, y, w, h in drawn:
        frame[y - TOP : y - TOP + h, x : x + w, 1] += 1
    if not colors:
        return Pictures(np.stack([BACKGROUND, frame]), None, Backdrop(packed(BACKGROUND), TOP))
    plain = np.full((H, W, 3), 7, np.uint8)
    palette = np.full((256, 3), 7, np.uint8)
    palette[9] = 7, 7, 8
    numbers = np.where((frame != BACKGROUND).any(axis=2), 9, 5).astype(np.uint8)
    return Pictures(np.stack([np.full_like(numbers, 5), numbers]), palette, Backdrop(packed(plain), TOP))


def moved(box: tuple[int, int, int, int], seen: Pictures) -> list[int]:
    (result,) = snap(np.array([box], np.float32), np.array([1]), seen)
    assert result.dtype == np.float32
    return [int(value) for value in result]


@pytest.mark.parametrize("colors", [False, True], ids=["rgb", "numbers"])
@pytest.mark.parametrize(
    ("drawn", "box", "expected"),
    [
        ((5, 6, 2, 4), (5, 6, 2, 4), (5, 6, 2, 4)),  # right already
        ((5, 6, 2, 4), (6, 6, 2, 4), (5, 6, 2, 4)),  # a pixel to the right
        ((5, 6, 2, 4), (4, 7, 2, 4), (5, 6, 2, 4)),  # to the left and down
        ((5, 6, 2, 4), (4, 5, 4, 6), (5, 6, 2, 4)),  # a pixel too large on every side
        ((5, 6, 4, 4), (6, 7, 2, 2), (5, 6, 4, 4)),  # too small
        ((5, 6, 4, 4), (7, 6, 2, 4), (7, 6, 2, 4)),  # two pixels off: it goes on, so it may be another's
        ((5, 6, 2, 4), (10, 6, 2, 4), (10, 6, 2, 4)),  # nothing is drawn there
        ((0, 3, 2, 2), (1, 4, 2, 2), (0, 3, 2, 2)),  # in the corner of what the network sees
        ((14, 13, 2, 2), (14, 12, 2, 2), (14, 13, 2, 2)),  # in the other corner
        ((5, 6, 1, 1), (5, 6, 1, 1), (5, 6, 1, 1)),
        ((4, 6, 3, 1), (5, 7, 1, 1), (5, 7, 1, 1)),  # beside it: nothing says that this is it
    ],
)
def test_by_hand(
    colors: bool, drawn: tuple[int, ...], box: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert moved(box, pictures(drawn, colors=colors)) == list(expected)  # type: ignore[arg-type]


def test_each_box_is_of_its_frame() -> None:
    boxes = np.array([[6, 6, 2, 4], [6, 6, 2, 4]], np.float32)
    result = snap(boxes, np.array([0, 1]), pictures((5, 6, 2, 4)))
    assert result.tolist() == [[6, 6, 2, 4], [5, 6, 2, 4]]
    assert boxes[1, 0] == 6  # the argument stays as it was
    assert snap(boxes[:0], np.zeros(0, np.int64), pictures()).shape == (0, 4)


@pytest.mark.skipif(not INSTALLED, reason="numba is not installed")
def test_both_forms_are_one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for trial in range(100):
        drawn = [tuple(rng.integers((0, TOP, 1, 1), (12, TOP + 8, 5, 5)).tolist()) for _ in range(4)]
        seen = pictures(*drawn, colors=bool(trial % 2))  # type: ignore[arg-type]
        low = rng.integers((-3, TOP - 3), (15, TOP + 12), (9, 2))
        boxes = np.concatenate([low, rng.integers(1, 6, (9, 2))], axis=1).astype(np.float32)
        frame = np.sort(rng.integers(0, 2, 9))
        with monkeypatch.context() as patch:
            patch.setattr(module, "loops", None)
            arrays = snap(boxes, frame, seen)
        np.testing.assert_array_equal(snap(boxes, frame, seen), arrays)
