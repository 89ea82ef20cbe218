"""The compiled inner loops, :mod:`spacetime_env.loops`, where numba is installed (the extra ``fast``); else None."""

from __future__ import annotations

from typing import Any

loops: Any = None
try:
    from spacetime_env import loops as _loops
except ImportError:
    pass
else:
    loops = _loops
