"""Sockets between the processes of a training that run on one machine, for tensors on CPUs.

A training step asks the other processes about ten times for a few numbers. Through gloo such a question takes 1.1 to
1.5 ms on two cores, since it wakes threads that sleep; a third of a step of Pong then goes into waiting. Here a process
looks for the answer itself, again and again for a moment, before it sleeps: 0.1 ms.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_LOOK = 0.005  # seconds without anything new after which a process sleeps until there is
_MEET = 60.0  # seconds for the processes to connect
_PATH = 500  # bytes of a folder's name


class Sockets:
    """One socket to each other process. All processes must call :meth:`gather` in the same order.

    Args:
        rank: the number of this process.
        others: by number of the process.
    """

    def __init__(self, rank: int, others: dict[int, socket.socket]) -> None:
        self.rank, self.others = rank, others
        for other in others.values():
            other.setblocking(False)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all processes; they have the same shape and type, and are on the CPU.

        Raises:
            ConnectionError: another process is gone.
        """
        own = tensor.detach().contiguous()
        found = [own if rank == self.rank else torch.empty_like(own) for rank in range(len(self.others) + 1)]
        if not own.nbytes:
            return found
        to_send = {rank: _bytes(own) for rank in self.others}
        to_come = {rank: _bytes(found[rank]) for rank in self.others}
        last = time.perf_counter()
        while to_send or to_come:
            if self._send(to_send) + self._receive(to_come):
                last = time.perf_counter()
            elif time.perf_counter() - last > _LOOK:
                self._sleep(to_send, to_come)
        return found

    def close(self) -> None:
        """Close all sockets."""
        for other in self.others.values():
            other.close()

    def _send(self, rest: dict[int, memoryview]) -> int:
        """Send what the sockets take now; ``rest`` is what is left. Returns a number of bytes."""
        count = 0
        for rank in list(rest):
            with contextlib.suppress(BlockingIOError):
                sent = self.others[rank].send(rest[rank])
                _cut(rest, rank, sent)
                count += sent
        return count

    def _receive(self, rest: dict[int, memoryview]) -> int:
        """Take what has come; ``rest`` is the memory for what is still to come. Returns a number of bytes."""
        count = 0
        for rank in list(rest):
            with contextlib.suppress(BlockingIOError):
                taken = self.others[rank].recv_into(rest[rank])
                if not taken:
                    raise ConnectionError(f"process {rank} is gone")
                _cut(rest, rank, taken)
                count += taken
        return count

    def _sleep(self, to_send: dict[int, memoryview], to_come: dict[int, memoryview]) -> None:
        """Wait until something can be sent or taken."""
        with selectors.DefaultSelector() as selector:
            for rank in {*to_send, *to_come}:
                write = selectors.EVENT_WRITE if rank in to_send else 0
                read = selectors.EVENT_READ if rank in to_come else 0
                selector.register(self.others[rank], write | read)
            selector.select()


def connect(rank: int, size: int, gather: Callable[[Tensor], list[Tensor]]) -> Sockets | None:
    """Connect the processes of one machine.

    Args:
        rank: the number of this process.
        size: how many there are.
        gather: gives the tensors of all processes, by other means.

    Returns:
        None in all processes if one of them cannot: its system has no such sockets, or no place for them.
    """
    with contextlib.ExitStack() as stack:
        place = ""
        if rank == 0:
            with contextlib.suppress(OSError):
                place = stack.enter_context(tempfile.TemporaryDirectory(prefix="ranks-"))
        place = text_of(gather(tensor_of(place, _PATH))[0])
        own = _listen(Path(place) / str(rank)) if place else None
        others: dict[int, socket.socket] | None = None
        if all(gather(torch.tensor(own is not None))) and own is not None:
            with contextlib.suppress(OSError):
                others = _meet(rank, size, Path(place), own)
        if own is not None:
            own.close()
        if all(gather(torch.tensor(others is not None))) and others is not None:
            return Sockets(rank, others)
    return None


def _listen(path: Path) -> socket.socket | None:
    """A socket that others can connect to; None where that cannot be."""
    try:
        own = socket.socket(socket.AF_UNIX)
        own.bind(str(path))
        own.listen(64)
        return own
    except (AttributeError, OSError):  # Windows; a path of more than 107 letters
        return None


def _meet(rank: int, size: int, folder: Path, own: socket.socket) -> dict[int, socket.socket]:
    """Connect to the processes with lower numbers, and wait for the others."""
    found = {}
    own.settimeout(_MEET)
    for lower in range(rank):
        found[lower] = socket.socket(socket.AF_UNIX)
        found[lower].connect(str(folder / str(lower)))
        found[lower].sendall(rank.to_bytes(4, "big"))
    for _ in range(rank + 1, size):
        other, _ = own.accept()
        other.settimeout(_MEET)
        found[int.from_bytes(other.recv(4), "big")] = other
    return found


def tensor_of(text: str, size: int) -> Tensor:
    """(size,) uint8: a text that is no longer, or the beginning of one that is."""
    return torch.frombuffer(bytearray(text.encode()[:size].ljust(size, b"\0")), dtype=torch.uint8)


def text_of(tensor: Tensor) -> str:
    """The text of :func:`tensor_of`."""
    return bytes(tensor.tolist()).rstrip(b"\0").decode(errors="ignore")


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor."""
    return tensor.view(-1).view(torch.uint8).numpy().data


def _cut(rest: dict[int, memoryview], rank: int, count: int) -> None:
    """Take the first bytes away, and the entry if nothing is left."""
    rest[rank] = rest[rank][count:]
    if not rest[rank]:
        del rest[rank]
