"""How the processes of a training meet: ``torchrun --nproc-per-node=2 pretrain_space.py ...``.

torchrun starts the processes and tells each by environment variables who it is. When one of them ends early it sends
SIGTERM to the others, and it passes Ctrl-C on to those that the terminal has already told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

from spacetime_env.training.ranks import RankError, Ranks, Told
from spacetime_env.training.shared_ranks import SharedRanks

_MEET = timedelta(minutes=5)  # for all processes to be there
_WAIT = timedelta(days=7)  # for rank 0, which may record data for hours; who is gone is noticed at once
_GRACE = 3.0  # seconds for an error's message, if SIGTERM comes at the same time


@contextlib.contextmanager
def join() -> Iterator[Ranks]:
    """The processes of this training: as torchrun started them, or those of torch's default group, or this one alone.

    One process under torchrun computes as several do, so that the losses do not depend on the number of processes.

    Raises:
        RankError: they cannot meet, or one of them is gone.
        Told: rank 0 was stopped by Ctrl-C, and this is another rank.
    """
    if dist.is_available() and dist.is_initialized():  # by the caller, or by this function further out
        with _ranks(dist.get_rank(), dist.get_world_size(), os.environ).connected() as ranks:
            yield ranks
        return
    about = os.environ
    if "RANK" not in about or "WORLD_SIZE" not in about:
        yield Ranks()
        return
    ranks = _ranks(_number(about, "RANK"), _number(about, "WORLD_SIZE"), about)
    _connect(ranks, about)
    with ranks.connected(), _watch_for_sigterm(ranks):
        try:
            yield ranks
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt) or getattr(error, "exit_status", 1) == 130
            if stopped and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that torchrun passes on
            if isinstance(error, KeyboardInterrupt) and not ranks.main:
                raise Told("stopped by Ctrl-C", 130) from None
            raise
        dist.destroy_process_group()


def _ranks(rank: int, size: int, about: Mapping[str, str]) -> SharedRanks:
    """One of several processes, of which torchrun says how many are on this machine."""
    local, on_machine = _number(about, "LOCAL_RANK", str(rank)), _number(about, "LOCAL_WORLD_SIZE", str(size))
    return SharedRanks(rank, size, local, on_machine)


def _number(about: Mapping[str, str], name: str, default: str = "") -> int:
    word = about.get(name, default)
    if not word.isdecimal():
        raise RankError(f"the environment variable {name}: expected a whole number, got {word!r}. torchrun sets it.")
    return int(word)


def _connect(ranks: Ranks, about: Mapping[str, str]) -> None:
    """Make torch's default group: gloo for tensors on CPUs, NCCL for those on GPUs.

    Raises:
        RankError: it cannot be made.
    """
    if not dist.is_available():
        raise RankError("this torch cannot connect processes (torch.distributed is missing). Start without torchrun.")
    address, port = (about.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT"))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=_MEET))
        dist.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.size, timeout=_WAIT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0].rstrip(". ")
        if "EADDRINUSE" in str(error) or "already in use" in str(error).lower():
            raise RankError(
                f"port {port} of {address} is in use by another program, perhaps another training. torchrun "
                "--standalone finds a free one, and --master-port gives another."
            ) from None
        raise RankError(
            f"process {ranks.rank} of {ranks.size} cannot meet the others at {address or '?'}:{port or '?'} "
            f"({reason}). Start all of them with torchrun, with the same --nnodes and --master-addr."
        ) from None


@contextlib.contextmanager
def _watch_for_sigterm(ranks: Ranks) -> Iterator[None]:
    """In the block, SIGTERM ends this process with a sentence, also while it waits for another in torch.

    A Python handler would have to wait for that. So a thread reads of the signal from a pipe.
    """
    main = threading.current_thread() is threading.main_thread()
    if os.name == "nt" or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    failed = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: None)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_end_at_sigterm, args=(read, ranks, failed), daemon=True).start()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(_leave_to_parent, os.getpid()))
    try:
        yield
    except BaseException:
        failed.set()  # an error is about to be said; the thread goes on
        raise
    signal.set_wakeup_fd(before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.close(write)


def _leave_to_parent(parent: int) -> None:
    """In a forked child, such as a process that records: SIGTERM ends it, and the pipe is not told."""
    if os.getppid() == parent and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_at_sigterm(read: int, ranks: Ranks, failed: threading.Event) -> None:
    """The thread of :func:`_watch_for_sigterm`: it ends with the pipe, or with the process."""
    while numbers := os.read(read, 64):
        if signal.SIGTERM not in numbers:
            continue
        if failed.is_set():
            time.sleep(_GRACE)
        elif ranks.local < 2:  # two of a machine say it, since one may be the one that is gone
            said = (
                f"{Path(sys.argv[0]).name}: process {ranks.rank} of {ranks.size} was told to stop (SIGTERM). torchrun "
                "does so when another process has ended, or when it is itself told to stop. The checkpoints are kept; "
                "the same command resumes.\n"
            )
            os.write(2, said.encode())
        os._exit(128 + signal.SIGTERM)
    os.close(read)
