"""Checkpoints of a pretraining run: the last few and the best. On a CPU, resuming changes no bit of the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spacetime_env.config import Config, ConfigError, Scope, differences, to_dict
from spacetime_env.files import FileError, is_count, is_number, read_bytes, shown, shown_text, write_atomically
from spacetime_env.files.tensors import read_tensors, require_optimizer
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.classifier_file import write_classifiers
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training.ranks import Ranks, set_random_state

BEST = "best.pt"
MOST_BYTES = 1 << 32  # of a checkpoint


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, or none that can be read."""


@dataclass
class State:
    """All that changes during training, and what is written beside its checkpoints.

    The order of batches is not part of it: it follows from seed and step.
    """

    space: Space
    optimizers: list[torch.optim.Optimizer]
    mismatch: CountMismatch
    step: int = 0
    best: float = -1.0  # motion_f1 of the best validation; of pictures the elbo, and -inf before the first
    seconds: float = 0.0  # of training, over all starts of the run
    start: str = ""  # the weights that it started with, a sentence; "": new ones
    # Makes the classifiers that are written beside each checkpoint, from the network; None: none are.
    classify: Callable[[Space], Mapping[str, LinearClassifier]] | None = None


def save_checkpoint(
    folder: Path,
    state: State,
    config: Config,
    keep: int,
    best: bool,
    random_states: Sequence[Mapping[str, torch.Tensor]] = (),
) -> Path:
    """Write ``step-0000123.pt`` and remove all checkpoints but the last ``keep`` and the best.

    The classifiers of ``state.classify`` are written beside it, and removed with it.

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
        "start": state.start,
        "rng": torch.get_rng_state(),
    }
    if random_states:
        content["ranks"] = [dict(one) for one in random_states]
    path = folder / f"step-{state.step:07d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / BEST, path] if best else [path]
        for name in written:
            write_atomically(name, lambda temporary: torch.save(content, temporary))
        device = next(state.space.parameters()).device
        # The training goes on as if nobody had looked: a folded encoder is made with weights that are drawn.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            classifiers = {} if state.classify is None else state.classify(state.space)
        for name in map(beside, written):
            if classifiers:
                write_classifiers(name, classifiers)
            else:  # those of an earlier best name its z_what, not this one's
                name.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError where the disk is full
        raise CheckpointError(
            f"cannot save a checkpoint to {folder}: {error}. The last one is still there; make room, and the "
            "same command resumes it."
        ) from error
    # Checkpoints of later steps are damaged ones (see resume), which will be overwritten.
    for old in [p for p in checkpoints(folder) if step_of(p) <= state.step][:-keep]:
        old.unlink(missing_ok=True)
        beside(old).unlink(missing_ok=True)
    return path


def beside(checkpoint: Path) -> Path:
    """The file of the classifiers of a checkpoint."""
    return checkpoint.with_suffix(".classifiers.safetensors")


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in ``folder`` in the order of their steps, without ``best.pt``."""
    return sorted(folder.glob("step-*.pt"), key=step_of)


def step_of(path: Path) -> int:
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
            f"{path.parent} was started with other settings: {shown_text('; '.join(changed[:5]), 1000)}. "
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
    state.start = shown_text(content.get("start", ""), 2000)  # one of an earlier version has none
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
        require_optimizer(saved, optimizer)
        _require_settings(saved["param_groups"], optimizer)
    unseen = type(content["best"]) is float and content["best"] == -math.inf  # of pictures, before the first evaluation
    for name, least in (("best", -math.inf), ("seconds", 0.0)):
        if not (is_number(content[name]) or (name == "best" and unseen)) or content[name] < least:
            raise ValueError(f"expected {name} to be a number of {least:g} or more, got {shown(content[name])}")
    if not is_count(content["step"]) or content["step"] > 10**9:
        raise ValueError(f"expected step to be a whole number from 0 to a billion, got {shown(content['step'])}")
    if type(content["mismatch"]) is not list or not all(is_number(one) for one in content["mismatch"]):
        raise ValueError(f"expected mismatch to be a list of numbers, got {shown(content['mismatch'])}")
    if not isinstance(content.get("start", ""), str):
        raise ValueError(f"expected start to be a text, got {shown(content['start'])}")
    for number in [content["rng"], *(one["cpu"] for one in content.get("ranks", ()))]:
        torch.Generator().set_state(number)  # one of its own: it only tries
    for one in content.get("ranks", ()):
        if "cuda" in one and torch.cuda.is_initialized():
            torch.Generator("cuda").set_state(one["cuda"])


def _require_settings(groups: Sequence[Mapping[str, Any]], optimizer: torch.optim.Optimizer) -> None:
    """Check that an optimizer would load its own settings; they follow from the config, but lr from a schedule.

    Raises:
        ValueError and others: one is missing or another.
    """
    for mine, its in zip(optimizer.state_dict()["param_groups"], groups, strict=True):
        for name, value in mine.items():
            if name != "lr" and its[name] != value:
                raise ValueError(f"{name} of an optimizer: expected {shown(value)}, got {shown(its[name])}")


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
        content = read_tensors(read_bytes(path, MOST_BYTES), path)
        if not isinstance(content, dict) or "space" not in content or not isinstance(content.get("config"), dict):
            raise ValueError("it holds something else")
        _require_tree(content["config"])
    except FileNotFoundError:
        raise CheckpointError(f"cannot read {path}: No such file.") from None
    except FileError as error:
        raise CheckpointError(str(error)) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from error
    return content


def _require_tree(config: Any) -> None:
    """Refuse a config that has itself, or is too large to be compared. (What is in it twice counts twice.)

    Raises:
        ValueError: it has over 10,000 values or 50 levels, a key that is no text, or a value that is neither text nor a
            number.
    """
    waiting, seen = [(config, 0)], 0
    while waiting:
        (value, level), seen = waiting.pop(), seen + 1
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        if isinstance(inner, (list, tuple)):
            if seen + len(waiting) + len(inner) > 10_000 or level > 50:
                raise ValueError("its config has over 10,000 values or 50 levels")
            if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
                raise ValueError("its config has a key that is no text")
            waiting += [(one, level + 1) for one in inner]
        elif not isinstance(value, (str, int, float, type(None))):
            raise ValueError(f"its config has a {type(value).__name__}")
