"""The learning curve of figures that a checkpoint has, also of odd ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from spacetime_env.agent.card import curve, row


def evaluation(timesteps: int, mean: float, std: float) -> dict[str, Any]:
    return {"timesteps": timesteps, "mean": mean, "std": std, "episodes": 3, "training_mean": None, "seconds": 90}


def test_a_curve_of_two_points() -> None:
    """640 x 320 pixels with a margin of 48: x from 48 to 592, y from 272 for the least, -5, to 48 for the most, 15."""
    text = curve([evaluation(100, 0.0, 5.0), evaluation(400, 10.0, 5.0)], "Catch")
    assert '<polyline points="184.0,216.0 592.0,104.0"' in text  # 5 and 15 of the 20 from -5 to 15
    assert '<polygon points="184.0,160.0 592.0,48.0 592.0,160.0 184.0,272.0"' in text
    assert row(evaluation(1234, 1.25, 0.5)) == "| 1,234 | 1.2 | 0.5 | 3 | - | 1.5 |"


@pytest.mark.parametrize("mean", [7, -7.5, 10**18, -(10**18), 1e299, 10**299, 1e16])
@pytest.mark.parametrize("steps", [0, 2**63 - 1])
def test_a_curve_that_is_level_lies_in_the_middle(mean: float, steps: int) -> None:
    """Beside 10**18 a float has no room for 1 more."""
    text = curve([evaluation(steps, mean, 0.0)], "Catch")
    (y,) = re.findall(r'<polyline points="[0-9.]+,([0-9.]+)"', text)
    assert float(y) == pytest.approx(160, abs=0.1)


def test_a_curve_of_the_largest_figures() -> None:
    text = curve([evaluation(1, 9e299, 9e299), evaluation(2, -9e299, 9e299)], "Catch")
    assert '<polyline points="320.0,104.0 592.0,216.0"' in text and "nan" not in text
