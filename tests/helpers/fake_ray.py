"""A stand-in for the module ``ray`` that runs tasks in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any


class Lost(Exception):
    """A worker that was killed."""


class NoMemory(Exception):
    """A worker that Ray killed, since its machine ran out of memory."""


class Other(Exception):
    """Other losses."""


class FakeRay:
    """The part of the module ``ray`` that the pool uses; what it was told is in ``said``."""

    exceptions = SimpleNamespace(
        WorkerCrashedError=Lost, OutOfMemoryError=NoMemory, NodeDiedError=Other, ObjectLostError=Other
    )

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.resources = {"CPU": 4.0}
        self.stopped = threading.Event()
        self.threads = ThreadPoolExecutor(2)

    def init(self, address: str, **options: Any) -> None:
        self.said["init"] = (address, options)

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [gone, {"Alive": True, "Resources": self.resources}, {"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        self.said["task"] = options
        return lambda function: SimpleNamespace(remote=lambda *words: self.threads.submit(function, *words))

    def wait(self, references: list[Future[Any]], timeout: float) -> tuple[list[Future[Any]], list[Future[Any]]]:
        done, others = wait(references, timeout, "FIRST_COMPLETED")
        return [*done], [*others]

    def get(self, reference: Future[Any]) -> Any:
        try:
            return reference.result()
        except (Lost, NoMemory, Other):
            raise
        except Exception as error:
            pages = RuntimeError("ray::work (pid=7)\n  File ...")
            pages.cause = error  # type: ignore[attr-defined]
            raise pages from None

    def cancel(self, reference: Future[Any], force: bool) -> None:
        assert not force
        self.stopped.set()

    def shutdown(self) -> None:
        self.said["shutdown"] = True
        self.threads.shutdown()
