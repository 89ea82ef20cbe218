"""Many envs in few processes: SB3's ``SubprocVecEnv`` with a block of envs in each worker.

``SubprocVecEnv`` starts a process for each env. With more envs than cores they fight for the cores, and each
holds torch and a model in memory. Here a worker plays several envs, which share one model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from spacetime_env.agent.batched import BatchedVecEnv


class Block(gym.Env):
    """Envs that look like one: what a worker steps. They reset themselves; the block itself never ends."""

    def __init__(self, makers: Sequence[Callable[[], gym.Env]]) -> None:
        self.envs = BatchedVecEnv(makers)
        self.observation_space = stacked(self.envs.observation_space, len(makers))
        self.action_space = self.envs.action_space
        self.render_mode = self.envs.render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Reset all envs."""
        return self.envs.reset(), {}

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict]:
        """Step all envs: (envs, ...) observations and (envs,) rewards; all else comes in the info."""
        observations, rewards, dones, infos = self.envs.step(action)
        return observations, rewards, False, False, {"dones": dones, "infos": infos}

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A method of the envs' :class:`BatchedVecEnv`."""
        return getattr(self.envs, method)(*args, **kwargs)

    def close(self) -> None:
        """Close all envs."""
        self.envs.close()


class BlockVecEnv(VecEnvWrapper):
    """``workers`` processes that share the envs equally.

    Args:
        makers: one for each env, picklable by cloudpickle.
        workers: processes; they must divide the number of envs.
    """

    def __init__(self, makers: Sequence[Callable[[], gym.Env]], workers: int) -> None:
        if workers < 1 or len(makers) % workers:
            raise ValueError(f"{len(makers)} envs cannot be shared equally by {workers} workers.")
        self.size = len(makers) // workers
        blocks = [makers[start : start + self.size] for start in range(0, len(makers), self.size)]
        venv = SubprocVecEnv([_BlockMaker(block) for block in blocks])
        super().__init__(venv, unstacked(venv.observation_space))
        self.num_envs = len(makers)
        self.reset_infos = [{} for _ in makers]

    def reset(self) -> VecEnvObs:
        """Reset all envs."""
        return self._flat(self.venv.reset())

    def step_async(self, actions: np.ndarray) -> None:
        """Send (envs,) actions."""
        self.venv.step_async(actions.reshape(-1, self.size, *actions.shape[1:]))

    def step_wait(self) -> VecEnvStepReturn:
        """Receive what all envs answer."""
        observations, rewards, _, blocks = self.venv.step_wait()
        dones = np.concatenate([block["dones"] for block in blocks])
        infos = [info for block in blocks for info in block["infos"]]
        return self._flat(observations), rewards.reshape(-1), dones, infos

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the envs ``seed``, ``seed + 1``, ... for their next reset."""
        found: list[int | None] = []
        for block in range(self.num_envs // self.size):
            start = None if seed is None else seed + block * self.size
            found += self.venv.env_method("call", "seed", start, indices=[block])[0]
        return found

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each env."""
        return self._each("get_attr", attr_name, indices=indices)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all envs."""
        self._all_only(indices)
        self.venv.env_method("call", "set_attr", attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of each env."""
        return self._each("env_method", method_name, *args, indices=indices, **kwargs)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Whether each env has this wrapper."""
        return self._each("env_is_wrapped", wrapper_class, indices=indices)

    def _each(self, method: str, *args: Any, indices: VecEnvIndices, **kwargs: Any) -> list[Any]:
        chosen = list(self._get_indices(indices))
        blocks = self.venv.env_method("call", method, *args, **kwargs)
        every = [answer for block in blocks for answer in block]
        return [every[index] for index in chosen]

    def _all_only(self, indices: VecEnvIndices) -> None:
        if indices is not None:
            raise NotImplementedError("an attribute can be set in all envs at once only.")

    def _flat(self, observations: Any) -> Any:
        """(workers, envs of each, ...) -> (envs, ...)."""
        if isinstance(observations, dict):
            return {key: self._flat(value) for key, value in observations.items()}
        return observations.reshape(self.num_envs, *observations.shape[2:])


class _BlockMaker:
    def __init__(self, makers: Sequence[Callable[[], gym.Env]]) -> None:
        self.makers = list(makers)

    def __call__(self) -> Block:
        return Block(self.makers)


def stacked(space: spaces.Space, count: int) -> spaces.Space:
    """The space of ``count`` observations in an array, or in a dict of arrays."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: stacked(item, count) for key, item in space.spaces.items()})
    if not isinstance(space, spaces.Box):
        raise ValueError(f"expected observations in a Box, or in a Dict of them, got {space}.")
    low, high = (np.repeat(edge[None], count, 0) for edge in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


def unstacked(space: spaces.Space) -> spaces.Space:
    """Undo :func:`stacked`."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: unstacked(item) for key, item in space.spaces.items()})
    assert isinstance(space, spaces.Box)
    return spaces.Box(space.low[0], space.high[0], dtype=space.dtype.type)
