"""A folder that one process holds while it writes into it. See :func:`hold`."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import socket
import sys
import time
import weakref
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

LOCK = "lock"  # the file in a folder that is locked; it says who holds the folder
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}  # what locking a file says where another process has locked it
_FAR = 1 << 30  # Windows locks bytes, and locked bytes cannot be read: this one is behind the text


class LockError(ValueError):
    """A folder that this process cannot hold; the message says why."""


class HeldError(LockError):
    """Another process holds the folder; the message says which."""


@dataclass(eq=False)
class Lock:
    """A folder that this process holds, see :func:`hold`. As a context manager it lets go at the end.

    Attributes:
        path: the locked file.
        file: its descriptor; -1: let go.
    """

    path: Path
    file: int

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in, and remove the file. Doing so twice changes nothing."""
        if self.file < 0:
            return
        file, self.file = self.file, -1
        if os.name != "nt" and _is(self.path, file):
            self.path.unlink(missing_ok=True)  # before it is unlocked, so that nobody else holds it
        os.close(file)
        if os.name == "nt":  # an open file cannot be removed there, nor can one that another process has opened
            with contextlib.suppress(OSError):
                self.path.unlink()


def hold(folder: Path, wait: float = 0.0) -> Lock:
    """Keep other processes out of ``folder``, until the lock is closed or this process ends, however it ends.

    On a file system without locks every process gets in.

    Args:
        folder: it is there. The file ``lock`` in it says who holds it: process, machine, command, and since when.
        wait: seconds to wait for another process.

    Raises:
        HeldError: another process holds it.
        LockError: the lock's file cannot be made.
    """
    path, end = folder / LOCK, time.monotonic() + wait
    while True:
        lock = _try_to_lock(path)
        if lock is not None:
            break
        if time.monotonic() >= end:
            raise HeldError(f"{folder} is in use by {_holder(path)}. Wait for it, stop it, or give another folder.")
        time.sleep(0.05)
    about = {
        "pid": os.getpid(),
        "machine": socket.gethostname(),
        "since": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
        "command": shlex.join(sys.orig_argv),
    }
    with contextlib.suppress(OSError):  # on a full disk it is locked, and does not say by whom
        os.ftruncate(lock.file, 0)
        os.write(lock.file, json.dumps(about).encode())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(_leave_to_parent, weakref.ref(lock)))
    return lock


def _leave_to_parent(own: weakref.ref[Lock]) -> None:
    """In a forked child: the lock stays the parent's alone, and ends with it."""
    lock = own()
    if lock is not None and lock.file >= 0:
        os.close(lock.file)
        lock.file = -1


def _try_to_lock(path: Path) -> Lock | None:
    """The lock of a file, which is made if it is missing; None if another process has locked it."""
    while True:
        try:
            # A link is not followed, since the file that is opened is written.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            file = os.open(path, flags, 0o666)
        except OSError as error:
            raise LockError(
                f"cannot write into {path.parent}: making the file {path.name} failed ({error.strerror}). "
                "Give another folder, or make this one writable."
            ) from None
        try:
            _lock_file(file)
        except OSError as error:
            if error.errno in _HELD:
                os.close(file)
                return None
        if _is(path, file):
            return Lock(path, file)
        os.close(file)  # its holder removed it meanwhile


def _lock_file(file: int) -> None:
    """Lock a file; OSError if that cannot be done."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is(path: Path, file: int) -> bool:
    """Whether ``path`` is still the file that is open."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    """Who holds a lock, in words, from its file."""
    try:
        with open(path, "rb") as file:
            about = json.loads(file.read(10_000))
        command = "".join(char if char.isprintable() else "?" for char in str(about["command"])[:300])
        machine = f" on {about['machine']}" if about["machine"] != socket.gethostname() else ""
        return f"process {int(about['pid'])}{machine} since {str(about['since'])[:19]}: {command}".rstrip(".")
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
