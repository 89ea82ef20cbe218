"""The weights that a training starts with in place of new ones: ``train.start``, or ``pretrain_space.py --from``.

It is no resume: the training begins at step 0, with new optimizers. Weights are from a model folder, a checkpoint of a
run, or a ``.pth`` of the published code. Of these, tensors of the same name and shape are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from spacetime_env.config import ConfigError
from spacetime_env.files import shown, shown_names, shown_text
from spacetime_env.files.shown import relative
from spacetime_env.models.settings import SETTINGS, JointSettings, read_settings
from spacetime_env.models.weights import WEIGHTS, read_weights
from spacetime_env.shipped import BundleError, UnknownModelError, find, is_folder
from spacetime_env.space import Space, load_upstream
from spacetime_env.training.checkpoint import BEST, checkpoints, read_checkpoint

UPSTREAM, CHECKPOINT = ".pth", ".pt"
EXPECTED = "expected a model, a checkpoint of a run (.pt), its folder, or a checkpoint of the published code (.pth)"
OF_DATA = "background.image"  # the fixed background is that of the data, never of other weights


@dataclass(frozen=True)
class Source:
    """Weights to start with."""

    title: str  # the path, without what is above the current directory, and the hash of the file
    tensors: Mapping[str, Any]  # by the names of ``Space.state_dict()``; of a checkpoint they may be anything
    color_order: str  # of the frames that the network saw


def read_source(path: str | Path, components: int = 3) -> Source:
    """Read the weights that a training shall start with.

    Args:
        path: a model folder, or the name of a model; a checkpoint (``.pt``), or the folder of a run, whose best one is
            taken; or a checkpoint of the published code (``.pth``).
        components: see :func:`spacetime_env.space.load_upstream`.

    Raises:
        ConfigError: there is nothing of the kind.
        BundleError, CheckpointError, ValueError: it is damaged.
    """
    given = Path(path)
    if given.suffix.lower() == UPSTREAM:
        space = load_upstream(given, components)
        return Source(titled(given), space.state_dict(), space.config.color_order)
    if given.suffix.lower() == CHECKPOINT:
        return _of_checkpoint(given)
    for folder in (given / "checkpoints", given):
        best = [folder / BEST] if is_folder(folder) and (folder / BEST).is_file() else []
        found = best or (checkpoints(folder)[-1:] if is_folder(folder) else [])
        if found:
            return _of_checkpoint(found[0])
    return _of_model(path)


def _of_checkpoint(path: Path) -> Source:
    content = read_checkpoint(path)
    model = content["config"].get("model")
    color_order = model.get("color_order") if isinstance(model, dict) else None
    tensors = content["space"] if isinstance(content["space"], dict) else {}
    return Source(titled(path), tensors, color_order if color_order in ("rgb", "bgr") else "rgb")


def _of_model(path: str | Path) -> Source:
    try:
        folder = find("models", str(path))
        settings = read_settings(folder)
    except BundleError as error:
        if isinstance(error, UnknownModelError) or not (folder / SETTINGS).exists():
            raise ConfigError(f"train.start (--from): {EXPECTED}. {error}") from None
        raise
    tensors = read_weights(folder / WEIGHTS, settings.sha256)
    own = {name.removeprefix("space."): value for name, value in tensors.items() if name.startswith("space.")}
    games = f" of {shown_names(settings.names)}" if isinstance(settings, JointSettings) else ""
    return Source(f"{titled(folder / WEIGHTS, folder)}{games}", own, settings.model.color_order)


def titled(path: Path, title: Path | None = None) -> str:
    """A file, or what it is called by, and its hash, as messages and cards show them."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"{shown_text(relative(title or path))} (SHA-256 {digest.hexdigest()[:12]})"


def take(source: Source, space: Space) -> str:
    """Give a network the weights that fit it.

    Args:
        source: see :func:`read_source`.
        space: changed in place; tensors that do not fit stay as they are.

    Returns:
        A sentence that says which were taken, which were not, and why.

    Raises:
        ConfigError: none fits, the network sees another order of colours, or a number is NaN or infinite.
    """
    asked = space.config.color_order
    if source.color_order != asked:
        raise ConfigError(
            f"the weights in {source.title} are of frames in the order {source.color_order}, and this training has "
            f"{asked}: set model.color_order={source.color_order}."
        )
    own, taken = space.state_dict(), dict[str, Tensor]()
    left: dict[tuple[str, str], list[str]] = {}  # part of the network, reason -> what is left as it was
    for name, value in own.items():
        reason = _misfit(name, source.tensors.get(name), value)
        if reason:
            left.setdefault((".".join(name.split(".")[:2]), reason), []).append(name)
        else:
            taken[name] = source.tensors[name]
    if not taken:
        raise ConfigError(f"no tensor in {source.title} fits the network of this training: {_reasons(left)}.")
    for name, value in taken.items():
        if not bool(value.isfinite().all()):
            raise ConfigError(f"{name} in {source.title} has a number that is NaN or infinite.")
    space.load_state_dict({**own, **taken})
    others = len(set(source.tensors) - set(own))
    return (
        f"Started with the weights in {source.title}: {len(taken)} of {len(own)} tensors were taken"
        + (f"; not taken: {_reasons(left)}" if left else "")
        + (f"; {others} of its tensors have no place here" if others else "")
        + "."
    )


def _misfit(name: str, value: Any, own: Tensor) -> str:
    """Why a tensor cannot be taken; "" if it can."""
    if name == OF_DATA:
        return "that of the data is used"
    if not isinstance(value, Tensor):
        return "missing there"
    if value.shape != own.shape:
        return f"{shown(tuple(value.shape), 60)} there and {tuple(own.shape)} here"
    return "" if value.dtype == own.dtype else f"{value.dtype} there"


def _reasons(left: Mapping[tuple[str, str], list[str]]) -> str:
    """``foreground.encoder (missing there), background (3 tensors, missing there)``."""
    parts = [
        f"{names[0]} ({reason})" if len(names) == 1 else f"{part} ({len(names)} tensors, {reason})"
        for (part, reason), names in left.items()
    ]
    return shown_names(parts)
