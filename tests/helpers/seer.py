"""A model that detects the objects of the made-up game by their colours. ``from tests.helpers.seer import seer``."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from tests.helpers.tiny import COLORS, MODEL, NATIVE

SCENE = SceneConfig(classes=("Player", "Ball"), slots={"Player": 1, "Ball": 1})
OFF = 51  # 0.2 of the colours' range


class Seer:
    """Stands in for a :class:`Model`: finds what has a colour, with a z_what of its class.

    ``blur`` lets z_what depend on the place, so that classes are not alike.
    """

    game, config = "Pong", MODEL

    def __init__(
        self,
        names: tuple[str, ...] = ("Player", "Ball"),
        scene: SceneConfig = SCENE,
        blind: Sequence[str] = (),
        blur: float = 0,
    ) -> None:
        self.class_names, self.scene, self.native, self.blind, self.blur = names, scene, NATIVE, blind, blur
        self.settings = SimpleNamespace(sha256="abc", trained={"steps": "7"})

    def detect(self, frames: np.ndarray) -> list[Detections]:
        return [self.see(frame) for frame in frames]

    def see(self, frame: np.ndarray) -> Detections:
        boxes, ids, z_what = [], [], []
        for number, (name, color) in enumerate(COLORS.items()):
            ys, xs = np.nonzero((frame == color).all(axis=-1))
            if name not in self.blind and len(xs):
                boxes.append((xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1))
                ids.append(number)
                z_what.append((10 * number + self.blur * (ys.min() * 7 % 5), 0, 1))
        places = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(
            boxes=places,
            z_where=boxes_to_z_where(places, NATIVE),
            class_ids=np.array(ids, np.int64),
            confidence=np.full(len(boxes), 0.9, np.float32),
            z_what=np.array(z_what, np.float32).reshape(-1, 3),
            class_names=self.class_names,
        )

    def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        return {"reconstruction": np.where(frames > 127, frames - OFF, frames + OFF).astype(np.uint8)}


def seer(**options: Any) -> Model:
    return cast(Model, Seer(**options))
