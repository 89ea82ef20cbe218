"""What the commands share: exit statuses, and their messages."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from spacetime_env.commands.command_line import RESUMES, exit_status, positive
from spacetime_env.training.loop import Interrupted, TrainingError


def failing(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(("answer", "status"), [(None, 0), (0, 0), (3, 3), ([1.5], 0), ("a", 0)])
def test_an_integer_is_the_exit_status(answer: object, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("x.py", lambda: answer) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("no such game."), 2, "x.py: no such game.\n"),
        (TrainingError("NaN after step 3."), 2, "x.py: NaN after step 3.\n"),
        (Interrupted("stopped at step 3."), 130, "x.py: stopped at step 3.\n"),
        (FileNotFoundError(2, "No such file", "a/b"), 2, "x.py: a/b: No such file. HINT\n"),
        (FileNotFoundError(2, "No such file", "y" * 201), 2, f"x.py: {'y' * 200}...: No such file. HINT\n"),
        (OSError("not a picture."), 2, "x.py: not a picture. HINT\n"),
        (KeyboardInterrupt(), 130, "\nx.py: stopped. HINT\n"),
    ],
)
@pytest.mark.parametrize("resumes", [False, True])
def test_errors_are_one_line(
    error: BaseException, status: int, said: str, resumes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = exit_status("x.py", failing(error), errors=(TrainingError,), failed=2, resumes=resumes)
    assert found == status
    assert capsys.readouterr().err == said.replace(" HINT", f" {RESUMES}" if resumes else "")


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(TrainingError, match="who asked"):
        exit_status("x.py", failing(TrainingError("who asked")))


@pytest.mark.parametrize("word", ["0", "-1", "1.5", "x", "", "+3", "1e3"])
def test_only_whole_numbers_from_1_are_positive(word: str) -> None:
    assert positive("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number, 1 or more, got"):
        positive(word)
