"""Checkpoints of an agent's training: all that it needs to go on in one file, which is replaced in one step.

The file is a zip that SB3's own ``load`` reads. Beside SB3's entries it holds ``spacetime.json`` (steps done,
evaluations, random states), ``normalization.npz`` and, for algorithms with a replay buffer, ``replay.npz``. We read
only these three and the weights, which torch loads with ``weights_only=True``: nothing is unpickled.
"""

from __future__ import annotations

import base64
import io
import json
import random
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.save_util import load_from_zip_file

from spacetime_env.agent.envs import normalization_bytes, restore_normalization
from spacetime_env.agent.hyperparameters import AgentError
from spacetime_env.files import write_atomically

COUNTERS = ("_n_updates", "_episode_num", "_n_calls")  # of SB3's algorithms; not all have all


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        timesteps: env steps that the weights were trained on.
        seconds: wall time, over all starts.
        sittings: number of starts of the training; 1 if it was never interrupted.
        evaluations: a dict each with timesteps, mean, std, episodes, training_mean, seconds.
        best: the mean return of the best evaluation.
    """

    timesteps: int = 0
    seconds: float = 0.0
    sittings: int = 1
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None


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
        archive.writestr("spacetime.json", json.dumps(state))
        normalization = model.get_vec_normalize_env()
        if normalization is not None:
            archive.writestr("normalization.npz", normalization_bytes(normalization))
        memory = getattr(model, "replay_buffer", None)
        if replay and isinstance(memory, ReplayBuffer):
            archive.writestr("replay.npz", _replay_bytes(memory), zipfile.ZIP_DEFLATED, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def restore(path: Path, model: BaseAlgorithm, counters: bool = True) -> Progress:
    """Load a checkpoint into ``model``, which was made with the same settings, and into its ``VecNormalize``.

    Args:
        counters: True: also the step counts, the random states and the replay buffer. False: only what was learned.

    Raises:
        AgentError: the file is missing or damaged, or was made for other spaces or another network.
    """
    state, extra = _read(path)
    try:
        _, params, variables = load_from_zip_file(path, load_data=False, device=model.device)
    except Exception as error:  # a damaged archive shows itself in many ways
        raise AgentError(f"{path} is damaged: {error}. Use another checkpoint, or train again.") from None
    try:
        model.set_parameters(params, exact_match=True, device=model.device)
    except (ValueError, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise AgentError(
            f"the weights in {path} do not fit this agent: {reason}. They were trained on other observations "
            "or actions, or with other hyperparameters."
        ) from None
    for name, value in (variables or {}).items():
        if value is not None:
            getattr(model, name).data = value.data
    normalization = model.get_vec_normalize_env()
    if normalization is not None:
        if "normalization.npz" not in extra:
            raise AgentError(f"{path} holds no normalisation, and the hyperparameters ask for one.")
        restore_normalization(normalization, extra["normalization.npz"])
    progress = Progress(**state["progress"])
    if counters:
        model.num_timesteps = progress.timesteps
        for name, value in state["counters"].items():
            setattr(model, name, value)
        restore_random_state(state["random"])
        memory = getattr(model, "replay_buffer", None)
        if "replay.npz" in extra and isinstance(memory, ReplayBuffer):
            _restore_replay(memory, extra["replay.npz"])
    return progress


def progress_of(path: Path) -> Progress:
    """How far the training was when ``path`` was written; reads no weights."""
    return Progress(**_read(path)[0]["progress"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged:
                raise AgentError(f"{path} is damaged ({damaged}). Use another checkpoint, or train again.")
            names = set(archive.namelist())
            state = json.loads(archive.read("spacetime.json")) if "spacetime.json" in names else None
            wanted = names & {"normalization.npz", "replay.npz"}
            extra = {name: archive.read(name) for name in wanted}
    except FileNotFoundError:
        raise AgentError(f"no checkpoint {path}.") from None
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError) as error:
        if isinstance(error, AgentError):
            raise
        raise AgentError(f"{path} is damaged: {error}. Use another checkpoint, or train again.") from None
    if state is None:  # written by SB3 or rl_zoo3: weights only
        state = {"progress": {}, "counters": {}, "random": {}}
    return state, extra


def random_state() -> dict[str, Any]:
    """The states of torch's, numpy's and Python's generators, as JSON holds them."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
    version, numbers, extra = random.getstate()
    return {
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "python": [version, list(numbers), extra],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Undo :func:`random_state`; an empty dict changes nothing."""
    if "torch" in state:
        raw = np.frombuffer(base64.b64decode(state["torch"]), np.uint8).copy()
        torch.set_rng_state(torch.from_numpy(raw))
    if "numpy" in state:
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, np.uint32), *rest))
    if "python" in state:
        version, numbers, extra = state["python"]
        random.setstate((version, tuple(numbers), extra))


def _replay_bytes(memory: ReplayBuffer) -> bytes:
    filled = memory.buffer_size if memory.full else memory.pos
    arrays: dict[str, Any] = {"pos": memory.pos, "full": memory.full}
    for name, array in _replay_arrays(memory).items():
        arrays[name] = array[:filled]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _restore_replay(memory: ReplayBuffer, data: bytes) -> None:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        memory.pos, memory.full = int(arrays["pos"]), bool(arrays["full"])
        for name, array in _replay_arrays(memory).items():
            array[: len(arrays[name])] = arrays[name]


def _replay_arrays(memory: ReplayBuffer) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, value in vars(memory).items():
        for key, array in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(array, np.ndarray):
                found[f"{name}/{key}"] = array
    return found
