"""What an environment asks of a model, and the watcher that asks it frame after frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from spacetime_env.config import ModelConfig, SceneConfig
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
        try:
            return cast(Any, model).follow(frames, games, self._followed)
        except BaseException:  # Ctrl-C too: what it remembers may be of this frame in part
            self._model = None
            raise
