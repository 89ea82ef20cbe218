"""Changes to bytes that know nothing of their format, and a pickle that runs code."""

from __future__ import annotations

import pickle
from typing import Any

from benchmarks.fuzz.values import CANARY, Rng


def mutate_bytes(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """Bytes with one change that knows nothing of their format."""
    at, size = int(rng.integers(len(data) + 1)), int(rng.integers(1, 65))
    way = int(rng.integers(8))
    if way == 0 and data:
        out = bytearray(data)
        for place in rng.integers(len(data), size=int(rng.integers(1, 9))).tolist():
            out[place] ^= 1 << int(rng.integers(8))
        return bytes(out), "some bits flipped"
    if way == 1:
        return data[:at], f"cut off after {at} of {len(data)} bytes"
    if way == 2:
        return data[:at] + rng.bytes(size) + data[at:], f"{size} bytes put in at {at}"
    if way == 3:
        return data[:at] + data[at + size :], f"{size} bytes taken out at {at}"
    if way == 4:
        return data[:at] + bytes(size) + data[at + size :], f"{size} zeros at {at}"
    if way == 5:
        return data[:at] + b"\xff" * 8 + data[at + 8 :], f"eight 255 at {at}"
    if way == 6:
        return data + rng.bytes(size), f"{size} bytes behind the end"
    odd = (b"", b"\0", b"PK\x05\x06" + bytes(18), b"\x93NUMPY", b"\x80\x04.", rng.bytes(1000), data + data)
    return odd[rng.integers(len(odd))], "something else"


class Evil:
    """Pickled, it imports and calls the canary."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__({CANARY!r})",)


def evil_pickle() -> bytes:
    """What runs code when it is unpickled."""
    return pickle.dumps(Evil(), 2)
