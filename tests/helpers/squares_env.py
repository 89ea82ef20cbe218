"""A tiny env that is no Atari game: a hero that walks and a ball that rolls, drawn at twice the size of a tiny model.

``"tests.helpers.squares_env:toy/Squares-v0"`` in a worker process. H and W differ, so that swapped axes show.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.frames import boxes_to_z_where, require_frames
from spacetime_env.objects.detections import Detections

NATIVE = (38, 32)  # H, W that models read
SIDES = {"Hero": (6, 4), "Ball": (4, 6)}  # w, h in a model's pixels
COLORS = {"Hero": (250, 40, 10), "Ball": (20, 60, 240)}
FLOOR = (90, 80, 70)
ACTIONS: dict[str, spaces.Space] = {
    "discrete": spaces.Discrete(3, start=-1),
    "continuous": spaces.Box(-1, 1, (2,), np.float32),
    "several": spaces.MultiDiscrete([3, 2]),
    "dict": spaces.Dict(steps=spaces.Discrete(3, start=-1)),
}


class Squares(gym.Env):
    """Observes numbers that no agent needs. An action goes left, nowhere or right. +1 in the right half."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 9}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, actions: str = "discrete", length: int = 9) -> None:
        self.render_mode, self.length = render_mode, length
        self.observation_space = spaces.Box(-9, 9, (5,), np.float64)
        self.action_space = ACTIONS[actions]
        self.rendered = 0  # how often

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.time = 0
        self.places = {"Hero": (13, 30), "Ball": (2, int(self.np_random.integers(1, 22)))}  # x, y in a model's pixels
        return np.zeros(5), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(action)
        value = action["steps"] if isinstance(action, dict) else np.ravel(action)[0]
        by = int(value) - 1 if isinstance(self.action_space, spaces.MultiDiscrete) else round(float(value))
        (x, y), (ball_x, ball_y) = self.places.values()
        self.places = {"Hero": (min(max(x + by, 0), 26), y), "Ball": ((ball_x + 2) % 28, ball_y)}
        self.time += 1
        return np.zeros(5), float(x >= 13), self.time >= self.length, False, {"time": self.time}

    def render(self) -> np.ndarray | None:
        if self.render_mode is None:
            return None
        self.rendered += 1
        picture = np.full((2 * NATIVE[0], 2 * NATIVE[1], 3), FLOOR, np.uint8)
        for name, (x, y) in self.places.items():
            w, h = SIDES[name]
            picture[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)] = COLORS[name]
        return picture


def boxes(env: Squares) -> list[tuple[str, float, float, float, float]]:
    """True boxes, in pixels of the rendered frame."""
    return [(name, 2 * x, 2 * y, 2 * SIDES[name][0], 2 * SIDES[name][1]) for name, (x, y) in env.places.items()]


class SquareModel:
    """Finds them by their colours: exact, and with the interface of a loaded model."""

    game, native, class_names, space = "squares", NATIVE, tuple(COLORS), None

    def __init__(self) -> None:
        self.scene = SceneConfig(classes=self.class_names, max_speed=4.0)
        self.config = ModelConfig(z_what_dim=2)

    def detect(self, frames: np.ndarray | list[np.ndarray]) -> list[Detections]:
        return [self._detect(frame) for frame in require_frames(np.stack(list(frames)), NATIVE)]

    def _detect(self, frame: np.ndarray) -> Detections:
        found = []
        for color in COLORS.values():
            ys, xs = np.nonzero((frame == color).all(-1))
            found.append((xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1))
        box = np.array(found, np.float32)
        sure, what = np.full(2, 0.99, np.float32), np.eye(2, dtype=np.float32)
        return Detections(box, boxes_to_z_where(box, NATIVE), np.arange(2), sure, what, self.class_names)


if "toy/Squares-v0" not in gym.registry:
    gym.register("toy/Squares-v0", entry_point=Squares)
