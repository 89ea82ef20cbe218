"""One model folder for several games that share a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spacetime_env import __version__
from spacetime_env.models.model import Model
from spacetime_env.models.settings import GameSettings, JointSettings
from spacetime_env.models.weights import game_keys, weights_of, write_folder
from spacetime_env.shipped import BundleError


def save_joint(
    folder: str | os.PathLike[str],
    models: Sequence[Model],
    *,
    trained: Mapping[str, Any] | None = None,
    card: str = "",
    extras: Mapping[str, bytes] | None = None,
) -> Path:
    """Write one folder for models of several games that share a network.

    Args:
        folder: made if it is missing.
        models: one for each game, 1 or more. Their networks are the same but for the image of a fixed background, and
            their configurations but for ``subframes``.
        trained, card, extras: see :func:`spacetime_env.models.folder.save_model`.

    Raises:
        BundleError: two are of the same game, their networks differ, or the folder cannot be written. What was there
            stays as it was.
    """
    games: dict[str, GameSettings] = {}
    tensors: dict[str, Tensor] = {}
    config = replace(models[0].settings.model, subframes=0)
    for model in models:
        if model.game in games:
            raise BundleError(f"expected one model a game, and {model.game} has two.")
        if replace(model.settings.model, subframes=0) != config:
            raise BundleError(f"the network of {model.game} is built in another way than that of {models[0].game}.")
        names = game_keys(model.game)
        for name, value in weights_of(model.space, model.classifier).items():
            there = tensors.setdefault(names.get(name, name), value)
            if not torch.equal(there, value):
                raise BundleError(f"the network of {model.game} has other weights than that of {models[0].game}.")
        settings = model.settings
        games[model.game] = GameSettings(model.native, model.class_names, settings.model.subframes, model.scene)
    described = JointSettings(
        games=games,
        model=config,
        sha256="",
        version=__version__,
        trained={key: str(value) for key, value in (trained or {}).items()},
    )
    return write_folder(Path(folder), described, tensors, card, extras)
