"""Values in messages."""

from __future__ import annotations

import time
from typing import Any

import pytest

from spacetime_env.files import did_you_mean, shown, shown_names, shown_text


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "a", (1, 2), {"b": [1, "x"], "a": None}, b"x", 10**30])
def test_a_small_value_is_its_repr(value: Any) -> None:
    assert shown(value) == repr(value)


def test_large_values_are_cut_while_they_are_made() -> None:
    wide: Any = "x" * 1000
    for _ in range(9):
        wide = [wide] * 9
    mapping: Any = {"a": 1}
    for _ in range(9):
        mapping = {key: mapping for key in range(9)}
    itself: list[Any] = []
    itself.append(itself)
    began = time.perf_counter()
    for value in (wide, mapping, itself, "x" * 10**7, 10**10_000, [10**10_000], range(10**9), set(range(10**5))):
        assert len(shown(value)) <= 203
    assert shown(10**5000) == "<a number of 16610 bits>"
    assert time.perf_counter() - began < 1


def test_text_is_one_line() -> None:
    assert shown_text("a\nb") == "a b" and shown_text("abcdef", 3) == "abc..."


def test_names_are_cut_each_and_together() -> None:
    assert shown_names(["a", "b\nc"]) == "a, b c" and shown_names([]) == ""
    assert shown_names(["x" * 101, "y"]) == f"{'x' * 100}..., y"
    for names in (map(str, range(10**9)), [""] * 10**6, ["x" * 10**6] * 50):
        text = shown_names(names, 40)
        assert len(text) == 43 and text.endswith("...")


def test_the_nearest_name() -> None:
    assert did_you_mean("Bal", ["Player", "Ball"]) == "Did you mean 'Ball'?"
    assert did_you_mean("Ghost", ["Player", "Ball"]) == did_you_mean(7, ["Player"]) == ""
    long = "x" * 100_000
    assert did_you_mean(long, [long]) == ""
    assert len(did_you_mean("x" * 100, ["x" * 120])) < 120
