"""One case in this process: limits, a watch on what it does, and a verdict.

Verdicts:

- ``ok``: it was loaded and used.
- ``refused``: an error of ours. That is one whose class is defined in ``spacetime_env`` or is among those that the
  entry point documents, that a ``raise`` statement in ``spacetime_env`` raised, and whose message is of at most
  LONGEST letters.
- ``foreign``: any other error.
- ``hang``: it took more than SECONDS: of computing, or of waiting.
- ``memory``: the process grew by more than GROWTH bytes, or an allocation failed at that limit, whatever was then said.
- ``code``: it imported what the file names, ran code or a program, unpickled, opened a connection, or read or wrote a
  file outside the folder of the case.
- ``crash``: the process died. Only its parent can say so.
"""

from __future__ import annotations

import contextlib
import dis
import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from benchmarks.fuzz.values import CANARY, OUTSIDE

GROWTH = 2 * 2**30  # bytes
SECONDS = 10.0
BUSY = 6  # a machine may be so many times slower for the other things that it does
LONGEST = 2_000  # letters of a message
PACKAGE = str(Path(__file__).parents[2] / "spacetime_env") + os.sep
BAD = ("foreign", "hang", "memory", "code", "crash")
# What a failed allocation says, in Python, numpy, torch, OpenCV and the C library.
NO_MEMORY = (
    "MemoryError",
    "can't allocate memory",
    "Unable to allocate",
    "Failed to allocate",
    "Cannot allocate memory",
)
PROGRAMS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "pty.spawn")
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
# Modules that the package itself imports by name while it loads something.
EXPECTED = ("spacetime_env", "stable_baselines3", "sb3_contrib")


class Hang(BaseException):
    """Raised by the alarm: no ``except Exception`` takes it for an error of the file."""


@dataclass
class Verdict:
    """What became of a case."""

    verdict: str
    error: str = ""  # class and message
    where: str = ""  # the innermost line of the package on the way to the error
    growth: int = 0  # bytes
    did: list[str] = field(default_factory=list)  # what the watch noted


class Watch:
    """Notes what no file may make a program do; see :data:`sys.addaudithook`. It stays for the rest of the process."""

    def __init__(self, home: Path) -> None:
        self.home = str(home) + os.sep
        self.cases = ""  # the folder of the case
        self.on = False
        self.noted: list[str] = []
        self._known = {name.partition(".")[0] for name in sys.modules} - {CANARY}
        self._import = importlib.import_module
        sys.addaudithook(self._hear)
        importlib.import_module = self._imported

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(*args[:3])
        elif event == "import":
            if str(args[0]).partition(".")[0] not in self._known:
                self.noted.append(f"import {str(args[0])[:80]}")
        elif event.startswith(PROGRAMS):
            self.noted.append(f"{event} {str(args)[:80]}")
        elif event == "pickle.find_class":
            self.noted.append(f"pickle {'.'.join(map(str, args))[:80]}")
        elif event == "exec" and self.home in getattr(args[0], "co_filename", ""):
            self.noted.append(f"exec {args[0].co_filename}")
        elif event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.")):
            self.noted.append(f"{event} {str(args[1:])[:80]}")
        elif event.startswith(CHANGES) and args and isinstance(args[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(args[0]))
            if not path.startswith(self.home):
                self.noted.append(f"{event} {path[:80]}")

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, (str, bytes)):
            return
        name = os.path.abspath(os.fsdecode(path))
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if os.path.basename(name) == OUTSIDE or name == "/etc/passwd":
            self.noted.append(f"read {os.path.basename(name)}, which is outside")
        elif writes and not name.startswith((self.home, "/dev/null", "/proc/self/")):
            self.noted.append(f"write {name[:80]}")

    def _imported(self, name: str, package: str | None = None) -> Any:
        """As ``importlib.import_module``; notes a name that the package did not choose itself."""
        frame: FrameType | None = sys._getframe(1)
        ours = frame is not None and frame.f_code.co_filename.startswith(PACKAGE)
        if self.on and ours and str(name).partition(".")[0] not in EXPECTED:
            self.noted.append(f"import {str(name)[:80]}")
        return self._import(name, package)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[str]]:
        """Note what is done within."""
        self.noted = []
        self.on = True
        try:
            yield self.noted
        finally:
            self.on = False


def status(key: str) -> int:
    """Bytes that ``/proc/self/status`` tells."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def limit() -> None:
    """Let this process grow by GROWTH and no more."""
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + GROWTH, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(load: Callable[[], object], errors: tuple[type[BaseException], ...], watch: Watch) -> Verdict:
    """Load a case and say what happened."""

    began, computed = time.monotonic(), time.process_time()

    def late(number: int, frame: FrameType | None) -> None:
        used, passed = time.process_time() - computed, time.monotonic() - began
        if 0.05 * passed < used < SECONDS and passed < BUSY * SECONDS:
            signal.setitimer(signal.ITIMER_REAL, 1.0)  # it computes, but other programs had the cores
        else:
            raise Hang

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    previous = signal.signal(signal.SIGALRM, late)
    error: BaseException | None = None
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with watch.watching() as did:
            load()
    except BaseException as caught:
        error = caught
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    growth = max(0, status("VmHWM") - before)
    verdict = "ok" if error is None else verdict_of(error, errors)
    if growth > GROWTH or (error is not None and any(word in told(error) for word in NO_MEMORY)):
        verdict = "memory"
    if did:
        verdict = "code"
    if error is None:
        return Verdict(verdict, growth=growth, did=did)
    message = f"{type(error).__module__}.{type(error).__qualname__}: {str(error)[:300]}"
    return Verdict(verdict, message.removeprefix("builtins."), line_of(error), growth, did)


def verdict_of(error: BaseException, errors: tuple[type[BaseException], ...]) -> str:
    """Whether an error is an answer of ours."""
    if isinstance(error, Hang):
        return "hang"
    ours = type(error).__module__.startswith("spacetime_env.") or isinstance(error, errors)
    short = len(str(error)) <= LONGEST
    return "refused" if ours and short and raised_by_us(error.__traceback__) else "foreign"


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is in the package and stands at a ``raise`` statement.

    ``int("x")`` in a function of ours fails in our frame too, but at a call.
    """
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if not code.co_filename.startswith(PACKAGE):
        return False
    return any(one.offset == trace.tb_lasti and one.opname == "RAISE_VARARGS" for one in dis.get_instructions(code))


def line_of(error: BaseException) -> str:
    """The innermost line of the package on the way to the error: ``models/settings.py:read_settings``, and the line.

    Of an error that was raised from another in the package, that other's, which is where it began.
    """
    lines = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(PACKAGE)]
    if not lines:
        return "outside of the package"
    return f"{lines[-1].filename.removeprefix(PACKAGE)}:{lines[-1].lineno} {lines[-1].name}"


def told(error: BaseException) -> str:
    """Classes and messages of an error and of those that led to it."""
    parts, seen = [], set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        parts.append(f"{type(link).__name__}: {str(link)[:1000]}")
        link = link.__cause__ or link.__context__
    return "; ".join(parts)
