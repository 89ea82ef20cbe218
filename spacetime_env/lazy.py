"""Public names of a room that are loaded on their first use (PEP 562), so that importing the room stays light."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def load(room: str, contents: Mapping[str, str], name: str) -> Any:
    """A public name of a room.

    Args:
        room: the package, such as ``spacetime_env.models``.
        contents: of each public name, the module of the room that has it.
        name: which is asked for.

    Raises:
        AttributeError: the room has no such name.
    """
    if name not in contents:
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{room}.{contents[name]}"), name)
