"""The processes of a training, its ranks, and what they ask each other. :mod:`.launch` says how they meet.

:class:`Ranks` is one process alone: every method does its plain part, and no other process is asked. Several are a
:class:`SharedRanks`. All of them go through the same code; rank 0 alone records, writes, logs and evaluates.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from spacetime_env.config import ConfigError

T = TypeVar("T")
_TEXT = 1000  # bytes of an error's message that other ranks hear
_LOST = (
    "another process of this training has ended, or cannot be reached any more, so this one stops too. If the other "
    "one had an error, it said so. The checkpoints are kept; the same command resumes."
)


class RankError(RuntimeError):
    """The processes cannot train together (any more); the message says why."""


class Told(RankError):
    """An error of the training that rank 0 reports, in another rank: that one ends without a word.

    Attributes:
        exit_status: of the command.
    """

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Ranks:
    """The processes of a training: here, this one alone.

    Attributes:
        rank: the number of this process, from 0.
        size: how many processes there are.
        main: this is rank 0.
        local, on_machine: the number of this process among those of its machine, and their count.
    """

    def __init__(self, rank: int = 0, size: int = 1, local: int = 0, on_machine: int = 1) -> None:
        self.rank, self.size, self.local, self.on_machine = rank, size, local, on_machine
        self.main = rank == 0

    def threads(self, asked: int) -> int:
        """The threads of this process: those asked for are shared out among the processes of a machine."""
        return max(1, asked // self.on_machine)

    def require_batch(self, batch_size: int) -> None:
        """Refuse a number of stacks that cannot be shared out evenly.

        Raises:
            ConfigError: naming numbers that can.
        """
        if batch_size % self.size:
            less = batch_size // self.size * self.size
            sizes = f"{less} or {less + self.size}" if less else f"{self.size}"
            counts = ", ".join(str(n) for n in range(1, self.size) if batch_size % n == 0)
            raise ConfigError(
                f"train.batch_size: a batch of {batch_size} stacks cannot be shared out evenly among {self.size} "
                f"processes. Give train.batch_size={sizes}, or start another number of processes: {counts}."
            )

    def use(self, device: str) -> None:
        """Let ``train.device`` be the GPU of this process, if it is a GPU."""

    def quiet(self) -> AbstractContextManager[None]:
        """A block in which only rank 0 prints."""
        return nullcontext()

    def each(self, work: Callable[[], T]) -> T:
        """What ``work`` returns in this process, after all have done it. An error in one of them is an error in all."""
        return work()

    def only(self, work: Callable[[], T]) -> T | None:
        """Let rank 0 do ``work`` while the others wait. They get None, and its error as :class:`Told`.

        Afterwards all draw the random numbers that rank 0 would draw.
        """
        return work()

    def first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do ``work``, then the others, who find what it wrote."""
        return work()

    def number(self, work: Callable[[], float]) -> float:
        """As :meth:`only`, and all get the number that ``work`` returns in rank 0."""
        return work()

    def told(self, error: Exception) -> Exception:
        """An error that all ranks have, as this one raises it."""
        return error

    def part(self, index: np.ndarray) -> np.ndarray:
        """This rank's part of a batch: of its ``index``, (n,) or (n, 2) with the game first, see ``Examples.batch``."""
        return index

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in at least one rank."""
        return flag

    def same(self, network: nn.Module) -> None:
        """Give all ranks the weights and buffers of rank 0."""

    def mean(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """The means over all ranks of scalar tensors. What is nan or inf in one rank is so in all."""
        return terms

    def clip_gradients(self, network: nn.Module, most: float) -> Tensor:
        """Replace the gradients by their means over all ranks, and shorten them to the norm ``most``.

        Returns:
            Their norm before they were shortened.
        """
        return torch.nn.utils.clip_grad_norm_(network.parameters(), most)

    def random_states(self) -> list[dict[str, Tensor]]:
        """The states of the random numbers of each rank; [] for one process alone."""
        return []


class SharedRanks(Ranks):
    """Several processes. torch's default group connects them; it must know how to send CPU tensors.

    All ranks must call the same methods in the same order. Each raises :class:`RankError` if another rank is gone.
    """

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all ranks; they have the same shape and type."""
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(found, tensor.detach().contiguous())
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of the tensors of all ranks, which takes the place of ``tensor``; the same bits in all."""
        with self._connected():
            dist.all_reduce(tensor)
        return tensor

    def same(self, network: nn.Module) -> None:
        with self._connected(), torch.no_grad():
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    def use(self, device: str) -> None:
        kind, _, number = device.partition(":")
        if kind != "cuda":
            return
        if number:
            raise ConfigError(
                f"train.device: {device!r} is one GPU, and each of the {self.size} processes needs one of its own. "
                "Give train.device=cuda."
            )
        if (count := torch.cuda.device_count()) <= self.local:
            raise ConfigError(
                f"train.device: this machine has {count} GPUs that torch can use, and {self.on_machine} processes. "
                "Start one process for each GPU (torchrun --nproc-per-node), or give train.device=cpu."
            )
        torch.cuda.set_device(self.local)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        if self.main:
            yield
            return
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),  # where progress bars are
        ):
            yield

    def each(self, work: Callable[[], T]) -> T:
        error, result = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        self._agree(error)
        return result  # type: ignore[return-value]

    def only(self, work: Callable[[], T]) -> T | None:
        result = self.each(lambda: work() if self.main else None)
        set_random_state(self.random_states()[0])
        return result

    def first(self, work: Callable[[], T]) -> T:
        result = self.only(work)
        others = self.each(lambda: None if self.main else work())
        return result if self.main else others  # type: ignore[return-value]

    def number(self, work: Callable[[], float]) -> float:
        result = self.only(work)
        return self.gather(torch.tensor(result or 0.0, dtype=torch.float64))[0].item()

    def told(self, error: Exception) -> Exception:
        return error if self.main else Told(str(error), getattr(error, "exit_status", 1))

    def part(self, index: np.ndarray) -> np.ndarray:
        if index.ndim > 1:  # the stacks of a game are put side by side, so that is the order of the whole batch
            index = index[np.argsort(index[:, 0], kind="stable")]
        each = len(index) // self.size
        return index[self.rank * each : (self.rank + 1) * each]

    def any(self, flag: bool) -> bool:
        return any(one.item() for one in self.gather(torch.tensor(flag)))

    def mean(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        found = torch.stack(self.gather(torch.stack([term.float() for term in terms.values()])))
        return dict(zip(terms, found.mean(dim=0).unbind(), strict=True))

    def clip_gradients(self, network: nn.Module, most: float) -> Tensor:
        """One sum over all ranks, in one flat tensor.

        A parameter that no rank has a gradient for keeps none, as in one process; otherwise a missing one is 0.
        """
        parameters = list(network.parameters())
        there = torch.tensor([p.grad is not None for p in parameters], device=parameters[0].device)
        pieces = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
        flat = self.sum(torch.cat([*pieces, there.to(pieces[0].dtype)])) / self.size
        *means, counts = flat.split([*map(len, pieces), len(parameters)])
        gradient = flat[: len(flat) - len(parameters)]
        norm = torch.stack([mean.norm() for mean in means]).norm()  # of each first: a long sum of float32 is less exact
        gradient *= (most / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
        for parameter, mean, count in zip(parameters, means, counts.tolist(), strict=True):
            parameter.grad = mean.view_as(parameter) if count else None
        return norm

    def random_states(self) -> list[dict[str, Tensor]]:
        own = _random_state()
        each = {name: self.gather(state) for name, state in own.items()}
        return [{name: states[rank] for name, states in each.items()} for rank in range(self.size)]

    def _agree(self, error: Exception | None) -> None:
        """Raise in all ranks if one has an error: its own, and in the others one that says what it is."""
        said = _message(error).encode()[:_TEXT] if error is not None else b""
        text = torch.zeros(_TEXT, dtype=torch.uint8)
        text[: len(said)] = torch.frombuffer(bytearray(said), dtype=torch.uint8) if said else 0
        found = [bytes(one.tolist()).rstrip(b"\0").decode(errors="ignore") for one in self.gather(text)]
        failed = next((rank for rank, one in enumerate(found) if one), None)
        if failed is None:
            return
        if error is not None and (self.main or not isinstance(error, (ValueError, OSError, RankError))):
            raise error  # one that nobody foresaw shows its traceback, wherever it is
        what = RankError(f"process {failed} of {self.size}: {found[failed]}")
        raise self.told(what) from error

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """A block that asks the other ranks."""
        try:
            yield
        except RuntimeError as error:
            # Two ranks say it, since rank 0 may be the one that is gone.
            raise RankError(_LOST) if self.rank < 2 else Told(_LOST) from error


def _message(error: Exception) -> str:
    """An error in words, never empty."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    foreseen = isinstance(error, (ValueError, RankError)) and str(error)
    return str(error) if foreseen else f"{type(error).__name__}: {error}"


def _random_state() -> dict[str, Tensor]:
    """The state of torch's random numbers, on the CPU and, where this process uses one, on its GPU."""
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {})


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Go on drawing from a state of :meth:`Ranks.random_states`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["cuda"])
