"""The files of a model folder, and the names of its tensors. See :mod:`spacetime_env.models.folder`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from spacetime_env.config import to_dict
from spacetime_env.files import FileError, read_bytes, shown_text, write_together
from spacetime_env.locks import LOCK, LockError, hold
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.settings import SETTINGS, JointSettings, Settings
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space

WEIGHTS, CARD = "model.safetensors", "CARD.md"
WAIT = 30.0  # seconds to wait for another process that writes the same folder
MOST_BYTES = 1 << 30  # of the file of the weights


def write_folder(
    folder: Path,
    settings: Settings | JointSettings,
    tensors: Mapping[str, Tensor],
    card: str,
    extras: Mapping[str, bytes] | None,
) -> Path:
    """Write all files of a folder together: either all of them are replaced, or none.

    Args:
        folder: where to; it is made if it is missing.
        settings: of ``model.yaml``; the hash of the weights is put into them.
        tensors: the weights.
        card: the text of ``CARD.md``; "": no such file is written.
        extras: further files, name -> content.

    Returns:
        The folder.

    Raises:
        BundleError: it cannot be written, or holds other things than a model.
    """
    from safetensors.torch import save

    blob = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    settings = replace(settings, sha256=hashlib.sha256(blob).hexdigest())
    text = yaml.safe_dump(_without_none(to_dict(settings)), sort_keys=False, width=110)
    contents = {WEIGHTS: blob, SETTINGS: text.encode(), **(extras or {})}
    if card:
        contents[CARD] = card.encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder, wait=WAIT):
            require_model_folder(folder)
            write_together({folder / name: content for name, content in contents.items()})
    except (OSError, LockError) as error:
        raise BundleError(
            f"cannot write the model to {folder}: {getattr(error, 'strerror', None) or error}. "
            "What was there is unchanged."
        ) from error
    return folder


def require_model_folder(folder: Path) -> None:
    """Refuse a folder that holds other things than a model. One that is empty or not there will do.

    Raises:
        BundleError: naming some of what is in it; or ``folder`` is a file, or cannot be read.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise BundleError(f"cannot write the model to {folder}: {error.strerror}.") from None
    # The weights come first: where a process was killed between two files, the settings are missing.
    if WEIGHTS in names or SETTINGS in names:
        return
    others = [name for name in names if name != LOCK and not (name[0] == "." and name.endswith(".tmp"))]
    if others:
        raise BundleError(
            f"cannot write the model to {folder}: it is no model folder and holds {', '.join(others[:3])}"
            f"{' and more' if len(others) > 3 else ''}. Give a new or an empty folder."
        )


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree without the keys whose value is None, which are the defaults."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if value is not None
    }


def weights_of(space: Space, classifier: LinearClassifier) -> dict[str, Tensor]:
    """The tensors of a model of one game, by the names that they have in its file."""
    tensors = {f"space.{name}": value for name, value in space.state_dict().items()}
    for name, value in (("coef", classifier.coef), ("intercept", classifier.intercept)):
        tensors[f"classifier.{name}"] = torch.from_numpy(np.ascontiguousarray(value))
    return tensors


def game_keys(game: str) -> dict[str, str]:
    """The tensors that a joint model has once a game: the name in a file of one game -> the name in a joint file."""
    return {
        "classifier.coef": f"classifier.{game}.coef",
        "classifier.intercept": f"classifier.{game}.intercept",
        "space.background.image": f"background.{game}",
    }


def of_game(tensors: Mapping[str, Tensor], games: Sequence[str], game: str) -> dict[str, Tensor]:
    """The tensors of one of the games of a joint model, by the names that they have in a file of one game."""
    others = {name for other in games if other != game for name in game_keys(other).values()}
    own = {name: plain for plain, name in game_keys(game).items()}
    return {own.get(name, name): value for name, value in tensors.items() if name not in others}


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read the weights file of a folder.

    Raises:
        BundleError: it is missing, has another hash than ``sha256``, is not a safetensors file, or has a number that
            is NaN or infinite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        blob = read_bytes(path, MOST_BYTES)
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is no model folder: it has no {path.name}.") from None
    except FileError as error:
        raise BundleError(str(error)) from None
    if hashlib.sha256(blob).hexdigest() != sha256:
        raise BundleError(
            f"{path} is not the file that {SETTINGS} describes (its SHA-256 differs): it is truncated or was "
            "changed. Make or download the model again."
        )
    try:
        tensors = load(blob)
    except (SafetensorError, ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
        raise BundleError(f"{path} is not a safetensors file ({shown_text(str(error))}).") from None
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise BundleError(
                f"{path}: {shown_text(name)} has a number that is NaN or infinite. The training diverged, or the file "
                "was changed: make or download the model again."
            )
    return tensors
