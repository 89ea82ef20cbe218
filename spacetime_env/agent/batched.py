"""Envs in one process that see together: one call of the network for all of their frames.

SB3's ``DummyVecEnv`` steps its envs one after the other, so the network looks at one frame at a time, and most of
its time goes into starting operations. Here each env runs in a greenlet. An env that wants its frame looked at
stops there; when all have stopped, one call answers them all. The envs need not know: resets, random starts and
wrappers work as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from greenlet import getcurrent, greenlet
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from spacetime_env.scene import Detections
from spacetime_env.wrapper import SpaceTimeObservation


class BatchedVecEnv(DummyVecEnv):
    """A ``DummyVecEnv`` whose envs share one model and one call of it a step.

    Envs without a :class:`SpaceTimeObservation`, or with other weights than the first one's, are stepped as usual.
    Detections differ from those of single frames by float rounding alone.
    """

    def __init__(self, makers: Sequence[Callable[[], gym.Env]]) -> None:
        super().__init__(list(makers))
        self._model: Any = None
        for env in self.envs:
            layer: Any = env
            while layer is not None and not isinstance(layer, SpaceTimeObservation):
                layer = getattr(layer, "env", None)
            if layer is None:
                continue
            if self._model is None:
                self._model = layer.model
            if same_weights(layer.model, self._model):
                layer.model = _Waiting(self._model)

    def step_wait(self) -> VecEnvStepReturn:
        """Step all envs; one that ends is reset."""
        self._together([partial(self._step_one, i) for i in range(self.num_envs)])
        return (
            self._obs_from_buf(),
            np.copy(self.buf_rews),
            np.copy(self.buf_dones),
            copy.deepcopy(self.buf_infos),
        )

    def reset(self) -> VecEnvObs:
        """Reset all envs."""
        self._together([partial(self._reset_one, i) for i in range(self.num_envs)])
        self._reset_seeds()
        self._reset_options()
        return self._obs_from_buf()

    def _step_one(self, i: int) -> None:
        observation, reward, terminated, truncated, info = self.envs[i].step(self.actions[i])
        self.buf_rews[i], self.buf_dones[i], self.buf_infos[i] = float(reward), terminated or truncated, info
        info["TimeLimit.truncated"] = truncated and not terminated
        if self.buf_dones[i]:
            info["terminal_observation"] = observation
            observation, self.reset_infos[i] = self.envs[i].reset()
        self._save_obs(i, observation)

    def _reset_one(self, i: int) -> None:
        options = {"options": self._options[i]} if self._options[i] else {}
        observation, self.reset_infos[i] = self.envs[i].reset(seed=self._seeds[i], **options)
        self._save_obs(i, observation)

    def _together(self, works: Sequence[Callable[[], None]]) -> None:
        """Run all, and answer the frames that they ask about in one call each round."""
        running = [greenlet(work) for work in works]
        asked = [(g, g.switch()) for g in running]
        while asked := [(g, frame) for g, frame in asked if not g.dead]:
            found = self._model.detect(np.stack([frame for _, frame in asked]))
            asked = [(g, g.switch([one])) for (g, _), one in zip(asked, found, strict=True)]


class _Waiting:
    """A model that waits for other envs' frames where it runs in a :class:`BatchedVecEnv`."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_model":  # asked for by copy and pickle before there is a model
            raise AttributeError(name)
        return getattr(self._model, name)

    def detect(self, frames: np.ndarray) -> list[Detections]:
        """As the model's; a single frame (H, W, 3) asked for inside an env waits for the others'."""
        hub = getcurrent().parent
        if hub is None or frames.ndim != 3:
            return self._model.detect(frames)
        return hub.switch(frames)


def same_weights(one: Any, other: Any) -> bool:
    """Whether two models give the same detections: the same object, or loaded from the same file."""
    if one is other:
        return True
    mine, theirs = (getattr(getattr(model, "settings", None), "sha256", None) for model in (one, other))
    return bool(mine) and mine == theirs
