"""Files of tensors as ``torch.save`` writes them, and one that lies about its size."""

from __future__ import annotations

import io
import struct
from typing import Any

import torch


def saved(tree: Any, new: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(tree, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def claiming(count: int, claimed: int, key: str = "a") -> bytes:
    """A file in the form of before 2020, with a tensor of ``count`` numbers that says that it has others."""
    data = saved({key: torch.zeros(count), "config": {}}, new=False)
    there = b"K" + bytes([count])
    at = data.index(there, data.index(b"FloatStorage"))
    return data[:at] + b"J" + struct.pack("<i", claimed) + data[at + len(there) :]
