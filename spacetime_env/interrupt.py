"""Ctrl-C as a request: what is under way is finished and saved before the program ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_Handler = Callable[[int, FrameType | None], Any] | int | None


class Interrupt:
    """Within its block the first signal sets :attr:`asked`, and the second one has its usual effect.

    So a loop can finish its step, save it and stop. In a thread, which Python gives no signals, and where someone else
    handles or ignores a signal, nothing changes.

    Attributes:
        asked: a signal came.

    Args:
        *signals: such as ``signal.SIGINT``, which Ctrl-C sends.
        notice: printed at the first signal.
        patient: the second signal has no effect either, nor one after the block, if the first came within it. So it
            is where one Ctrl-C sends two.
    """

    def __init__(self, *signals: signal.Signals, notice: str = "", patient: bool = False) -> None:
        self.asked = False
        self._signals, self._notice, self._patient = signals, notice, patient
        self._before: dict[signal.Signals, _Handler] = {}  # the handlers that ours stand in for

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._patient:
            self._before = dict.fromkeys(self._before, signal.SIG_IGN)
        else:
            self._restore()
        if self._notice:
            print(self._notice)

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
