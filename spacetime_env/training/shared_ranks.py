"""Several processes as the ranks of a training: what :class:`.ranks.Ranks` promises, with questions to the others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from spacetime_env.config import ConfigError
from spacetime_env.training.ranks import RankError, Ranks, T, Told, random_state, set_random_state
from spacetime_env.training.sockets import Sockets, connect, tensor_of, text_of

_TEXT = 1000  # bytes of an error's message that other ranks hear
_MANY = 2**20  # bytes of a tensor; larger ones go through torch, since here each rank is sent all of them
_LOST = (
    "another process of this training has ended, or cannot be reached any more, so this one stops too. If the other "
    "one had an error, it said so. The checkpoints are kept; the same command resumes."
)


class SharedRanks(Ranks):
    """Several processes. torch's default group connects them; it must know how to send CPU tensors.

    All ranks must call the same methods in the same order. Each raises :class:`RankError` if another rank is gone.
    """

    def __init__(self, rank: int, size: int, local: int, on_machine: int) -> None:
        super().__init__(rank, size, local, on_machine)
        self.sockets: Sockets | None = None

    def __deepcopy__(self, memo: object) -> SharedRanks:
        return self  # a copy of a network has the same ranks

    @contextlib.contextmanager
    def connected(self) -> Iterator[SharedRanks]:
        """A block in which tensors on CPUs go through sockets, if all ranks are on one machine and it has such ones."""
        if self.on_machine == self.size > 1:
            self.sockets = connect(self.rank, self.size, self.gather)
        try:
            yield self
        finally:
            if self.sockets is not None:
                self.sockets.close()
                self.sockets = None

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensors of all ranks; they have the same shape and type."""
        if sockets := self._sockets_for(tensor):
            with self._asking():
                return sockets.gather(tensor)
        found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        with self._asking():
            dist.all_gather(found, tensor.detach().contiguous())
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of the tensors of all ranks, which takes the place of ``tensor``; the same bits in all."""
        if self._sockets_for(tensor):
            first, *others = self.gather(tensor)
            total = first.clone()
            for other in others:  # in the order of the ranks, so in the same one everywhere
                total += other
            return tensor.copy_(total)
        with self._asking():
            dist.all_reduce(tensor)
        return tensor

    def same(self, network: nn.Module) -> None:
        with self._asking(), torch.no_grad():
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

    def finish_gradients(self, network: nn.Module, most: float, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """One sum over all ranks, in one flat tensor.

        A parameter that no rank has a gradient for keeps none, as in one process; otherwise a missing one is 0.
        """
        parameters = list(network.parameters())
        there = torch.tensor([p.grad is not None for p in parameters], device=parameters[0].device)
        pieces = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
        losses = torch.stack([term.float() for term in terms.values()])
        flat = self.sum(torch.cat([*pieces, there.to(pieces[0].dtype), losses])) / self.size
        *means, counts, losses = flat.split([*map(len, pieces), len(parameters), len(losses)])
        gradient = flat[: len(flat) - len(parameters) - len(losses)]
        norm = torch.nn.utils.get_total_norm(means)  # of each first: a long sum of float32 is less exact
        gradient *= (most / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_
        for parameter, mean, count in zip(parameters, means, counts.tolist(), strict=True):
            parameter.grad = mean.view_as(parameter) if count else None
        return dict(zip(terms, losses.unbind(), strict=True)) | {"gradient_norm": norm}

    def random_states(self) -> list[dict[str, Tensor]]:
        own = random_state()
        each = {name: self.gather(state) for name, state in own.items()}
        return [{name: states[rank] for name, states in each.items()} for rank in range(self.size)]

    def _sockets_for(self, tensor: Tensor) -> Sockets | None:
        """The sockets, for a tensor that may go through them."""
        return self.sockets if tensor.device.type == "cpu" and tensor.nbytes <= _MANY else None

    def _agree(self, error: Exception | None) -> None:
        """Raise in all ranks if one has an error: its own, and in the others one that says what it is."""
        said = _message(error) if error is not None else ""
        found = [text_of(one) for one in self.gather(tensor_of(said, _TEXT))]
        failed = next((rank for rank, one in enumerate(found) if one), None)
        if failed is None:
            return
        if error is not None and (self.main or not isinstance(error, (ValueError, OSError, RankError))):
            raise error  # one that nobody foresaw shows its traceback, wherever it is
        what = RankError(f"process {failed} of {self.size}: {found[failed]}")
        raise self.told(what) from error

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """A block that asks the other ranks."""
        try:
            yield
        except (RuntimeError, OSError) as error:
            # Two ranks say it, since rank 0 may be the one that is gone.
            raise RankError(_LOST) if self.rank < 2 else Told(_LOST) from error


def _message(error: Exception) -> str:
    """An error in words, never empty."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    foreseen = isinstance(error, (ValueError, RankError)) and str(error)
    return str(error) if foreseen else f"{type(error).__name__}: {error}"
