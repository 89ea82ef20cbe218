"""Whether numba is there (the optional extra ``fast``), and how inner loops are compiled with it.

A step of one game takes a few thousand operations on a few dozen numbers. In arrays most of its time goes to calling
array functions. So the inner loops of seeing and tracking are there twice: in arrays, as the text of the rules and for
where numba is not installed, and compiled, in modules whose names end in ``_compiled``. Tests hold one against the
other. Each function is compiled at its first call, a second or so each, and kept on disk.

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
    fused = numba.njit(cache=True, nogil=True, fastmath={"contract"})  # a * b + c in one rounding
