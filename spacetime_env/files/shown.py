"""Values and names as messages show them: on one line, and cut."""

from __future__ import annotations

import difflib
import itertools
import os
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ELSEWHERE = "path/to"  # stands for a folder outside the current one


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


def shown_names(names: Iterable[str], limit: int = 1000) -> str:
    """Names for a message: ``a, b, c``, on one line and cut after ``limit`` characters, and each name after 100."""
    return shown_text(", ".join(shown_text(name, 100) for name in itertools.islice(names, limit)), limit)


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A sentence that names the nearest of the known names; "" if none is near.

    >>> did_you_mean("Bal", ["Player", "Ball"])
    "Did you mean 'Ball'?"
    """
    asked = name[:100] if isinstance(name, str) else shown(name, 100)
    near = difflib.get_close_matches(asked, list(known), n=1)
    return f"Did you mean {shown(near[0])}?" if near else ""


def shown_path(path: str | os.PathLike[str]) -> str:
    """The name of a file for a message."""
    return shown_text(os.fspath(path))


def relative(path: str | Path) -> str:
    """A path for others to read: from the current directory on, or ``path/to/NAME`` for an absolute one elsewhere."""
    path, here = Path(path), Path.cwd()
    if not path.is_absolute():
        return path.as_posix()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else f"{ELSEWHERE}/{path.name}"
