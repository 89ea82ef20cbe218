"""What the commands share: exit statuses, types of arguments, and a command line as cards show it."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence

from spacetime_env.files import shown_path
from spacetime_env.files.shown import relative

RESUMES = "What is saved is kept; the same command resumes it."


def exit_status(
    name: str,
    command: Callable[[], object],
    *,
    errors: tuple[type[Exception], ...] = (),
    failed: int = 1,
    resumes: bool = False,
) -> int:
    """Run a command, and print an error of it as one line on stderr, without a traceback.

    Args:
        name: of the command; the line begins with it.
        command: runs it. An integer that it returns is the exit status.
        errors: what is caught besides ValueError and OSError.
        failed: the exit status after an error. An error may have its own, as ``exit_status``.
        resumes: whether the same command goes on after it was stopped. This is said after Ctrl-C and file errors.

    Returns:
        The exit status: 0 if the command is done, ``failed`` after an error, 130 after Ctrl-C.
    """
    hint = f" {RESUMES}" if resumes else ""
    expected: tuple[type[Exception], ...] = (ValueError, *errors)
    try:
        answer = command()
        return answer if isinstance(answer, int) else 0
    except KeyboardInterrupt:
        print(f"\n{name}: stopped.{hint}", file=sys.stderr)  # on a new line: the terminal shows ^C
        return 130
    except OSError as error:
        named = error.filename and error.strerror
        reason = f"{shown_path(error.filename)}: {error.strerror}." if named else str(error)
        print(f"{name}: {reason}{hint}", file=sys.stderr)
        return failed
    except expected as error:
        print(f"{name}: {error}", file=sys.stderr)
        return getattr(error, "exit_status", failed)


def positive(word: str) -> int:
    """A whole number, 1 or more: a type for argparse."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {word!r}")
    return int(word)


def shown(*start: str, words: Sequence[str]) -> str:
    """A command as one line of a shell, for others to read: every absolute path is replaced.

    A path below the current directory becomes a relative one. Of any other path only the last part stays:
    ``/home/me/runs/a`` becomes ``path/to/a``.

    Args:
        *start: the beginning of the command, such as ``"python", "train_agent.py"``.
        words: its arguments. Paths are also found in ``key=/path``, ``name:/path`` and ``one+/path``.

    >>> shown("python", "x.py", words=["--out", "/home/me/runs/a", "data.root=/big/data", "seed=1"])
    'python x.py --out path/to/a data.root=path/to/data seed=1'
    """
    return shlex.join([*start, *(_relative(word) for word in words)])


def _relative(word: str) -> str:
    if os.path.isabs(word):
        return relative(word)
    if "://" in word:  # an address
        return word
    return "".join(relative(part) if os.path.isabs(part) else part for part in re.split(r"(?<=[=:+,])", word))
