"""Which model an environment looks with: what it must be able to do, and finding and checking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import gymnasium as gym
import numpy as np

from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.games import UnknownGameError, canonical
from spacetime_env.models.screens import Screen
from spacetime_env.objects.detections import Detections


class ObjectModel(Protocol):
    """What :class:`SpaceTimeObservation` needs of a model; :class:`spacetime_env.models.model.Model` is one."""

    @property
    def game(self) -> str: ...
    @property
    def native(self) -> tuple[int, int]: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def scene(self) -> SceneConfig: ...
    @property
    def config(self) -> ModelConfig: ...
    def detect(self, frames: np.ndarray | list[np.ndarray], /) -> list[Detections]: ...


class Watcher:
    """Looks at the frames of some games as they are played, with a model that may remember the last ones.

    A model with ``begin`` and ``follow``, as :class:`spacetime_env.models.model.Model` has them, computes only what
    changed; of another one, its ``detect`` is called. With a new model it begins anew.

    Args:
        games: how many.
    """

    def __init__(self, games: int) -> None:
        self.games = games
        self._model: ObjectModel | None = None
        self._followed: Any = None

    def detect(
        self, model: ObjectModel, frames: list[np.ndarray | Screen], games: Sequence[int]
    ) -> list[Detections]:
        """The objects in the next frame of each of ``games``, numbers from 0. Screens, where the model sees them."""
        if model is not self._model:
            begin = getattr(model, "begin", None)
            self._model, self._followed = model, None if begin is None else begin(self.games)
        if self._followed is None:
            return model.detect(cast(list[np.ndarray], frames))
        return cast(Any, model).follow(frames, games, self._followed)


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
