"""Ctrl-C as a request, and who is left alone."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from spacetime_env.interrupt import Interrupt


def test_the_first_ctrl_c_waits_and_the_second_does_not() -> None:
    with Interrupt(signal.SIGINT) as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_several_signals_and_a_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """The first of any of them; after it, all have their usual effects."""
    with Interrupt(signal.SIGINT, signal.SIGTERM, notice="stopping") as interrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.asked and capsys.readouterr().out == "stopping\n"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_without_a_signal_all_is_as_before() -> None:
    with Interrupt(signal.SIGINT, signal.SIGTERM) as interrupt:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert not interrupt.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_who_handles_ctrl_c_already_is_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt(signal.SIGINT):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    errors = []

    def inside() -> None:
        try:
            with Interrupt(signal.SIGINT):
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert errors == []
