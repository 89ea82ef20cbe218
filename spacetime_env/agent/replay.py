"""The replay buffer of an off-policy algorithm as a file: ``replay.npz`` of a checkpoint."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError, load_arrays

SLACK = 64 * 1024  # bytes of headers, over those of the numbers


def replay_bytes(memory: ReplayBuffer) -> bytes:
    """The part of a replay buffer that is filled, as npz."""
    filled = memory.buffer_size if memory.full else memory.pos
    arrays: dict[str, Any] = {"pos": memory.pos, "full": memory.full}
    for name, array in _arrays(memory).items():
        arrays[name] = array[:filled]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def most_bytes(memory: ReplayBuffer) -> int:
    """The most that :func:`replay_bytes` gives, in bytes."""
    return sum(array.nbytes for array in _arrays(memory).values()) + SLACK


def checked_replay(memory: ReplayBuffer, data: bytes, name: str) -> Callable[[], None]:
    """What puts the content of :func:`replay_bytes` into ``memory``, once it is called.

    Args:
        memory: of the same size, and for the same spaces.
        data: the file.
        name: of the file, for messages.

    Raises:
        AgentError: it is no such file, or of another buffer.
    """
    try:
        arrays = load_arrays(data, name, most_bytes(memory))
    except FileError as error:
        raise AgentError(str(error)) from None
    own = _arrays(memory)
    if set(arrays) != {"pos", "full", *own} or arrays["pos"].shape != () or arrays["full"].shape != ():
        raise AgentError(f"{name} is not of this agent's replay buffer: it has other arrays.")
    position, full = arrays["pos"], arrays["full"]
    if position.dtype.kind not in "iu" or full.dtype.kind != "b" or not 0 <= position < memory.buffer_size:
        raise AgentError(f"{name} is damaged: it is filled up to {position} of {memory.buffer_size}.")
    filled = memory.buffer_size if full else int(position)
    for key, array in own.items():
        if arrays[key].shape != (filled, *array.shape[1:]) or arrays[key].dtype != array.dtype:
            raise AgentError(
                f"{name} is not of this agent's replay buffer: {key} is {arrays[key].dtype} {arrays[key].shape}, "
                f"expected {array.dtype} {(filled, *array.shape[1:])}."
            )

    def put() -> None:
        memory.pos, memory.full = int(position), bool(full)
        for key, array in own.items():
            array[:filled] = arrays[key]

    return put


def _arrays(memory: ReplayBuffer) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, value in vars(memory).items():
        for key, array in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(array, np.ndarray):
                found[f"{name}/{key}"] = array
    return found
