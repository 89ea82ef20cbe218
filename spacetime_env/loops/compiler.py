"""How the loops are compiled."""

from __future__ import annotations

import numba

compiled = numba.njit(cache=True, nogil=True)
fused = numba.njit(cache=True, nogil=True, fastmath={"contract"})  # a * b + c in one rounding
