"""Tensors of files in the form that ``torch.save`` had before 2020. Checkpoints of the published code may have it.

Such a file is five pickles, one after the other, and then the numbers. The fourth pickle names a storage for each
tensor and says how many numbers it has; torch makes room for as many before it looks at the file. So all pickles are
looked at first: what they name, and what they claim.
"""

from __future__ import annotations

import io
import pickletools
from pathlib import Path
from typing import Any

import torch

from spacetime_env.files.reading import FileError
from spacetime_env.files.shown import shown_path, shown_text
from spacetime_env.files.tensors import LARGEST_PICKLE, read_tensors, require_names

PICKLES = 5  # a magic number, the version, the machine, the tree, the names of the storages
ZIP = b"PK\x03\x04"  # how torch tells the forms apart


def read_tensors_of_any_form(data: bytes, name: str | Path) -> Any:
    """As :func:`~spacetime_env.files.tensors.read_tensors`, also of a file in the form of before 2020.

    Tensors of that form take at most eight times as much memory as the file has bytes.

    Raises:
        FileError: it is damaged, or holds something else.
    """
    if data.startswith(ZIP):
        return read_tensors(data, name)
    try:
        _require_honest(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # pickletools and torch raise many kinds for a damaged file
        reason = shown_text(" ".join(str(error).split())).rstrip(".") or type(error).__name__
        raise FileError(f"{shown_path(name)} cannot be read as a checkpoint of tensors: {reason}.") from None


def _require_honest(data: bytes) -> None:
    """Refuse a file whose pickles are large, name other things than tensors, or claim more numbers than it has bytes.

    Raises:
        ValueError and others: it does, or begins with no pickles.
    """
    file, claimed = io.BytesIO(data), 0
    for _ in range(PICKLES):
        start = file.tell()
        last: list[tuple[str, Any]] = []  # what stands before an instruction; memo instructions change nothing
        for code, argument, _ in pickletools.genops(file):
            if file.tell() - start > LARGEST_PICKLE:
                raise ValueError(f"one of its pickles has over {LARGEST_PICKLE:,} bytes")
            require_names(code.name, argument)
            if code.name in ("BINPERSID", "PERSID"):
                claimed += _numbers(last)
            if not code.name.endswith("PUT") and code.name != "MEMOIZE":
                last = [*last[-2:], (code.name, argument)]
    if claimed > len(data):
        raise ValueError(f"it claims {claimed:,} numbers and has {len(data):,} bytes")


def _numbers(last: list[tuple[str, Any]]) -> int:
    """How many numbers a storage claims: the last but one item of the tuple that describes it, before a None.

    Args:
        last: the three instructions before the one that asks for the storage.

    Raises:
        ValueError: they are others than those that torch writes.
    """
    names = [name for name, _ in last]
    if names[1:] != ["NONE", "TUPLE"] or names[0] not in ("BININT", "BININT1", "BININT2", "LONG1"):
        raise ValueError("it describes a storage as torch does not")
    if last[0][1] < 0:
        raise ValueError("it claims less than no numbers")
    return int(last[0][1])
