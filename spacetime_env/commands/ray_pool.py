"""Work as Ray tasks, on this machine or on many: an executor as those of :mod:`concurrent.futures`.

Ray is imported only when a :class:`RayPool` is made. A task runs in the directory of the command, so relative paths
mean the same everywhere; what it reads and writes must lie on a disk that all machines share. A task whose worker is
lost (killed, out of memory, its machine gone) is begun again, some times. What a task had saved is then still there.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from typing import Any, TypeVar

from tqdm import tqdm

from spacetime_env.commands.ray_cluster import ClusterError, connected, first_line

T = TypeVar("T")

RETRIES = 3  # so often is a task begun again after its worker was lost
PAUSE = 10.0  # seconds, times the workers lost so far, before work that ran out of memory is begun again
PATIENCE = 60.0  # seconds that stopped tasks have to save what they have


def add_ray(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--ray [ADDRESS]`` to a command line: None without it, ``""`` without an address.

    Args:
        what: the beginning of its help.
    """
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        type=_address,
        metavar="ADDRESS",
        help=f"{what}; ADDRESS is that of a cluster, such as 10.0.0.1:6379, or auto for one that runs here (default: a "
        "node of its own, on all cores of this machine). All machines share the directory of the command. Needs the "
        "extra ray",
    )


def _address(word: str) -> str:
    """A type for argparse: a setting that stands behind ``--ray`` is no address.

    Raises:
        argparse.ArgumentTypeError: it is a setting.
    """
    if "=" in word:
        raise argparse.ArgumentTypeError(
            f"expected the address of a cluster, such as auto or 10.0.0.1:6379, or nothing, got {word!r}; put settings "
            "before --ray"
        )
    return word


