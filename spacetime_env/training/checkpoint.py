"""Checkpoints of a pretraining run: the last few and the best. On a CPU, resuming changes no bit of the result."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spacetime_env.config import Config, ConfigError, Scope, differences, to_dict
from spacetime_env.files import FileError, open_zip, read_bytes, shown, shown_text, write_atomically
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training.ranks import Ranks, set_random_state

BEST = "best.pt"
MOST_BYTES = 1 << 32  # of a checkpoint


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, or none that can be read."""


@dataclass
class State:
    """All that changes during training. The order of batches is not part of it: it follows from seed and step."""

    space: Space
    optimizers: list[torch.optim.Optimizer]
    mismatch: CountMismatch
    step: int = 0
    best: float = -1.0  # motion_f1 of the best validation
    seconds: float = 0.0  # of training, over all starts of the run


def save_checkpoint(
    folder: Path,
    state: State,
    config: Config,
    keep: int,
    best: bool,
    random_states: Sequence[Mapping[str, torch.Tensor]] = (),
) -> Path:
    """Write ``step-0000123.pt`` and remove all checkpoints but the last ``keep`` and the best.

    Args:
        best: also write it as ``best.pt``.
        random_states: of all ranks, where several processes train, see :meth:`Ranks.random_states`.

    Raises:
        CheckpointError: it cannot be written; the earlier ones are still there.
    """
    content = {
        "config": to_dict(config),
        "space": state.space.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "mismatch": list(state.mismatch.values),
        "step": state.step,
        "best": state.best,
        "seconds": state.seconds,
        "rng": torch.get_rng_state(),
    }
    if random_states:
        content["ranks"] = [dict(one) for one in random_states]
    path = folder / f"step-{state.step:07d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in [folder / BEST, path] if best else [path]:
            write_atomically(name, lambda temporary: torch.save(content, temporary))
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError where the disk is full
        raise CheckpointError(
            f"cannot save a checkpoint to {folder}: {error}. The last one is still there; make room, and the "
            "same command resumes it."
        ) from error
    # Checkpoints of later steps are damaged ones (see resume), which will be overwritten.
    for old in [p for p in checkpoints(folder) if _step(p) <= state.step][:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder`` in the order of their steps, without ``best.pt``."""
    return sorted(folder.glob("step-*.pt"), key=_step)


def _step(path: Path) -> int:
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else -1


def resume(folder: Path, state: State, config: Config) -> Path | None:
    """Load the last checkpoint in ``folder`` that can be read into ``state``.

    Returns:
        Its path; None if there is no checkpoint.

    Raises:
        CheckpointError: there are some, and none can be read.
        ConfigError: the run was started with other settings.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            load_checkpoint(path, state, config)
            return path
        except CheckpointError as error:
            print(f"{error} Trying the one before it.")
    if paths:
        raise CheckpointError(f"no checkpoint in {folder} can be read. Start anew with --restart.")
    return None


def load_checkpoint(path: Path, state: State, config: Config, ranks: Ranks | None = None) -> None:
    """Load a checkpoint into ``state``, with the state of torch's random numbers. Nothing is changed if it raises.

    Args:
        ranks: the processes that train. Each goes on with random numbers of its own, if as many processes saved the
            checkpoint. Otherwise all go on with those of rank 0, and draw the same ones anyway.

    Raises:
        CheckpointError: it cannot be read, or has a value of another type, shape or range.
        ConfigError: the run was started with other settings.
    """
    content = read_checkpoint(path)
    changed = differences(content["config"], config, Scope.CHECKPOINT)
    if changed:
        raise ConfigError(
            f"{path.parent} was started with other settings: {'; '.join(changed[:5])}. "
            "Use these settings to resume it, or start anew in another folder (--run) or with --restart."
        )
    try:
        _require_state(content, state)
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = shown_text(" ".join(str(error).split())).rstrip(". ")
        raise CheckpointError(f"{path} is damaged, or of another version of spacetime_env: {reason}.") from error
    state.space.load_state_dict(content["space"])
    for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    state.mismatch.values = list(content["mismatch"])
    state.step, state.best, state.seconds = content["step"], content["best"], content["seconds"]
    torch.set_rng_state(content["rng"])
    if ranks is not None and len(content.get("ranks", ())) == ranks.size:
        set_random_state(content["ranks"][ranks.rank])


def load_weights(path: Path, space: Space) -> None:
    """Load a checkpoint's weights alone. Nothing is changed if it raises.

    Raises:
        CheckpointError: it cannot be read, or its weights are not those of such a network.
    """
    content = read_checkpoint(path)
    try:
        space.require_tensors(content["space"], "its weights")
        _require_finite(content["space"], "the weights")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged, or of another version of spacetime_env: {error}.") from error
    space.load_state_dict(content["space"])


def _require_state(content: Mapping[str, Any], state: State) -> None:
    """Check all that a checkpoint would change, before anything is changed.

    Raises:
        ValueError and others: a value is missing, or has another type, shape or range.
    """
    state.space.require_tensors(content["space"], "its weights")
    _require_finite(content["space"], "the weights")
    if len(content["optimizers"]) != len(state.optimizers):
        raise ValueError(f"expected {len(state.optimizers)} optimizers, got {len(content['optimizers'])}")
    for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
        _require_optimizer(saved, optimizer)
    for name, least in (("best", -1.0), ("seconds", 0.0)):
        if type(content[name]) not in (int, float) or not least <= content[name] < math.inf:
            raise ValueError(f"expected {name} to be a number of {least:g} or more, got {shown(content[name])}")
    if type(content["step"]) is not int or not 0 <= content["step"] <= 10**9:
        raise ValueError(f"expected step to be a whole number from 0 to a billion, got {shown(content['step'])}")
    if type(content["mismatch"]) is not list or not all(
        type(one) in (int, float) and abs(one) < math.inf for one in content["mismatch"]
    ):
        raise ValueError(f"expected mismatch to be a list of numbers, got {shown(content['mismatch'])}")
    for number in [content["rng"], *(one["cpu"] for one in content.get("ranks", ()))]:
        torch.Generator().set_state(number)  # one of its own: it only tries
    for one in content.get("ranks", ()):
        if "cuda" in one and torch.cuda.is_initialized():
            torch.Generator("cuda").set_state(one["cuda"])


def _require_optimizer(saved: Any, optimizer: torch.optim.Optimizer) -> None:
    """Check what an optimizer would load.

    Raises:
        ValueError and others: it is of another optimizer, or has a number that is NaN or infinite.
    """
    own = optimizer.state_dict()["param_groups"]
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    if len(saved["param_groups"]) != len(own):
        raise ValueError(f"expected {len(own)} groups of parameters, got {len(saved['param_groups'])}")
    for mine, its in zip(own, saved["param_groups"], strict=True):
        for name, value in mine.items():
            fits = type(its[name]) is type(value) and (name == "lr" or its[name] == value)  # lr follows a schedule
            if not fits or (isinstance(value, float) and not abs(its[name]) < math.inf):
                raise ValueError(f"{name} of an optimizer: expected one like {shown(value)}, got {shown(its[name])}")
    names = _state_names(optimizer)
    for number, values in saved["state"].items():
        shape = parameters[number].shape
        if {*values} != names:
            raise ValueError(f"state of an optimizer: expected {sorted(names)}, got {shown(list(values))}")
        for name, value in values.items():
            if value is not None and value.shape not in (shape, torch.Size(())):
                raise ValueError(f"{name} of an optimizer: expected shape {tuple(shape)}, got {tuple(value.shape)}")
        _require_finite({name: value for name, value in values.items() if value is not None}, "an optimizer")


def _state_names(optimizer: torch.optim.Optimizer) -> set[str]:
    """What such an optimizer remembers of a parameter: one of its own takes a step to tell."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    twin = type(optimizer)([parameter], **optimizer.defaults)
    twin.step()
    return {*twin.state[parameter]}


def _require_finite(tensors: Mapping[str, torch.Tensor], title: str) -> None:
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise ValueError(f"{name} of {title} has a number that is NaN or infinite")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, read without unpickling code.

    Raises:
        CheckpointError: it is missing or damaged, or no checkpoint.
    """
    try:
        data = read_bytes(path, MOST_BYTES)
        # torch compresses nothing, so that no more than the file's own size is unpacked.
        with open_zip(data, path, len(data), 100_000) as file:
            broken = file.testzip()  # torch does not look at the checksums
        if broken is not None:
            raise ValueError(f"{broken} has another checksum")
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or "space" not in content or not isinstance(content.get("config"), dict):
            raise ValueError("it holds something else")
        _require_tree(content["config"])
    except FileNotFoundError:
        raise CheckpointError(f"cannot read {path}: No such file.") from None
    except FileError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:  # torch and zipfile raise many kinds for a damaged file
        reason = shown_text(str(error).split("\n")[0]).rstrip(".") or type(error).__name__
        raise CheckpointError(f"{path} is damaged: {reason}.") from error
    return content


def _require_tree(config: Any) -> None:
    """Refuse a config that has itself, or is too large to be compared. (What is in it twice counts twice.)

    Raises:
        ValueError: it has over 10,000 values, or one that is neither text nor a number.
    """
    waiting, seen = [config], 0
    while waiting:
        value, seen = waiting.pop(), seen + 1
        if seen > 10_000:
            raise ValueError("its config has over 10,000 values")
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif not isinstance(value, (str, int, float, type(None))):
            raise ValueError(f"its config has a {type(value).__name__}")
