"""Finds the model that an environment looks with, and checks that the two fit."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, cast

import gymnasium as gym

from spacetime_env.config import SceneConfig
from spacetime_env.files import shown_names
from spacetime_env.games import UnknownGameError, canonical, is_game
from spacetime_env.models.watcher import ObjectModel

JOINT = "joint"  # the model of several games that environments take where a game has none of its own


def game_of(env: gym.Env[Any, Any]) -> str | None:
    """The game that ``env`` plays, such as ``"Pong"``; None if its spec does not say."""
    spec = env.unwrapped.spec
    try:
        return None if spec is None else canonical(spec.kwargs.get("game") or spec.id)
    except UnknownGameError:
        return None


def default_model(game: str | None) -> str:
    """The name of the model of a game: that of the game's name, or else ``"joint"``, if that model knows the game.

    Raises:
        ValueError: ``game`` is None: it is not known which game is played.
        UnknownModelError: there is no model of the game.
    """
    from spacetime_env.models.folder import available_models, model_games
    from spacetime_env.shipped import UnknownModelError

    if game is None:
        raise ValueError(
            "expected a model: this environment's spec does not say which game it plays. Pass model=..., a name or a "
            "folder."
        )
    name, known = game.lower(), available_models()
    if name in known:
        return name
    if JOINT in known and game in model_games(JOINT):
        return JOINT
    raise UnknownModelError(
        f"there is no model of {game}; these are there: {shown_names(known) or 'none'}. "
        f"Make one with: python pretrain_space.py --game {game}"
    )


def load_for(model: str | ObjectModel, game: str | None, device: str | None = None) -> ObjectModel:
    """A model as :func:`~spacetime_env.models.folder.load_model` loads it; a loaded model is returned as it is.

    Args:
        model: name, path or loaded model.
        game: the game that is asked for, if the model knows several.
        device: where its network shall run; None: the CPU, or where a loaded one is.

    Raises:
        DeviceError: there is no such device.
        ValueError: there is no such model, or a loaded one that is not of this package cannot be moved.
    """
    if not isinstance(model, str):
        if not callable(getattr(model, "detect", None)):
            raise ValueError(
                f"expected model to be a name, a folder, or a loaded model with a method detect, got {model!r:.80}."
            )
        if device is None:
            return model
        if not callable(getattr(model, "to", None)):
            raise ValueError(f"device={device!r}: a {type(model).__name__} cannot be moved. Leave device out.")
        return cast(Any, model).to(device)
    from spacetime_env.models.folder import load_model
    from spacetime_env.models.settings import SeveralGamesError

    asked = {} if device is None else {"device": device}
    try:
        return load_model(model, **asked)
    except SeveralGamesError:
        if game is None:
            raise
    return load_model(model, game, **asked)


def require_match(model: ObjectModel, game: str | None, size: tuple[int, int] | None, allow: bool) -> None:
    """Check that a model fits an environment.

    Args:
        model: the model.
        game: the game that the environment plays; None: unknown, and not checked.
        size: H, W of the frames that the environment observes; None: it is no Atari game, and its frames are rendered
            and resized.
        allow: accept a model of another game.

    Raises:
        ValueError: the model is of another game, or of frames of another size.
    """
    if game is not None and (not is_game(model.game) or canonical(model.game) != game) and not allow:
        raise ValueError(
            f"the model is of {model.game}, and the environment plays {game}: what it would see has "
            "no meaning. Pass a model of the game, or allow_game_mismatch=True if you mean it."
        )
    if size is None and is_game(model.game) and not allow:
        raise ValueError(
            f"the model is of {model.game}, and the environment is no Atari game: what it would see has no meaning. "
            "Pass a model that was trained on the environment's frames, or allow_game_mismatch=True if you mean it."
        )
    if size is not None and tuple(model.native) != size:
        raise ValueError(
            f"the model reads native frames of H x W = {model.native[0]} x {model.native[1]}, and the "
            f"environment observes {size[0]} x {size[1]}. Put the wrapper inside those that resize."
        )


class UnseenWarning(UserWarning):
    """An environment plays a mode or difficulty that its model was not trained on."""


def variant(env: gym.Env[Any, Any]) -> tuple[int | None, int | None]:
    """Mode and difficulty that an Atari environment was made with; None: the game's default, which ALE lists first."""
    spec, ale = env.unwrapped.spec, getattr(env.unwrapped, "ale", None)
    asked = {} if spec is None or ale is None else spec.kwargs  # other environments mean something else by these words
    mode, difficulty = asked.get("mode"), asked.get("difficulty")
    if ale is not None:
        mode = None if mode in ale.getAvailableModes()[:1] else mode
        difficulty = None if difficulty in ale.getAvailableDifficulties()[:1] else difficulty
    return mode, difficulty


def warn_about_unseen(model: ObjectModel, mode: int | None, difficulty: int | None) -> None:
    """Warn where a model was trained on another mode or difficulty than an environment plays.

    A model that does not say what it was trained on is taken as it is.

    Args:
        model: the model.
        mode, difficulty: as :func:`variant` gives them.
    """
    settings = getattr(model, "settings", None)
    if settings is None:
        return
    pairs = (("mode", settings.mode, mode), ("difficulty", settings.difficulty, difficulty))
    for name, trained, played in pairs:
        if trained != played:
            was, now = (f"the default {name}" if one is None else f"{name} {one}" for one in (trained, played))
            warnings.warn(
                f"the model of {model.game} was trained on {was} of the game, and the environment plays {now}: it may "
                "miss objects, call them by wrong names, or find more than there are slots for.",
                UnseenWarning,
                stacklevel=2,
            )


def with_classes(model: ObjectModel) -> SceneConfig:
    """The scene of a model that was trained without labels: its classes are the clusters, ``object0`` and so on."""
    return replace(model.scene, classes=tuple(model.class_names))