@dataclass
class _Job:
    """A task and what becomes of it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any]
    losses: int = 0  # workers lost so far


class RayPool(Executor):
    """Runs functions as Ray tasks. As a context manager it stops what is still running, and leaves Ray, at the end.

    Args:
        address: ``""``: a node of our own, which ends with this process; ``auto``: the cluster that runs on this
            machine; otherwise the address of a cluster's head, such as ``10.0.0.1:6379``.
        threads: of each task, and so the cores that Ray counts for it.
        gpus: of each task.

    Raises:
        ClusterError: Ray is not installed, no cluster answers, or none of its machines has what a task needs.
    """

    def __init__(self, address: str = "", threads: int = 1, gpus: int = 0) -> None:
        self._ray = connected(address)
        self._jobs: dict[Any, _Job] = {}  # by the reference to the task's answer
        self._closed = False
        self._changed = threading.Condition()
        cores = self._most("CPU")
        if gpus and not self._most("GPU"):
            self._ray.shutdown()
            raise ClusterError(
                "a run asks for a GPU (train.device), and no machine of the Ray cluster has one. Leave "
                "train.device=cpu, or give the address of another cluster."
            )
        self._task = self._ray.remote(
            num_cpus=min(threads, cores),  # more than any machine has would wait forever
            num_gpus=gpus,
            max_retries=0,  # Ray would retry silently, and after too little memory without end
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )(_in_folder)
        self._watcher = threading.Thread(target=self._watch, name="ray-pool", daemon=True)
        self._watcher.start()

    def _most(self, resource: str) -> float:
        """How much of a resource the best machine has."""
        return max((node["Resources"].get(resource, 0) for node in self._ray.nodes() if node["Alive"]), default=0)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As of :class:`concurrent.futures.Executor`, without keyword arguments. Function and arguments are pickled.

        The future raises what the function raised, or :class:`ClusterError`.
        """
        assert not kwargs, "give arguments by place"
        job = _Job(fn, args, Future())
        job.future.set_running_or_notify_cancel()
        self._begin(job)
        return job.future

    def _begin(self, job: _Job, pause: float = 0.0) -> None:
        reference = self._task.remote(os.getcwd(), job.function, job.arguments, pause)
        with self._changed:
            self._jobs[reference] = job
            self._changed.notify()

    def _watch(self) -> None:
        """Hand answers on as they come, until the pool is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    return
                references = [*self._jobs]
            for reference in self._ray.wait(references, timeout=0.2)[0]:
                job = self._jobs[reference]
                try:
                    self._settle(job, reference)
                except BaseException as error:
                    job.future.set_exception(_plain(error))
                with self._changed:
                    del self._jobs[reference]

    def _settle(self, job: _Job, reference: Any) -> None:
        """Give a task's answer to its future; or begin the task again, if its worker was lost."""
        known = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except (known.WorkerCrashedError, known.NodeDiedError, known.OutOfMemoryError, known.ObjectLostError) as error:
            full = isinstance(error, known.OutOfMemoryError)
            why = "its machine ran out of memory" if full else "killed, or out of memory"
            if self._closed:
                raise CancelledError from None
            if job.losses == RETRIES:
                raise ClusterError(
                    f"{RETRIES + 1} Ray workers were lost with the same work ({why}). What is saved is kept. Give the "
                    "machines more memory or fewer cores to share it, then run the same command again."
                ) from None
            job.losses += 1
            _say(f"a Ray worker was lost ({why}); what it did is taken up again, try {job.losses + 1} of {RETRIES + 1}")
            self._begin(job, PAUSE * job.losses if full else 0.0)
        else:
            job.future.set_result(answer)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop what is running, as Ctrl-C does, so that it saves; then leave Ray.

        Args:
            wait: for what is running; at most a minute, if it is stopped.
            cancel_futures: stop it; otherwise it runs to its end.
        """
        with self._changed:
            self._closed = True
            running = [(reference, job.future) for reference, job in self._jobs.items()]
            self._changed.notify()
        try:
            if cancel_futures:
                for reference, _ in running:
                    self._ray.cancel(reference, force=False)
                if running and wait:
                    _say(f"waiting for {len(running)} Ray tasks to save what they have, at most {PATIENCE:.0f} s")
            if wait:
                wait_for([future for _, future in running], PATIENCE if cancel_futures else None)
        finally:
            self._ray.shutdown()

    def __exit__(self, *error: object) -> None:
        self.shutdown(cancel_futures=True)


def _in_folder(folder: str, function: Callable[..., Any], arguments: tuple[Any, ...], pause: float) -> Any:
    """What a task does: call a function in the directory of the command, after ``pause`` seconds."""
    time.sleep(pause)
    done = threading.Event()
    threading.Thread(target=_end_with_ray, args=(os.getppid(), done), daemon=True).start()
    try:
        return _call(folder, function, arguments)
    finally:
        done.set()


def _end_with_ray(parent: int, done: threading.Event, every: float = 1.0) -> None:
    """End this process with Ray's, which started it: it would go on for a minute, and hold its run that long."""
    while not done.wait(every):
        if os.getppid() != parent:
            os._exit(1)


def _call(folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        os.chdir(folder)
    except OSError as error:
        raise ClusterError(
            f"{socket.gethostname()} has no directory {folder} ({error.strerror}): start the command in a directory "
            "that all machines of the cluster share."
        ) from None
    return function(*arguments)


def _plain(error: BaseException) -> BaseException:
    """What a task raised, without Ray's pages around it; errors that are not written for users become a sentence."""
    cause = getattr(error, "cause", None) or error
    if type(cause).__name__ == "TaskCancelledError" or isinstance(cause, (KeyboardInterrupt, CancelledError)):
        return CancelledError()
    if isinstance(cause, MemoryError):
        return ClusterError("a Ray task ran out of memory. What is saved is kept.")
    if isinstance(cause, (ValueError, OSError)) or type(cause).__module__.startswith("spacetime_env."):
        return cause
    return ClusterError(f"a Ray task failed: {type(cause).__name__}: {first_line(cause)}")


def _say(sentence: str) -> None:
    tqdm.write(sentence, file=sys.stderr)
