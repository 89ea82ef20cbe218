"""A folder is held by one process, and a message says by which."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spacetime_env import locks
from spacetime_env.locks import LOCK, LockError, hold

HOLDER = """
import os, sys, time
from pathlib import Path
from spacetime_env.locks import hold
lock = hold(Path(sys.argv[1]))
child = os.fork() if sys.argv[2] == "fork" else None
if child:
    print(child, flush=True)
elif child is None:
    print("held", flush=True)
time.sleep(60)
"""


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def started(folder: Path, how: str = "alone") -> tuple[subprocess.Popen[str], str]:
    """A process that holds ``folder``, and the line that it printed then."""
    script = folder.parent / "holder.py"
    script.write_text(HOLDER)
    process = subprocess.Popen([sys.executable, script, folder, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_the_second_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    tmp_path = made(tmp_path / "folder")
    process, _ = started(tmp_path)
    try:
        told = rf"is in use by process {process.pid} since \d{{4}}-\d\d-\d\d .*holder\.py .*alone\. Wait"
        with pytest.raises(LockError, match=told):
            hold(tmp_path)
    finally:
        process.kill()
        process.wait()
    with hold(tmp_path):  # it ended with its process, and the file that was left does no harm
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_outlives_its_parent_does_not_hold_it(tmp_path: Path) -> None:
    process, child = started(made(tmp_path / "folder"), "fork")
    try:
        process.kill()
        process.wait()
        hold(tmp_path / "folder", wait=1).close()
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_in_one_process_too_and_closing_lets_in(tmp_path: Path) -> None:
    first = hold(tmp_path)
    with pytest.raises(LockError, match=f"process {os.getpid()} "):
        hold(tmp_path)
    first.close()
    second = hold(tmp_path)
    first.close()  # again: the second's lock stays
    with pytest.raises(LockError):
        hold(tmp_path)
    second.close()
    assert not list(tmp_path.iterdir())


def test_waiting(tmp_path: Path) -> None:
    tmp_path = made(tmp_path / "folder")
    process, _ = started(tmp_path)
    began = time.monotonic()
    with pytest.raises(LockError):
        hold(tmp_path, wait=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    process.kill()
    process.wait()
    hold(tmp_path, wait=5).close()


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"pid": "x"}', '{"pid": 1, "since": 5}'])
def test_a_file_that_says_nothing_useful(tmp_path: Path, text: str) -> None:
    with hold(tmp_path) as lock:
        os.ftruncate(lock.file, 0)
        os.pwrite(lock.file, text.encode(), 0)
        with pytest.raises(LockError, match="is in use by another process"):
            hold(tmp_path)


def test_what_the_file_says_is_cut_and_cannot_control_a_terminal(tmp_path: Path) -> None:
    about = {"pid": 7, "since": "2026", "machine": "elsewhere", "command": "\x1b[2J" + "x" * 5000}
    with hold(tmp_path) as lock:
        os.ftruncate(lock.file, 0)
        os.pwrite(lock.file, json.dumps(about).encode(), 0)
        with pytest.raises(LockError, match=r"process 7 on elsewhere since 2026: \?\[2Jx+\. Wait") as caught:
            hold(tmp_path)
    assert len(str(caught.value)) < 600


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "valued").write_text("mine")
    (tmp_path / LOCK).symlink_to(tmp_path / "valued")
    with pytest.raises(LockError, match=r"cannot write into .*: making the file lock failed"):
        hold(tmp_path)
    assert (tmp_path / "valued").read_text() == "mine"


def test_a_read_only_file_system_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LockError, match=r"cannot write into .*Read-only file system.*Give another folder"):
        hold(tmp_path)


def test_a_file_system_without_locks_lets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_lock_file", none)
    with hold(tmp_path), hold(tmp_path):
        pass


def test_a_full_disk_does_not_keep_it_from_being_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with hold(tmp_path), pytest.raises(LockError, match="in use by another process"):
        hold(tmp_path)
