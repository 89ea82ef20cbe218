"""The processes of a training, its ranks, and what they ask each other. :mod:`.launch` says how they meet.

:class:`Ranks` is one process alone: every method does its plain part, and no other process is asked. Several are a
:class:`.shared_ranks.SharedRanks`. All go through the same code; rank 0 alone records, writes, logs and evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from spacetime_env.config import ConfigError

T = TypeVar("T")


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

    def finish_gradients(self, network: nn.Module, most: float, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Replace the gradients by their means over all ranks, and shorten them to the norm ``most``.

        Args:
            terms: losses, scalar tensors by name.

        Returns:
            The means of ``terms`` over all ranks, and ``gradient_norm`` before the gradients were shortened. What is
            nan or inf in one rank is so in all.
        """
        return terms | {"gradient_norm": torch.nn.utils.clip_grad_norm_(network.parameters(), most)}

    def random_states(self) -> list[dict[str, Tensor]]:
        """The states of the random numbers of each rank; [] for one process alone."""
        return []


def random_state() -> dict[str, Tensor]:
    """The state of torch's random numbers, on the CPU and, where this process uses one, on its GPU."""
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {})


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """Go on drawing from a state of :meth:`Ranks.random_states`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["cuda"])
