"""A block of environments that look at their frames together, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from spacetime_env.envs.env import SpaceTimeEnv
from spacetime_env.envs.observation import SceneForm
from spacetime_env.models.screens import Screen
from spacetime_env.models.watcher import Watcher
from spacetime_env.objects.detections import Detections


class Stepped(NamedTuple):
    """What a block's environments answer to a step, one entry each."""

    observations: list[Any]
    rewards: list[float]
    terminations: list[bool]
    truncations: list[bool]
    infos: list[dict[str, Any]]
    final: list[tuple[Any, dict[str, Any]] | None]  # the last observation and info of an episode that just ended


class Packed(NamedTuple):
    """:class:`Stepped` in a form that is quickly sent: a few arrays in place of a hundred tuples."""

    stepped: Stepped  # without observations, where these are in one array, and without infos' scenes
    observations: np.ndarray | None  # (B, ...)
    counts: list[int]  # of the objects of each environment
    class_ids: np.ndarray  # (n,) of all of them, one environment after the other
    centers: np.ndarray  # (n, 2)

    def unpack(self, form: SceneForm | None, class_names: Sequence[str]) -> Stepped:
        """What was packed. ``form`` makes the scenes; None leaves them out."""
        start = 0
        for info, count in zip(self.stepped.infos, self.counts, strict=True):
            mine = slice(start, start + count)
            if form is not None:
                info["scene"] = form.scene(self.class_ids[mine], self.centers[mine], class_names)
            start += count
        if self.observations is None:
            return self.stepped
        return self.stepped._replace(observations=list(self.observations))


class Block:
    """Environments that share a model: their frames are looked at in one call.

    Args:
        envs: the environments.
        autoreset_mode: when one that is over begins anew.
        max_episode_steps: an episode is truncated after so many.
        packed: answer to a step with :class:`Packed`.
    """

    def __init__(
        self,
        envs: Sequence[SpaceTimeEnv],
        autoreset_mode: AutoresetMode,
        max_episode_steps: int | None = None,
        packed: bool = False,
    ) -> None:
        self.envs = list(envs)
        self.packed = packed
        self.mode = autoreset_mode
        self.limit = max_episode_steps
        self.over = [False] * len(self.envs)
        self.steps = [0] * len(self.envs)  # of the episodes so far
        self._watcher = Watcher(len(self.envs))

    def reset(
        self, seeds: Sequence[int | None], options: dict[str, Any] | None, chosen: Sequence[int]
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Reset the ``chosen`` environments, with a seed each: observation and info of each."""
        for i in chosen:
            self.over[i] = False
        return self._look([(i, *self._begin(i, seed, options)) for i, seed in zip(chosen, seeds, strict=True)])

    def step(self, actions: Sequence[Any]) -> Stepped | Packed:
        """One step of every environment; those that are over are begun anew as ``autoreset_mode`` says."""
        count = len(self.envs)
        rewards, terminations, truncations = [0.0] * count, [False] * count, [False] * count
        final: list[tuple[Any, dict[str, Any]] | None] = [None] * count
        frames: list[tuple[int, np.ndarray | Screen, dict[str, Any]]] = []
        for i, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            if self.over[i] and self.mode is AutoresetMode.NEXT_STEP:
                frames.append((i, *self._begin(i)))
                continue
            frame, reward, terminations[i], truncations[i], info = env.advance(action)
            rewards[i] = float(reward)
            self.steps[i] += 1
            truncations[i] = truncations[i] or (self.limit is not None and self.steps[i] >= self.limit)
            frames.append((i, frame, info))
        seen = self._look(frames, scenes=not self.packed)
        self.over = [a or b for a, b in zip(terminations, truncations, strict=True)]
        if self.mode is AutoresetMode.SAME_STEP and any(self.over):
            ended = [i for i in range(count) if self.over[i]]
            for i in ended if self.packed else ():
                self.envs[i].add_scene(self._found(i), seen[i][1])
            firsts = self._look([(i, *self._begin(i)) for i in ended], scenes=not self.packed)
            for i, first in zip(ended, firsts, strict=True):
                final[i], seen[i] = seen[i], first
        observations, infos = [o for o, _ in seen], [n for _, n in seen]
        stepped = Stepped(observations, rewards, terminations, truncations, infos, final)
        return self._pack(stepped) if self.packed else stepped

    def _pack(self, stepped: Stepped) -> Packed:
        found = [self._found(i) for i in range(len(self.envs))]
        joined = None
        if isinstance(stepped.observations[0], np.ndarray):
            joined, stepped = np.stack(stepped.observations), stepped._replace(observations=[])
        class_ids = np.concatenate([one.class_ids for one in found])
        centers = np.concatenate([one.z_where[:, 2:] for one in found])
        return Packed(stepped, joined, [len(one) for one in found], class_ids, centers)

    def _found(self, i: int) -> Detections:
        found = self.envs[i].detections
        assert found is not None
        return found

    def _begin(
        self, i: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray | Screen, dict[str, Any]]:
        self.steps[i] = 0
        return self.envs[i].begin(seed, options)

    def _look(
        self, frames: list[tuple[int, np.ndarray | Screen, dict[str, Any]]], scenes: bool = True
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Observations and infos, with or without scenes, of environments with a new frame: (index, frame, info) each.
        """
        if not frames:
            return []
        model = self.envs[0].model
        found = self._watcher.detect(model, [frame for _, frame, _ in frames], [i for i, _, _ in frames])
        return [self.envs[i].observe(one, info, scenes) for (i, _, info), one in zip(frames, found, strict=True)]

    def call(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """A method's results, or an attribute, of each environment."""
        found = (env.get_wrapper_attr(name) for env in self.envs)
        return [one(*args, **kwargs) if callable(one) else one for one in found]

    def assign(self, name: str, values: Sequence[Any]) -> None:
        """Set an attribute of each environment."""
        for env, value in zip(self.envs, values, strict=True):
            env.set_wrapper_attr(name, value)

    def close(self) -> None:
        """Close all environments."""
        for env in self.envs:
            env.close()


class Local:
    """A :class:`Block` in this process, spoken to like a :class:`Remote` one."""

    def __init__(self, block: Block, one_thread: bool) -> None:
        self.block = block
        self.one_thread = one_thread  # while other processes use the other cores
        self._answer: Any = None

    def send(self, name: str, *args: Any) -> None:
        """Call a method of the block."""
        import torch

        threads = torch.get_num_threads()
        if self.one_thread and threads > 1:
            torch.set_num_threads(1)
        try:
            self._answer = getattr(self.block, name)(*args)
        except Exception as error:
            self._answer = error
        finally:
            if self.one_thread and threads > 1:
                torch.set_num_threads(threads)

    def receive(self) -> Any:
        """What it returned; what it raised is raised here."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def settle(self) -> None:
        """Nothing is under way here between two calls."""

    def close(self) -> None:
        """Close the environments."""
        self.block.close()
