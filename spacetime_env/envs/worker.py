"""A :class:`~spacetime_env.envs.block.Block` of environments in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import select
import signal
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from gymnasium.vector import AutoresetMode

from spacetime_env.envs.block import Block, Packed
from spacetime_env.envs.choose_model import UnseenWarning
from spacetime_env.envs.env import make_env
from spacetime_env.envs.observation import SceneForm

SPIN = 0.0005  # seconds
CLOSING = 2.0  # seconds that a process gets to end by itself, and again when it is told to
KILLED = 15.0  # seconds that a killed process may take to be gone


class WorkerError(RuntimeError):
    """A worker process failed, died or does not answer; the message holds what it said."""


def start_method(asked: str | None, model: Any) -> str:
    """How workers are started: ``fork`` if there is one and the model is on the CPU, else ``spawn``.

    Args:
        asked: of the user; None: choose.

    Raises:
        ValueError: a fork is asked for, and the model is on another device, which a forked process cannot use.
    """
    away = getattr(getattr(model, "device", None), "type", "cpu") != "cpu"
    if asked == "fork" and away:
        raise ValueError(f"a forked worker cannot use the model's device, {model.device}: leave context out.")
    fork = "fork" in multiprocessing.get_all_start_methods() and not away
    return asked or ("fork" if fork else "spawn")


class Remote:
    """A :class:`Block` in a process of its own.

    Calls are numbered, and an answer has the number of its call. So an answer that nobody waits for any more, because
    Ctrl-C or a limit ended the wait, is never taken for the answer to a later call.

    Args:
        start: how the process is started: ``"fork"``, ``"spawn"`` or ``"forkserver"``.
        game, count: it plays so many environments of this game.
        settings: autoreset_mode and max_episode_steps of the block.
        kwargs: of :func:`spacetime_env.envs.env.make_env`.
        others: the blocks that were started before.
        form: makes the scenes of ``info``; None leaves them out.
        class_names: of the model.
        timeout: seconds that an answer may take.
    """

    def __init__(
        self,
        start: str,
        game: str,
        count: int,
        settings: tuple[AutoresetMode, int | None],
        kwargs: dict[str, Any],
        others: Sequence[Any],
        form: SceneForm | None,
        class_names: Sequence[str],
        timeout: float,
    ) -> None:
        self.form = form
        self.class_names = class_names
        self.timeout = timeout
        context: Any = multiprocessing.get_context(start)
        self.pipe, theirs = context.Pipe()
        self._polled = _polled(self.pipe)
        # A forked worker holds copies of the pipes of those before it; open, they would hide that we are gone.
        inherited = [self.pipe, *(other.pipe for other in others)] if start == "fork" else []
        arguments = (theirs, inherited, game, count, settings, kwargs)
        self.process = context.Process(target=_work, args=arguments, daemon=True, name="SpaceTimeVectorEnv")
        with _one_cv2_thread() if start == "fork" else contextlib.nullcontext():
            self.process.start()
        theirs.close()
        self.number = 0  # of the last call; the process answers to 0 when it has made its environments

    def send(self, name: str, *args: Any) -> None:
        """Have a method of the block called; then :meth:`receive` gives what it returned."""
        self.number += 1
        try:
            self.pipe.send_bytes(pickle.dumps((self.number, name, args), pickle.HIGHEST_PROTOCOL))
        except OSError:
            raise self._died() from None

    def receive(self) -> Any:
        """What the last call returned; what it raised is raised here.

        Raises:
            WorkerError: the process died, or does not answer within ``timeout`` seconds.
        """
        number = -1
        while number != self.number:
            self._wait()
            try:
                number, kind, answer = pickle.loads(self.pipe.recv_bytes())
            except (EOFError, OSError):
                raise self._died() from None
        if kind == "error":
            raise answer
        return answer.unpack(self.form, self.class_names) if isinstance(answer, Packed) else answer

    def settle(self) -> None:
        """Wait until calls that nobody waits for any more are over."""
        self.send("ping")
        self.receive()

    def _wait(self) -> None:
        """Wait until there is something to read, or the process is gone."""
        _spin(self._polled)
        ready = self.pipe.poll(self.timeout) if self._polled is None else self._polled.poll(self.timeout * 1000)
        if not ready:
            raise WorkerError(
                f"a worker of SpaceTimeVectorEnv (process {self.process.pid}) has not answered for {self.timeout:g} s. "
                "It may be stopped, or the machine too busy. Close the environments, or give them a longer timeout."
            )

    def _died(self) -> WorkerError:
        self.process.join(1)
        return WorkerError(
            f"a worker of SpaceTimeVectorEnv died (exit code {self.process.exitcode}). A negative code is a signal: "
            "-9 often means that memory ran out; use fewer workers."
        )

    def close(self) -> None:
        """End the process, by force if it does not listen."""
        with contextlib.suppress(Exception):  # it may be dead already
            self.send("close")
        self.pipe.close()
        self.process.join(CLOSING)
        # A stopped process ends by kill alone; that none can refuse, but a busy machine takes its time.
        for by_force, patience in ((self.process.terminate, CLOSING), (self.process.kill, KILLED)):
            if self.process.is_alive():
                by_force()
                self.process.join(patience)


@contextlib.contextmanager
def _one_cv2_thread() -> Iterator[None]:
    """End OpenCV's threads for the moment: a fork would inherit a pool whose threads it does not have, and wait for
    them for ever as soon as it resizes a frame or changes their number."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _work(
    pipe: Connection,
    inherited: Sequence[Connection],
    game: str,
    count: int,
    settings: tuple[AutoresetMode, int | None],
    kwargs: dict[str, Any],
) -> None:
    """The life of a worker: make the environments, then do as told until told to close, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which then closes us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.simplefilter("ignore", UnseenWarning)  # the main process has told it
    for connection in inherited:
        connection.close()

    def answer(kind: str, content: Any) -> None:
        pipe.send_bytes(pickle.dumps((number, kind, content), pickle.HIGHEST_PROTOCOL))

    block: Block | None = None
    number = 0
    try:
        import cv2
        import torch

        torch.set_num_threads(1)  # a core each: more threads would only wait for each other
        cv2.setNumThreads(1)
        first = make_env(game, **kwargs)
        rest = [make_env(game, **{**kwargs, "model": first.model}) for _ in range(count - 1)]
        block = Block([first, *rest], *settings, packed=True)
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look through it again and again
        answer("done", None)
        polled = _polled(pipe)
        while True:
            _spin(polled)
            number, name, args = pickle.loads(pipe.recv_bytes())
            if name == "close":
                break
            if name == "ping":
                answer("done", None)
                continue
            try:
                result = getattr(block, name)(*args)
            except Exception as error:
                answer("error", _portable(error))
            else:
                answer("done", result)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Exception as error:
        answer("error", WorkerError(f"a worker of SpaceTimeVectorEnv failed:\n{_text(error)}"))
    finally:
        if block is not None:
            block.close()


def _polled(pipe: Connection) -> Any:
    """What :func:`_spin` asks; None where it cannot be asked quickly (Windows)."""
    if not hasattr(select, "poll"):
        return None
    polled = select.poll()
    polled.register(pipe.fileno(), select.POLLIN)
    return polled


def _spin(polled: Any) -> None:
    """Wait a little for something to read, awake: to be woken up takes a process a tenth of a step's time."""
    end = time.perf_counter() + SPIN
    while polled is not None and not polled.poll(0) and time.perf_counter() < end:
        os.sched_yield()  # another process that wants this core gets it


def _portable(error: Exception) -> Exception:
    """The error itself where it can be pickled and read again; otherwise its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_text(error))
    return error


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).strip()
