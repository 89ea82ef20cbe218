"""Loads and saves model folders.

A folder holds ``model.safetensors`` (the weights of network and classifier), ``model.yaml`` (the architecture, the
scene's settings, and the SHA-256 of the weights) and ``CARD.md``. Loading never unpickles anything, and refuses a
folder whose parts do not fit each other.

A joint model is one network for several games. Its folder has a classifier and a fixed background for each game, and it
is loaded for one game at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spacetime_env import __version__
from spacetime_env.config import SceneConfig
from spacetime_env.files import shown_text
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
from spacetime_env.space.device import require_device


def available_models() -> dict[str, Path]:
    """The models that :func:`load_model` finds by name, and the folder where each lies.

    Those in ``./models`` of the current directory come before the bundled ones of the same name.
    """
    return available("models", SETTINGS)


def model_games(name: str | os.PathLike[str]) -> tuple[str, ...]:
    """The games that a model knows: several if it is a joint model, otherwise one.

    ``name`` and errors are as in :func:`load_model`.
    """
    return read_settings(find("models", name)).names


def load_model(name: str | os.PathLike[str], game: str | None = None, device: str = "cpu") -> Model:
    """Load a model by its name, such as ``"pong"``, or any model folder by its path.

    Args:
        name: name or path. A name is looked for in ``./models`` of the current directory, then among the bundled
            models.
        game: which game of a joint model; any name that :func:`spacetime_env.games.canonical` knows. For other models
            it may be left out.
        device: where its network runs, as torch has it, such as ``"cuda"``. See :meth:`Model.to`.

    Raises:
        DeviceError: there is no such device.
        UnknownModelError: there is no such model.
        SeveralGamesError: the model knows several games, and ``game`` is None.
        BundleError: the model does not know the game; or a file is missing, damaged, or does not fit the others.
        UnknownGameError: there is no such game.
    """
    asked = None if device == "cpu" else require_device(device)
    folder = find("models", name)
    described = read_settings(folder)
    settings = described.of(game, str(name))
    tensors = read_weights(folder / WEIGHTS, described.sha256)
    if isinstance(described, JointSettings):
        tensors = of_game(tensors, described.names, settings.game)
    try:
        with torch.device("meta"):  # without numbers: its size is not known to be that of the file yet
            described_space = Space(settings.model)
        shown_rows(settings.model.rows, settings.native)
        classifier = _classifier(tensors, settings)
        weights = {key.removeprefix("space."): value for key, value in tensors.items()}
        try:
            described_space.require_tensors(weights, "its weights")
        except ValueError as error:
            raise BundleError(f"{folder} is damaged: {error} {SETTINGS} describes another network.") from None
        space = Space(settings.model)
        space.load_tensors(weights, "its weights")
    except BundleError:
        raise
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:  # torch raises all of them
        why = shown_text(str(error))
        raise BundleError(f"{folder / SETTINGS} does not describe a network: {why}") from error
    return Model(space if asked is None else space.to(asked), classifier, settings)


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
    mode: int | None = None,
    difficulty: int | None = None,
) -> Path:
    """Write the folder of a model of one game. If that fails, a model that was in the folder is unchanged.

    Args:
        folder: where to; it is made if it is missing.
        space, classifier: the trained network and classifier.
        game, native: the game, and H, W of its frames.
        scene_config: threshold, slots and ignored regions.
        trained: how the model was trained, for readers of ``model.yaml``.
        card: the text of ``CARD.md``; "": no such file is written.
        extras: further files, name -> content.
        mode, difficulty: of the game in the training data; None: its default.

    Returns:
        The folder.

    Raises:
        BundleError: the folder cannot be written, or holds other things than a model.
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
        mode=mode,
        difficulty=difficulty,
    )
    return write_folder(Path(folder), settings, weights_of(space, classifier), card, extras)


def _classifier(tensors: dict[str, Tensor], settings: Settings) -> LinearClassifier:
    """The classifier in the tensors of a folder; its tensors are taken out of them.

    Raises:
        ValueError: a tensor is missing or has another shape.
    """
    try:
        coef, intercept = tensors.pop("classifier.coef"), tensors.pop("classifier.intercept")
    except KeyError as error:
        raise ValueError(f"the weights lack {error}.") from None
    for name, value in (("coef", coef), ("intercept", intercept)):
        if value.dtype != torch.float32:
            raise ValueError(f"classifier.{name}: expected torch.float32, got {value.dtype}.")
    if coef.dim() != 2 or coef.shape[1] != settings.model.z_what_dim:
        raise ValueError(
            f"classifier.coef {tuple(coef.shape)} does not fit z_what_dim {settings.model.z_what_dim}."
        )
    return LinearClassifier(coef.numpy(), intercept.numpy(), settings.class_names)


def save_joint(
    folder: str | os.PathLike[str],
    models: Sequence[Model],
    *,
    trained: Mapping[str, Any] | None = None,
    card: str = "",
    extras: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the folder of a joint model: models of several games that share a network.

    Args:
        models: one for each game, 1 or more. Their networks are the same except for the image of a fixed background,
            and their configurations except for ``subframes``.
        folder, trained, card, extras: see :func:`save_model`.

    Returns:
        The folder.

    Raises:
        BundleError: two models are of the same game, their networks differ, or the folder cannot be written. A model
            that was in the folder is then unchanged.
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
            first = tensors.setdefault(names.get(name, name), value)
            if not torch.equal(first, value):
                raise BundleError(f"the network of {model.game} has other weights than that of {models[0].game}.")
        settings = model.settings
        subframes, variant = settings.model.subframes, (settings.mode, settings.difficulty)
        games[model.game] = GameSettings(model.native, model.class_names, subframes, model.scene, *variant)
    joint = JointSettings(
        games=games,
        model=config,
        sha256="",
        version=__version__,
        trained={key: str(value) for key, value in (trained or {}).items()},
    )
    return write_folder(Path(folder), joint, tensors, card, extras)
