"""Which numbers of a file are taken."""

from __future__ import annotations

import math
from typing import Any

import pytest

from spacetime_env.files import is_count, is_number, is_whole


@pytest.mark.parametrize(
    ("value", "whole", "count", "number"),
    [
        (0, True, True, True),
        (-3, True, False, True),
        (2**63 - 1, True, True, True),
        (2**63, True, False, True),
        (10**400, True, False, False),  # float() of it overflows
        (1.5, False, False, True),
        (-1e299, False, False, True),
        (1e301, False, False, False),
        (math.inf, False, False, False),
        (math.nan, False, False, False),
        (True, False, False, False),
        (False, False, False, False),
        ("3", False, False, False),
        (None, False, False, False),
        (3j, False, False, False),
    ],
)
def test_which_numbers_are_taken(value: Any, whole: bool, count: bool, number: bool) -> None:
    assert (is_whole(value), is_count(value), is_number(value)) == (whole, count, number)
