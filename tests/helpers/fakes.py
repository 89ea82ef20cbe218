"""Stand-ins for what takes minutes to train: ``from tests.helpers.fakes import ColourModel, make_pong``."""

from __future__ import annotations

from typing import Any

import cv2
import gymnasium as gym
import numpy as np

import spacetime_env  # noqa: F401  (registers SpaceTime/<Game>-v5, also in a spawned worker)
from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.frames import boxes_to_z_where, require_frames
from spacetime_env.objects.detections import Detections

COLOURS = {"Player": (92, 186, 92), "Enemy": (213, 130, 74), "Ball": (236, 236, 236)}  # ALE's, RGB
TOP, BOTTOM = 34, 194  # the rows of Pong's field, without score and walls


class ColourModel:
    """Finds Pong's objects by their colours: exact, fast, and with the interface of a loaded model.

    ``missed`` and ``jitter`` make it as bad as a learned one: the part of objects it does not see, and by
    how many pixels its boxes are off. ``subframes`` is how many frames of the emulator it asks to see at once.
    z_what is one-hot of the class.
    """

    game = "Pong"
    native = (210, 160)
    class_names = tuple(COLOURS)
    space = None

    def __init__(self, missed: float = 0.0, jitter: int = 0, seed: int = 0, subframes: int = 1) -> None:
        self.scene = SceneConfig(classes=self.class_names, ignore=((0, 0, 160, TOP), (0, BOTTOM, 160, 16)))
        self.config = ModelConfig(z_what_dim=len(COLOURS), subframes=subframes)
        self.missed, self.jitter = missed, jitter
        self._rng = np.random.default_rng(seed)

    def detect(self, frames: np.ndarray | list[np.ndarray]) -> list[Detections]:
        frames = np.stack(frames) if isinstance(frames, list) else frames
        return [self._detect(frame) for frame in require_frames(frames, self.native)]

    def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        frames = require_frames(frames, self.native)
        alpha = np.zeros_like(frames)
        for i, found in enumerate(self.detect(frames)):
            for x, y, w, h in found.boxes.astype(int).tolist():
                alpha[i, y : y + h, x : x + w] = 255
        background = np.empty_like(frames)
        background[:] = frames[0, TOP + 1, 0]
        foreground = np.where(alpha > 0, frames, 0)
        reconstruction = np.where(alpha > 0, frames, background)
        return {
            "reconstruction": reconstruction,
            "foreground": foreground,
            "background": background,
            "alpha": alpha,
        }

    def _detect(self, frame: np.ndarray) -> Detections:
        boxes, ids = [], []
        for class_id, colour in enumerate(COLOURS.values()):
            mask = (frame[TOP:BOTTOM, :, 0] == colour[0]).astype(np.uint8)  # no two share their red
            if mask.any() and self._rng.random() >= self.missed:
                x, y, w, h = cv2.boundingRect(mask)
                off = self._rng.integers(-self.jitter, self.jitter + 1, 2)
                boxes.append((x + off[0], y + TOP + off[1], w, h))
                ids.append(class_id)
        found = np.array(boxes, np.float32).reshape(-1, 4)
        what = np.eye(len(COLOURS), dtype=np.float32)[ids]
        return Detections(
            found,
            boxes_to_z_where(found, self.native),
            np.array(ids, np.int64),
            np.full(len(ids), 0.99, np.float32),
            what.reshape(-1, len(COLOURS)),
            self.class_names,
        )


def make_pong(model: Any = None, **kwargs: Any) -> gym.Env[Any, Any]:
    """``SpaceTime/Pong-v5`` with a :class:`ColourModel`: a factory that a worker process can import."""
    return gym.make("SpaceTime/Pong-v5", model=model or ColourModel(), **kwargs)


def play(env: gym.Env, steps: int, seed: int = 0) -> list[Any]:
    """(observation, reward, info) of each step, with the same actions for a seed."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    out: list[Any] = [(observation, 0.0, info)]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(int(rng.integers(6)))
        out.append((observation, reward, info))
        if terminated or truncated:
            observation, info = env.reset()
    return out


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other))
