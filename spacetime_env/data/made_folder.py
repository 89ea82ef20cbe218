"""A folder of pictures that a command makes, and goes on with when it is called again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from spacetime_env.data.meta import DatasetError, read_yaml, save
from spacetime_env.files import shown_path, shown_text
from spacetime_env.locks import LOCK, HeldError, hold

VERSIONS = "versions"  # the key of what is written down and not compared


@contextmanager
def made_folder(folder: Path, file: str, asked: Mapping[str, Any]) -> Iterator[None]:
    """Hold a folder, made if it is missing, that has what is asked for, or is empty.

    Args:
        folder: of the splits.
        file: in it, which says how the pictures are made; written if it is missing.
        asked: its content; :data:`VERSIONS` in it are not compared.

    Raises:
        DatasetError: the folder was made with other settings or holds other things, cannot be written to, or another
            process writes into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {shown_path(folder)}: {error.strerror}.") from None
    try:
        lock = hold(folder)
    except HeldError as error:
        raise DatasetError(f"{error} Wait for it, or give another folder with --out.") from None
    with lock:
        _require_same(folder, file, asked)
        yield


def few(size: int) -> int:
    """How many pictures, or clips, a validation or test split has beside a training split of ``size``."""
    return min(max(size // 8, 16), 512)


def _require_same(folder: Path, file: str, asked: Mapping[str, Any]) -> None:
    """Write the file, or compare it with what is asked for."""
    path = folder / file
    if not path.exists():
        others = sorted(one.name for one in folder.iterdir() if one.name != LOCK and not one.name.startswith("."))
        if others:
            raise DatasetError(f"{shown_path(folder)} holds {others[0]} and no {file}: give a new or an empty folder.")
        save(path, yaml.safe_dump(dict(asked), sort_keys=False).encode())
    found = read_yaml(path, "", f"Delete the folder {shown_path(folder)} and make it again.")
    kept = {key: value for key, value in found.items() if key != VERSIONS} if isinstance(found, dict) else found
    wanted = {key: value for key, value in asked.items() if key != VERSIONS}
    if kept != wanted:
        then, now = shown_text(str(kept), 500), shown_text(str(wanted), 500)
        raise DatasetError(
            f"{shown_path(folder)} was made with other settings: {then} then, {now} now. Ask for the same, or give "
            "another folder with --out."
        )
