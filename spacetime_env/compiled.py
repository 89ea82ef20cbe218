"""Whether numba is installed (the optional extra ``fast``), and how inner loops are compiled with it.

A step of one game takes a few thousand operations on a few dozen numbers. With numpy most of its time is spent on
calling numpy's functions. So the inner loops of finding and tracking objects are written twice: with numpy, to be read
and for computers without numba; and as loops that numba compiles, in modules whose names end in ``_compiled``. Tests
compare the two. A function is compiled at its first call, which takes about a second, and then kept on disk.

Without numba, ``INSTALLED`` is False and no ``_compiled`` module is imported.
"""

from __future__ import annotations

from typing import Any

INSTALLED = False
compiled: Any = None
fused: Any = None
try:
    import numba
except ImportError:
    pass
else:
    INSTALLED = True
    compiled = numba.njit(cache=True, nogil=True)
    fused = numba.njit(cache=True, nogil=True, fastmath={"contract"})  # a * b + c is rounded once
