"""Sockets between processes: threads stand for the processes here."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spacetime_env.training import sockets
from spacetime_env.training.sockets import Sockets, connect


class Others:
    """What gloo does at the meeting, among threads."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=20)
        self.given: dict[int, Tensor] = {}

    def gather(self, rank: int) -> Callable[[Tensor], list[Tensor]]:
        def gather(tensor: Tensor) -> list[Tensor]:
            self.given[rank] = tensor
            self.barrier.wait()
            found = [self.given[one] for one in sorted(self.given)]
            self.barrier.wait()
            return found

        return gather


def at_once(size: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


def met(size: int) -> list[Sockets | None]:
    others = Others(size)
    return at_once(size, lambda rank: connect(rank, size, others.gather(rank)))


@pytest.fixture
def three() -> list[Sockets]:
    found = met(3)
    assert all(found)
    yield found  # type: ignore[misc]
    for one in found:
        one.close()


def test_all_get_the_tensors_of_all_in_order(three: list[Sockets]) -> None:
    """Of any type and shape, also some that are larger than what a socket holds, and not contiguous."""
    cases: list[Callable[[int], Tensor]] = [
        lambda rank: torch.tensor(rank == 1),
        lambda rank: torch.full((2, 3), rank + 0.5, dtype=torch.float64).T,
        lambda rank: torch.arange(400_000) * (rank + 1),
        lambda rank: torch.full((5,), rank + 1.0, dtype=torch.bfloat16).requires_grad_(),
        lambda rank: torch.full((4, 7), rank, dtype=torch.uint8)[:, 2:4],
        lambda rank: torch.zeros(0, 3),
    ]
    found = at_once(3, lambda rank: [three[rank].gather(case(rank)) for case in cases])
    for tensors in found:
        for case, gathered in zip(cases, tensors, strict=True):
            assert len(gathered) == 3
            for rank, one in enumerate(gathered):
                assert one.dtype == case(rank).dtype and torch.equal(one, case(rank)) and not one.requires_grad


def test_one_that_comes_late_is_waited_for_asleep(three: list[Sockets]) -> None:
    def late(rank: int) -> tuple[list[Tensor], float]:
        time.sleep(0.5 if rank == 2 else 0)
        began = time.thread_time()
        return three[rank].gather(torch.tensor(rank)), time.thread_time() - began

    for gathered, used in at_once(3, late):
        assert [int(one) for one in gathered] == [0, 1, 2] and used < 0.1


def test_one_that_is_gone_is_an_error_and_not_a_wait(three: list[Sockets]) -> None:
    def ends(rank: int) -> str:
        if rank == 1:
            three[rank].close()
            return "gone"
        with pytest.raises(OSError):
            three[rank].gather(torch.zeros(3))
        three[rank].close()
        return "told"

    assert at_once(3, ends) == ["told", "gone", "told"]


def test_if_one_cannot_none_does(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sockets._listen
    monkeypatch.setattr(sockets, "_listen", lambda path: None if path.name == "1" else real(path))
    assert met(3) == [None, None, None]
    monkeypatch.setattr(sockets, "_listen", real)
    monkeypatch.delattr(socket, "AF_UNIX")
    assert met(2) == [None, None]


def test_without_a_place_or_with_a_name_that_is_too_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert met(2) == [None, None] and not list(deep.iterdir())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert met(2) == [None, None]
