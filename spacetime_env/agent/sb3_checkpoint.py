"""Checkpoints of an agent's training: all that it needs to go on in one file, which is replaced in one step.

The file is a zip that SB3's own ``load`` reads. Beside SB3's entries it holds ``spacetime.json`` (steps done,
evaluations, random states), ``normalization.npz`` and, for algorithms with a replay buffer, ``replay.npz``. We read
only these three and the weights, and nothing is unpickled. All of it is checked before any of it is used, so that a
file that is refused has changed nothing.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor

from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.normalization import checked_statistics, normalization_bytes, put_statistics
from spacetime_env.agent.progress import Progress, checked_progress, checked_random_state, random_state
from spacetime_env.agent.replay import checked_replay, most_bytes, replay_bytes
from spacetime_env.agent.tensors import tensors_for
from spacetime_env.files import FileError, is_count, open_zip, parse_json, read_bytes, read_zip, shown, write_atomically

COUNTERS = ("_n_updates", "_episode_num", "_n_calls")  # of SB3's algorithms; not all have all
STATE, NORMALIZATION, REPLAY = "spacetime.json", "normalization.npz", "replay.npz"
LARGEST = 64 * 2**30  # bytes of a checkpoint with its replay buffer
LARGEST_STATE = 16 * 2**20  # bytes of spacetime.json: 100,000 evaluations
SLACK = 64 * 2**20  # bytes of a checkpoint beside weights and experience


def save(path: Path, model: BaseAlgorithm, progress: Progress, replay: bool = True) -> None:
    """Write a checkpoint.

    Args:
        replay: with the replay buffer. An agent that is shipped goes without.

    Raises:
        OSError: it cannot be written; an older file of that name is unchanged.
    """
    buffer = io.BytesIO()
    model.save(buffer)
    state: dict[str, Any] = {"progress": asdict(progress), "random": random_state()}
    state["counters"] = {name: int(getattr(model, name)) for name in COUNTERS if hasattr(model, name)}
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(STATE, json.dumps(state))
        normalization = model.get_vec_normalize_env()
        if normalization is not None:
            archive.writestr(NORMALIZATION, normalization_bytes(normalization))
        memory = getattr(model, "replay_buffer", None)
        if replay and isinstance(memory, ReplayBuffer):
            archive.writestr(REPLAY, replay_bytes(memory), zipfile.ZIP_DEFLATED, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def restore(path: Path, model: BaseAlgorithm, counters: bool = True) -> Progress:
    """Load a checkpoint into ``model``, which was made with the same settings, and into its ``VecNormalize``.

    Args:
        path: of the checkpoint; one of SB3 or rl_zoo3 has weights only.
        model: the agent.
        counters: True: also the step counts, the random states and the replay buffer. False: only what was learned.

    Raises:
        AgentError: the file is missing or damaged, or was made for other spaces or another network. ``model`` is
            unchanged.
    """
    memory = getattr(model, "replay_buffer", None)
    experience = most_bytes(memory) if isinstance(memory, ReplayBuffer) else 0
    entries = _entries(path, 8 * _bytes_of_weights(model) + experience + SLACK)
    state = _state(entries.get(STATE), path)
    progress = checked_progress(state["progress"], str(path))
    numbers = _counters(state["counters"], model, path)
    draws = checked_random_state(state["random"], str(path))
    params, variables = tensors_for(model, entries, str(path))
    normalization, statistics = model.get_vec_normalize_env(), None
    if normalization is not None:
        if NORMALIZATION not in entries:
            raise AgentError(f"{path} holds no normalisation, and the hyperparameters ask for one.")
        statistics = checked_statistics(normalization, entries[NORMALIZATION], f"{path}, {NORMALIZATION}")
    fill: Callable[[], None] | None = None
    if counters and REPLAY in entries and isinstance(memory, ReplayBuffer):
        fill = checked_replay(memory, entries[REPLAY], f"{path}, {REPLAY}")

    try:
        model.set_parameters(params, exact_match=True, device=model.device)
    except Exception as error:  # what tensors_for let through
        reason = " ".join(str(error).split())[-300:]
        raise AgentError(f"the weights in {path} do not fit this agent: {reason}.") from error
    for name, value in variables.items():
        getattr(model, name).data = value.data
    if statistics is not None:
        put_statistics(statistics)
    if counters:
        model.num_timesteps = progress.timesteps
        for name, number in numbers.items():
            setattr(model, name, number)
        draws.apply()
        if fill is not None:
            fill()
    return progress


def progress_of(path: Path) -> Progress:
    """How far the training was when ``path`` was written; reads no weights.

    Raises:
        AgentError: it is missing or damaged.
    """
    try:
        archive = open_zip(read_bytes(path, LARGEST), path, LARGEST)
        there = STATE in archive.namelist()
        if there and archive.getinfo(STATE).file_size > LARGEST_STATE:
            raise FileError(f"{path}: {STATE} is too large.")
        data = archive.read(STATE) if there else None
    except FileNotFoundError:
        raise AgentError(f"no checkpoint {path}.") from None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise AgentError(f"{path} is damaged: {error} Use another checkpoint, or train again.") from None
    return checked_progress(_state(data, path)["progress"], str(path))


def _entries(path: Path, limit: int) -> dict[str, bytes]:
    try:
        return read_zip(read_bytes(path, limit), path, limit)
    except FileNotFoundError:
        raise AgentError(f"no checkpoint {path}.") from None
    except FileError as error:
        raise AgentError(f"{path} is damaged: {error} Use another checkpoint, or train again.") from None


def _state(data: bytes | None, path: Path) -> dict[str, Any]:
    """``spacetime.json``, with its three parts; of a file of SB3 or rl_zoo3, which has none, they are empty."""
    if data is None:
        return {"progress": {}, "counters": {}, "random": {}}
    try:
        if len(data) > LARGEST_STATE:
            raise FileError(f"{STATE} is too large.")
        state = parse_json(data, f"{path}, {STATE}")
    except FileError as error:
        raise AgentError(f"{path} is damaged: {error} Use another checkpoint, or train again.") from None
    if not isinstance(state, dict) or not {"progress", "counters", "random"} <= set(state):
        raise AgentError(f"{path} is damaged: {STATE} has no progress, counters and random, but {shown(state)}.")
    return state


def _counters(tree: Any, model: BaseAlgorithm, path: Path) -> dict[str, int]:
    """The counts of an agent. Only those in :data:`COUNTERS` are attributes that a file may set."""
    if not isinstance(tree, dict) or not all(name in COUNTERS and is_count(value) for name, value in tree.items()):
        raise AgentError(f"{path} is damaged: expected counts of {', '.join(COUNTERS)}, got {shown(tree)}.")
    return {name: value for name, value in tree.items() if hasattr(model, name)}


def _bytes_of_weights(model: BaseAlgorithm) -> int:
    trees = model.get_parameters().values()
    return sum(one.nbytes for tree in trees for one in tree.values() if isinstance(one, Tensor))
