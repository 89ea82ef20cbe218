"""Boxes from somebody's function: scaled, cut at the frame's edges, and refused where they are none."""

from __future__ import annotations

from typing import Any

import pytest

import tests.helpers.squares_env as helper
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.true_boxes import TrueBoxes
from tests.helpers.squares_env import Squares

NAME = "tests.helpers.squares_env:given"


def found(monkeypatch: pytest.MonkeyPatch, given: Any) -> list[Any]:
    monkeypatch.setattr(helper, "given", given if callable(given) else lambda env: given, raising=False)
    return TrueBoxes(NAME).of(Squares(), (40, 80), (20, 20))


def test_scaled_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 pixels across become 20, and 40 down become 20."""
    given = [
        ("a", 8, 10, 16, 20),
        ("b", -8, -4, 16, 8),  # partly outside
        ("c", 72, 36, 100, 100),
        ("d", 90, 5, 4, 4),  # outside
        ("e", 3, 3, 0, 4),  # nothing
        ("f", 1.3, 0, 40, 1),
    ]
    assert found(monkeypatch, given) == [
        ("a", 2, 5, 4, 10),
        ("b", 0, 0, 2, 2),
        ("c", 18, 18, 2, 2),
        ("f", 0.25, 0, 10, 0.5),  # quarters of a pixel
    ]
    assert found(monkeypatch, lambda env: [(type(env).__name__, 0, 0, 80, 40)]) == [("Squares", 0, 0, 20, 20)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("a", 1, 2, 3)], r"boxes\(env\) -> .* in pixels of the rendered frame"),
        ([("a", 1, 2, 3, float("nan"))], "got .'a', 1, 2, 3, nan. among them"),
        ([("a", 1, 2, -3, 4)], "among them"),
        ([("", 1, 2, 3, 4)], "among them"),
        ([(7, 1, 2, 3, 4)], "among them"),
        ([("a" * 65, 1, 2, 3, 4)], "among them"),
        (None, "TypeError: 'NoneType' object is not iterable"),
        (lambda env: env.walls, "AttributeError: 'Squares' object has no attribute 'walls'"),
    ],
)
def test_what_is_no_box(given: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=f"--boxes {NAME}.*{message}"):
        found(monkeypatch, given)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("boxes", "expected module:function, got 'boxes'"),
        (":boxes", "expected module:function"),
        ("no_such:boxes", "the module of 'no_such:boxes' cannot be imported"),
        ("tests.helpers.squares_env:none", "has no function 'none', boxes"),
        ("tests.helpers.squares_env:NATIVE", "has no function 'NATIVE'"),
    ],
)
def test_there_is_no_such_function(name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=f"--boxes: .*{message}"):
        TrueBoxes(name)
