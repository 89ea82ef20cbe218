"""What may lie, or be named, in the place of a file or a folder."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzz.values import Rng

TERABYTE = 2**40


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path, to: str) -> None:
    path.symlink_to(to)


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(TERABYTE)


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


WAYS: dict[str, Callable[[Path], None]] = {
    "a fifo": _fifo,
    "/dev/zero": lambda path: _link(path, "/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a loop of links": lambda path: _link(path, path.name),
    "a link to nothing": lambda path: _link(path, "nothing"),
    "1 TB of nothing": _sparse,
    "a socket": _socket,
    "an empty file": lambda path: path.touch(),
    "nothing": lambda path: None,
    "/dev/null": lambda path: _link(path, "/dev/null"),
    "a list of processes": lambda path: _link(path, "/proc/self/fd"),
}
NAMES = {
    "a name of 300 letters": "x" * 300,
    "a path of 8,000 letters": "/".join(["x" * 200] * 40),
    "a path with a NUL": "./a\0b",
    "a name with a NUL": "a\0b",
    "a name that is no text": "\udcff",
    "no name": "",
    "a dot": ".",
    "the root": "/",
    "a device": "/dev/zero",
    "a name with a wildcard": "*",
}


def mutate_place(rng: Rng, folder: Path, chosen: str | None = None) -> str:
    """Put something else in the place of a file of ``folder``, or of the folder; what, in words.

    Args:
        chosen: the file; None: any.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    target = folder / chosen if chosen else files[rng.integers(len(files))] if rng.random() < 0.9 else folder
    way = list(WAYS)[rng.integers(len(WAYS))]
    if target == folder:
        shutil.rmtree(folder)
    else:
        target.unlink()
    WAYS[way](target)
    return f"{target.name if target != folder else 'the folder'} is {way}"


def mutate_name(rng: Rng) -> tuple[str, str]:
    """A path that leads nowhere, and what it is."""
    name = list(NAMES)[rng.integers(len(NAMES))]
    return NAMES[name], name
