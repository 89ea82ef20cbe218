"""Files that are whole or not there, also on a disk that is really full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spacetime_env.files import sweep, write_atomically, write_together


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_bytes_and_functions(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", b"old")
    write_together({tmp_path / "a.txt": b"new", tmp_path / "b.txt": lambda path: path.write_text("by hand") and None})
    assert (tmp_path / "a.txt").read_bytes() == b"new" and (tmp_path / "b.txt").read_text() == "by hand"
    assert names(tmp_path) == {"a.txt", "b.txt"}


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_leaves_all_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    for name in "ab":
        (tmp_path / name).write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        write_together({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert {(tmp_path / name).read_text() for name in "ab"} == {"old"} and names(tmp_path) == {"a", "b"}


def test_the_second_file_does_not_fit(tmp_path: Path) -> None:
    """With a limit on a file's size in the place of a full disk: the first file is written, the second fails."""
    code = """
import resource, sys
from pathlib import Path
from spacetime_env.files import write_together
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_together({folder / "a": b"new", folder / "b": bytes(5000)})
except OSError as error:
    print(error.strerror)
"""
    for name in "ab":
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert {(tmp_path / name).read_text() for name in "ab"} == {"old"} and names(tmp_path) == {"a", "b"}


def test_what_a_crash_leaves_is_swept_when_it_is_old(tmp_path: Path) -> None:
    for name in (".a.1-ab.tmp", ".b.2-cd.tmp", "c.tmp", ".hidden"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (100, 100))
    os.utime(tmp_path / ".b.2-cd.tmp", (300, 300))
    sweep(tmp_path, older_than=200)
    assert names(tmp_path) == {".b.2-cd.tmp", "c.tmp", ".hidden"}
