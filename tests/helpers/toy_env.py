"""A tiny env for the tests of agents: a hand moves left or right and should stand under a ball."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

FEATURES = ("presence", "x", "y", "width", "height", "dx", "dy")


class Catch(gym.Env):
    """Observation (2, 7): hand, ball. Actions: stay, left, right. +1 a step under the ball, -1 otherwise."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium's own form)
    feature_names = FEATURES
    slot_names = ("Hand", "Ball")

    def __init__(self, length: int = 12, sha256: str = "a" * 64, form: str = "objects") -> None:
        self.length, self.form = length, form
        self.model = SimpleNamespace(game="Catch", settings=SimpleNamespace(sha256=sha256))
        shapes = {"objects": (2, 7), "flat": (14,)}
        self.observation_space = spaces.Box(-1, 1, shapes[form], np.float32)
        self.action_space = spaces.Discrete(3)

    @property
    def threads(self) -> int:
        """What torch may use in this process."""
        return torch.get_num_threads()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.time, self.hand, self.ball = 0, 0.0, float(self.np_random.uniform(-0.9, 0.9))
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.time += 1
        self.hand = float(np.clip(self.hand + (0.0, -0.1, 0.1)[int(action)], -0.9, 0.9))
        reward = 1.0 if abs(self.hand - self.ball) < 0.1 else -1.0
        return self._observe(), reward, self.time >= self.length, False, {}

    def _observe(self) -> np.ndarray:
        rows = [[1, self.hand, 0.9, 0.1, 0.1, 0, 0], [1, self.ball, -0.9, 0.05, 0.05, 0, 0]]
        return np.array(rows, np.float32).reshape(self.observation_space.shape)


if "toy/Catch-v0" not in gym.registry:  # "tests.helpers.toy_env:toy/Catch-v0" in a worker process
    gym.register("toy/Catch-v0", entry_point=Catch)
