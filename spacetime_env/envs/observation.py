"""Turns tracked rows into what an agent observes: the formats, the history of steps, and their spaces."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

from spacetime_env.objects.detections import Detections, as_arrays, by_name
from spacetime_env.objects.tracker import FEATURES, Tracker

OBS_FORMATS = ("objects", "flat", "dict", "latents")

# z_what has a standard normal prior, and the KL term of the loss keeps its mean near 0: a mean of 10 costs 50 nats.
# So cutting at 10 loses nothing, and a space with limits can be sampled.
LATENT_LIMIT = 10.0

SCENE_INFO = (True, False, "arrays")  # what info["scene"] may be

Scene: TypeAlias = "dict[str, list[tuple[float, float]]] | dict[str, np.ndarray]"
ObsType: TypeAlias = "np.ndarray | dict[str, np.ndarray]"


class Past(NamedTuple):
    """What an :class:`Observer` remembers of the steps before: copies."""

    rows: tuple[np.ndarray, ...]  # (slots, features) each, the newest first
    latents: np.ndarray  # (slots, depth)


@dataclass(frozen=True)
class SceneForm:
    """What ``info["scene"]`` holds.

    Args:
        scene_info: True for lists by class name, ``"arrays"`` for arrays.
        counts: class name -> rows of its array.
    """

    scene_info: bool | str
    counts: Mapping[str, int]

    def scene(self, class_ids: np.ndarray, centers: np.ndarray, class_names: Sequence[str]) -> Scene:
        """The scene of one frame; see :func:`spacetime_env.objects.detections.by_name` for what it is made of."""
        if self.scene_info == "arrays":
            return as_arrays(class_ids, centers, class_names, self.counts)
        return by_name(class_ids, centers, class_names)


class Observer:
    """Makes the observation of each step from the rows of a tracker, and remembers the steps before.

    Args:
        obs_format: one of :data:`OBS_FORMATS`.
        slots: number of rows.
        history: how many steps a row holds, 1 or more.
        depth: D, the size of z_what, for ``"latents"``; 0 for the other formats.

    Attributes:
        space: the space of the observations.
        feature_names: the name of each column.
        latents: (slots, depth) float32, z_what of each slot.
    """

    def __init__(self, obs_format: str, slots: int, history: int, depth: int) -> None:
        self._obs_format = obs_format
        self._past: deque[np.ndarray] = deque(maxlen=int(history))
        self.latents = np.zeros((slots, depth), np.float32)
        now = FEATURES + tuple(f"z_what_{i}" for i in range(depth))
        before = tuple(f"{name}_t-{t}" for t in range(1, history) for name in now)
        self.feature_names: tuple[str, ...] = now + before
        self.space = self._space(depth)

    def _space(self, depth: int) -> gym.Space[Any]:
        limits = [1.0] * len(FEATURES) + [LATENT_LIMIT] * depth
        assert self._past.maxlen is not None
        high = np.tile(np.array(limits, np.float32), (len(self.latents), self._past.maxlen))
        objects = Box(-high, high, dtype=np.float32)
        if self._obs_format == "flat":
            return Box(-high.ravel(), high.ravel(), dtype=np.float32)
        if self._obs_format == "dict":
            return Dict(objects=objects, mask=Box(0, 1, (len(high),), np.float32))
        return objects

    def reset(self) -> None:
        """Forget the steps before: a new episode begins."""
        self._past.clear()
        self.latents[:] = 0

    def remember(self) -> Past:
        """What it remembers of the steps before."""
        return Past(tuple(rows.copy() for rows in self._past), self.latents.copy())

    def recall(self, past: Past) -> None:
        """Remember what was remembered then.

        Raises:
            ValueError: it was remembered by an observer of other slots, latents or history.
        """
        if past.latents.shape != self.latents.shape or len(past.rows) not in (0, self._past.maxlen):
            raise ValueError(
                f"expected the state of {len(self.latents)} slots, {self.latents.shape[1]} latents and a history of "
                f"{self._past.maxlen}, got {len(past.latents)}, {past.latents.shape[1]} and {len(past.rows)}."
            )
        self._past.clear()
        self._past.extend(rows.copy() for rows in past.rows)
        self.latents[:] = past.latents

    def observe(self, rows: np.ndarray, tracker: Tracker, detections: Detections) -> ObsType:
        """The observation of this step.

        Args:
            rows: (slots, 7) float32, what ``tracker`` made of ``detections``.
            tracker: says which detection each row is of.
            detections: the objects in the frame.

        Returns:
            Of the shape of :attr:`space`. In the format ``"objects"`` without history, it is ``rows`` itself.
        """
        if self._obs_format == "objects" and self._past.maxlen == 1:
            return rows
        used = rows.any(axis=1)
        if self._obs_format == "latents":
            for slot, source in enumerate(tracker.sources):
                if source >= 0:  # an object that is not found keeps its latents, as it keeps its place
                    self.latents[slot] = detections.z_what[source].clip(-LATENT_LIMIT, LATENT_LIMIT)
            self.latents[~used] = 0
            rows = np.concatenate([rows, self.latents], axis=1)
        if self._past.maxlen != 1:
            if not self._past:
                self._past.extend([rows] * (self._past.maxlen or 1))
            self._past.appendleft(rows)
            rows = np.concatenate(self._past, axis=1)
        if self._obs_format == "flat":
            return rows.ravel()
        if self._obs_format == "dict":
            return {"objects": rows, "mask": np.asarray(used, np.float32)}
        return rows
