"""Checkpoints of a pretraining run: the last few and the best. On a CPU, resuming changes no bit of the result."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spacetime_env.config import Config, ConfigError, Scope, differences, to_dict
from spacetime_env.files import write_atomically
from spacetime_env.space import CountMismatch, Space

BEST = "best.pt"


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


def save_checkpoint(folder: Path, state: State, config: Config, keep: int, best: bool) -> Path:
    """Write ``step-0000123.pt`` and remove all checkpoints but the last ``keep`` and the best.

    Args:
        best: also write it as ``best.pt``.

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


def load_checkpoint(path: Path, state: State, config: Config) -> None:
    """Load a checkpoint into ``state``, with the state of torch's random numbers.

    Raises:
        CheckpointError: it cannot be read.
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
        state.space.load_state_dict(content["space"])
        for optimizer, saved in zip(state.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        state.mismatch.values = list(content["mismatch"])
        state.step, state.best, state.seconds = content["step"], content["best"], content["seconds"]
        torch.set_rng_state(content["rng"])
    except (RuntimeError, LookupError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(". ")
        raise CheckpointError(f"{path} is of another version of spacetime_env: {reason}.") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, read without unpickling code.

    Raises:
        CheckpointError: it is missing or damaged, or no checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()  # torch does not look at the checksums
        if broken is not None:
            raise ValueError(f"{broken} has another checksum")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or "space" not in content or not isinstance(content.get("config"), dict):
            raise ValueError("it holds something else")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}.") from error
    except Exception as error:  # torch and zipfile raise many kinds for a damaged file
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        raise CheckpointError(f"{path} is damaged: {reason}.") from error
    return content
