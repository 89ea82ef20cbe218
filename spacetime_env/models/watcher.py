"""The interface of a model that environments use, and a watcher that gives a model frame after frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.models.screens import Screen
from spacetime_env.objects.detections import Detections


class ObjectModel(Protocol):
    """What :class:`SpaceTimeObservation` needs of a model. :class:`spacetime_env.models.model.Model` has it."""

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
    """Has a model look at the successive frames of some games, and keeps the model's memory of them.

    A model with ``begin`` and ``follow`` (see :class:`spacetime_env.models.model.Model`) computes only what changed
    since the last frame. Other models are asked with ``detect``. Where another model is given than before, the memory
    begins anew.

    Args:
        games: how many games there are.
    """

    def __init__(self, games: int) -> None:
        self.games = games
        self._model: ObjectModel | None = None
        self._memory: Any = None

    def detect(self, model: ObjectModel, frames: list[np.ndarray | Screen], games: Sequence[int]) -> list[Detections]:
        """The objects in the next frames of some games.

        Args:
            model: the model that looks.
            frames: B frames, (H, W, 3) uint8 RGB each; or B screens, if the model takes them.
            games: the game that each frame belongs to: B different numbers from 0.
        """
        if model is not self._model:
            begin = getattr(model, "begin", None)
            self._model, self._memory = model, None if begin is None else begin(self.games)
        if self._memory is None:
            return model.detect(cast(list[np.ndarray], frames))
        try:
            return cast(Any, model).follow(frames, games, self._memory)
        except BaseException:  # Ctrl-C too: what it remembers may be of this frame in part
            self._model = None
            raise
