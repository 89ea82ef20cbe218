"""The inner loops of seeing and tracking, compiled by numba: the optional extra ``fast``.

A step of one game takes a few thousand operations on a few dozen numbers. In arrays most of its time goes to calling
array functions. Whoever calls these has the same in arrays, as
the text of the rules and for where numba is not installed; tests hold one against the other.

Importing this raises ImportError without numba. Each function is compiled at its first call, a second or so each, and
kept on disk.
"""

from spacetime_env.loops.seeing import (
    around,
    arrange,
    changed_cells,
    mix,
    of_patches,
    present,
    take_over,
    widened,
)
from spacetime_env.loops.tracking import assign, track

__all__ = [
    "around",
    "arrange",
    "assign",
    "changed_cells",
    "mix",
    "of_patches",
    "present",
    "take_over",
    "track",
    "widened",
]
