"""Numbers of files that nobody vouches for. YAML and JSON hold whole numbers of any size, and NaN and infinity."""

from __future__ import annotations

import math
from typing import Any


def is_whole(value: Any) -> bool:
    """A whole number of any size. True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """A whole number, 0 or more, that fits into 63 bits."""
    return is_whole(value) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """A finite number under 1e300, so that a sum or a mean of some is finite too."""
    return (is_whole(value) or isinstance(value, float)) and abs(value) < 1e300 and math.isfinite(value)
