"""A command line as cards show it: another person can read it, and no folder of one machine is in it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

ELSEWHERE = "path/to"  # stands for a folder outside the current one


def shown(*start: str, words: Sequence[str]) -> str:
    """A command as one line of a shell, with every absolute path replaced.

    A path below the current directory becomes a relative one. Of any other only the last part stays:
    ``/home/me/runs/a`` becomes ``path/to/a``.

    Args:
        *start: how the command begins, such as ``"python", "train_agent.py"``.
        words: its arguments. Paths are also found in ``key=/path``, ``name:/path`` and ``one+/path``.

    >>> shown("python", "x.py", words=["--out", "/home/me/runs/a", "data.root=/big/data", "seed=1"])
    'python x.py --out path/to/a data.root=path/to/data seed=1'
    """
    return shlex.join([*start, *(_relative(word) for word in words)])


def _relative(word: str) -> str:
    if os.path.isabs(word):
        return _path(word)
    if "://" in word:  # an address
        return word
    return "".join(_path(part) if os.path.isabs(part) else part for part in re.split(r"(?<=[=:+,])", word))


def _path(text: str) -> str:
    path, here = Path(text), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else f"{ELSEWHERE}/{path.name}"
