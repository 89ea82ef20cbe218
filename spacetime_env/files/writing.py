"""Files written whole or not at all: a reader sees the old file or the new one, also after a crash."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

Content = bytes | Callable[[Path], None]  # or a function that writes to the temporary path it is given


def write_atomically(path: Path, content: Content) -> None:
    """Replace ``path`` in one step; on a full disk the old file stays.

    Raises:
        OSError: it cannot be written.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, Content]) -> None:
    """Replace files that describe each other: all of them are safe on disk before the first takes its name.

    So a full disk leaves all of the old ones. Only a crash between two renames can leave old beside new.

    Raises:
        OSError: one of them cannot be written.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
            staged[path] = temporary
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content)
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
        for path, temporary in staged.items():
            os.replace(temporary, path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, older_than: float) -> None:
    """Remove what interrupted writes left behind, if it is older than ``older_than`` (seconds since 1970)."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # its writer is alive and has just renamed it
            if path.stat().st_mtime < older_than:
                path.unlink()
