"""The compiled loops (numba, the extra ``fast``) off for a while, and the check that they are.

A module looks for the loops when it is called, a tracker when it is made, and a worker process has what its parent had
when it was forked. So an environment without them is made, and stepped, within :func:`without_numba`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from spacetime_env.compiled import INSTALLED
from spacetime_env.models import screens
from spacetime_env.objects import describe, snap, tracker
from spacetime_env.space import sparse

MODULES: tuple[Any, ...] = (describe, screens, snap, tracker, sparse)  # those that call the loops; a test compares


@contextlib.contextmanager
def without_numba() -> Iterator[None]:
    """As if it were not installed."""
    kept = [module.loops for module in MODULES]
    for module in MODULES:
        module.loops = None
    try:
        yield
    finally:
        for module, loops in zip(MODULES, kept, strict=True):
            module.loops = loops


def in_use() -> bool:
    """Whether this process calls the compiled loops now, in all modules that have them.

    Raises:
        RuntimeError: some modules do and some do not.
    """
    found = {module.loops is not None for module in MODULES}
    if len(found) > 1:
        raise RuntimeError("some modules call the compiled loops and some do not.")
    return found.pop()


def state() -> str:
    """numba's version, and whether it is in use."""
    if not INSTALLED:
        return "numba not installed"
    import numba

    return f"numba {numba.__version__} {'in use' if in_use() else 'installed, not in use'}"


def require(envs: Any, wanted: bool) -> None:
    """Check that all of a vector environment's processes see and track with the compiled loops, or that none does.

    Raises:
        RuntimeError: it is otherwise.
    """
    envs.set_attr("numba_in_use", in_use)  # a worker gets a function by its name, and calls its own
    if set(envs.call("numba_in_use")) != {wanted}:
        raise RuntimeError(f"expected the compiled loops {'on' if wanted else 'off'} in every process.")
    if {one.compiled for one in envs.call("_tracker")} != {wanted}:
        raise RuntimeError(f"a tracker was made with the compiled loops {'off' if wanted else 'on'}.")
