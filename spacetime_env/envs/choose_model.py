"""Which model an environment looks with: what it must be able to do, and finding and checking it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym

from spacetime_env.config import SceneConfig
from spacetime_env.games import UnknownGameError, canonical
from spacetime_env.models.watcher import ObjectModel


def game_of(env: gym.Env[Any, Any]) -> str | None:
    """The game that ``env`` plays; ``None`` if its spec does not say."""
    spec = env.unwrapped.spec
    try:
        return None if spec is None else canonical(spec.kwargs.get("game") or spec.id)
    except UnknownGameError:
        return None


def default_model(game: str | None) -> str:
    """The name of the bundled model of a game.

    Raises:
        ValueError: it is not known which game.
        UnknownModelError: there is none.
    """
    from spacetime_env.models.folder import available_models
    from spacetime_env.shipped import UnknownModelError

    if game is None:
        raise ValueError("expected a model: this environment's spec does not say which game it plays.")
    name = game.lower()
    if name not in (bundled := available_models()):
        raise UnknownModelError(
            f"no model of {game} comes with spacetime_env; these do: {', '.join(bundled) or 'none'}. "
            f"Make one with: python pretrain_space.py --game {game}"
        )
    return name


def load_for(model: str | ObjectModel, game: str | None) -> ObjectModel:
    """The model; of one of several games, that of ``game``."""
    if not isinstance(model, str):
        return model
    from spacetime_env.models.folder import load_model
    from spacetime_env.models.settings import SeveralGamesError

    try:
        return load_model(model)
    except SeveralGamesError:
        if game is None:
            raise
    return load_model(model, game)


def require_match(model: ObjectModel, game: str | None, size: tuple[int, int], allow: bool) -> None:
    """Refuse a model of another game, unless that is allowed, or of frames of another size.

    Raises:
        ValueError: saying which.
    """
    if game is not None and canonical(model.game) != game and not allow:
        raise ValueError(
            f"the model is of {model.game}, and the environment plays {game}: what it would see has "
            "no meaning. Pass a model of the game, or allow_game_mismatch=True if you mean it."
        )
    if tuple(model.native) != size:
        raise ValueError(
            f"the model reads native frames of H x W = {model.native[0]} x {model.native[1]}, and the "
            f"environment observes {size[0]} x {size[1]}. Put the wrapper inside those that resize."
        )


def with_classes(model: ObjectModel) -> SceneConfig:
    """The scene of a model without labels: its classes are clusters, named when it was trained."""
    return replace(model.scene, classes=tuple(model.class_names))
