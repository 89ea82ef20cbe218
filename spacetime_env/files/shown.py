"""Values and names as messages show them: on one line, and cut."""

from __future__ import annotations

import itertools
import reprlib
from pathlib import Path
from typing import Any


class _Shown(reprlib.Repr):
    """Repr that never makes much more text than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 8
        self.maxstring = self.maxother = 100

    def repr_int(self, x: int, level: int) -> str:  # Python itself refuses to print 5000 digits
        return repr(x) if x.bit_length() < 200 else f"<a number of {x.bit_length()} bits>"

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:  # as reprlib's, but in the order of the dict
        if level <= 0:
            return "{...}"
        pairs = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in itertools.islice(x.items(), self.maxdict)
        ]
        return "{" + ", ".join([*pairs, "..."] if len(x) > self.maxdict else pairs) + "}"


def shown(value: Any, limit: int = 200) -> str:
    """``repr(value)`` for a message, cut while it is made: also of a list that has itself a billion elements.

    >>> shown([1, "a", {"b": None}])
    "[1, 'a', {'b': None}]"
    """
    return shown_text(_Shown().repr(value), limit)


def shown_text(text: str, limit: int = 200) -> str:
    """Text for a message, on one line and cut after ``limit`` characters."""
    text = " ".join(text[: limit + 1].split("\n"))
    return text if len(text) <= limit else f"{text[:limit]}..."


def shown_path(path: str | Path) -> str:
    """The name of a file for a message."""
    return shown_text(str(path))
