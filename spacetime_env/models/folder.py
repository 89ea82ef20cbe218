"""Model folders: find, verify, load and save a SPACE-Time model with its classifier and scene settings.

A folder holds ``model.safetensors`` (network and classifier), ``model.yaml`` (what they mean, and the SHA-256
of the weights) and ``CARD.md``. Loading never unpickles anything and refuses what does not fit.

A joint model is one network for several games: its folder has a classifier and a fixed background for each, and it is
loaded for one game at a time. :func:`save_joint` writes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from spacetime_env import __version__
from spacetime_env.config import SceneConfig
from spacetime_env.frames import shown_rows
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.model import Model
from spacetime_env.models.settings import (
    SETTINGS,
    GameSettings,
    JointSettings,
    Settings,
    read_settings,
)
from spacetime_env.models.weights import WEIGHTS, game_keys, of_game, read_weights, weights_of, write_folder
from spacetime_env.shipped import BundleError, available, find
from spacetime_env.space import Space


def available_models() -> tuple[str, ...]:
    """Names of the bundled models."""
    return available("models", SETTINGS)


def model_games(name: str | os.PathLike[str]) -> tuple[str, ...]:
    """The games that a model knows: one, or several of a joint one. See :func:`load_model` for names and errors."""
    return read_settings(find("models", name)).names


def load_model(name: str | os.PathLike[str], game: str | None = None) -> Model:
    """Load a bundled model by name (``"pong"``) or any model folder by path.

    Args:
        name: of the model.
        game: of a joint model, which of its games; any name that :func:`spacetime_env.games.canonical` knows. Of
            other models it is their game, or left out.

    Raises:
        UnknownModelError: there is none.
        SeveralGamesError: it is of several games, and none is asked for.
        BundleError: it is not of that game, or a file is missing, truncated, changed, or does not fit the others.
        UnknownGameError: no such game.
    """
    folder = find("models", name)
    described = read_settings(folder)
    settings = described.of(game, str(name))
    tensors = read_weights(folder / WEIGHTS, described.sha256)
    if isinstance(described, JointSettings):
        tensors = of_game(tensors, described.names, settings.game)
    try:
        space = Space(settings.model)
        shown_rows(settings.model.rows, settings.native)
        classifier = _classifier(tensors, settings)
    except (
        ValueError,
        TypeError,
        RuntimeError,
        LookupError,
        ArithmeticError,
    ) as error:  # torch raises all of them
        raise BundleError(f"{folder / SETTINGS} does not describe a network: {error}") from error
    _load_checked(space, tensors, folder)
    return Model(space, classifier, settings)


def save_model(
    folder: str | os.PathLike[str],
    space: Space,
    classifier: LinearClassifier,
    *,
    game: str,
    native: tuple[int, int],
    scene_config: SceneConfig,
    trained: Mapping[str, Any] | None = None,
    card: str = "",
    extras: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a model folder. On a full disk the old model stays as it was, and loads.

    Args:
        folder: made if it is missing.
        space, classifier: what is trained.
        game, native: the game and H, W of its frames.
        scene_config: threshold, slots and ignored regions that the model is used with.
        trained: how it was made, for the reader of ``model.yaml``.
        card: ``CARD.md``.
        extras: name -> content of further files.

    Raises:
        BundleError: it cannot be written.
    """
    settings = Settings(
        game=game,
        native=native,
        class_names=classifier.class_names,
        model=space.config,
        scene=scene_config,
        sha256="",
        version=__version__,
        trained={k: str(v) for k, v in (trained or {}).items()},
    )
    return write_folder(Path(folder), settings, weights_of(space, classifier), card, extras)


def _classifier(tensors: dict[str, Tensor], settings: Settings) -> LinearClassifier:
    try:
        coef, intercept = tensors.pop("classifier.coef"), tensors.pop("classifier.intercept")
    except KeyError as error:
        raise ValueError(f"the weights lack {error}.") from None
    if coef.dim() != 2 or coef.shape[1] != settings.model.z_what_dim:
        raise ValueError(
            f"classifier.coef {tuple(coef.shape)} does not fit z_what_dim {settings.model.z_what_dim}."
        )
    return LinearClassifier(coef.numpy(), intercept.numpy(), settings.class_names)


def _load_checked(space: Space, tensors: dict[str, Tensor], folder: Path) -> None:
    given = {k.removeprefix("space."): v for k, v in tensors.items()}
    wanted = cast(dict[str, Tensor], space.state_dict())
    unknown, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
    wrong = [
        f"{k}: {tuple(given[k].shape)} instead of {tuple(wanted[k].shape)}"
        for k in sorted(set(given) & set(wanted))
        if given[k].shape != wanted[k].shape
    ]
    if unknown or missing or wrong:
        raise BundleError(
            f"the weights in {folder} do not fit its {SETTINGS}: "
            + "; ".join(
                f"{what} {', '.join(keys[:3])}"
                for what, keys in (("unknown", unknown), ("missing", missing), ("of another shape", wrong))
                if keys
            )
            + "."
        )
    space.load_state_dict(given)


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
        trained, card, extras: see :func:`save_model`.

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
