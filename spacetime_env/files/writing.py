"""Writes files atomically: a reader sees the old file or the new one, never a part, also after a crash."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

Content = bytes | Callable[[Path], None]  # the function writes to the temporary path that it is given


def write_atomically(path: Path, content: Content) -> None:
    """Write a file, or replace it.

    Raises:
        OSError: it cannot be written, on a full disk for instance. An old file is then unchanged.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, Content]) -> None:
    """Write files that belong together, or replace them.

    All of them are written under temporary names before the first gets its own name. So only a crash between two
    renames can leave an old file beside a new one.

    Raises:
        OSError: one of them cannot be written. All old files are then unchanged.
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
    """Remove temporary files of interrupted writes from before ``older_than`` (seconds since 1970)."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process has just renamed it
            if path.stat().st_mtime < older_than:
                path.unlink()
