"""Makes a Stable-Baselines3 ``VecEnv`` of a Gymnasium ``VectorEnv``. SB3 has nothing for this itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn


class VectorEnvBridge(VecEnv):
    """Lets SB3 train on ``gym.make_vec(...)``.

    The last observation of an episode is in ``info["terminal_observation"]``. ``info["TimeLimit.truncated"]`` says
    whether the episode was truncated, so that SB3 bootstraps from the last observation.

    Args:
        envs: a vector environment that resets an environment in the step that ends its episode, as SB3's do.

    Raises:
        ValueError: it resets in the next step, or not at all.

    Example:
        >>> import gymnasium as gym, spacetime_env
        >>> from spacetime_env.agent import VectorEnvBridge
        >>> envs = gym.make_vec("SpaceTime/Pong-v5", num_envs=4, autoreset_mode="SameStep")
        >>> venv = VectorEnvBridge(envs)
        >>> venv.reset().shape
        (4, 3, 7)
        >>> venv.close()
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(
                f"expected a vector environment that resets in the same step, and it is {mode!r}. Make it with "
                "gym.make_vec(..., autoreset_mode='SameStep'), or with vector_kwargs={'autoreset_mode': "
                "gym.vector.AutoresetMode.SAME_STEP} where Gymnasium makes it of single environments."
            )
        self.envs = envs
        self.render_mode = envs.render_mode
        # The base class asks get_attr("render_mode"), which not every vector environment answers.
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self._actions: Any = None

    def reset(self) -> VecEnvObs:
        """Reset all environments, with the seeds and options that were set before.

        Raises:
            ValueError: the environments were given different options.
        """
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        options = self._options[0]
        if any(one != options for one in self._options):
            raise ValueError("expected the same options for all environments: they are reset in one call.")
        observations, infos = self.envs.reset(seed=seeds, options=options or None)  # type: ignore[arg-type]
        self.reset_infos = _each(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Keep (num_envs, ...) actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments. One whose episode ends is reset in the same step."""
        observations, rewards, terminations, truncations, vector_infos = self.envs.step(self._actions)
        final = vector_infos.pop("final_obs", None), vector_infos.pop("final_info", None)
        vector_infos.pop("_final_obs", None), vector_infos.pop("_final_info", None)
        infos, dones = _each(vector_infos, self.num_envs), terminations | truncations
        for i in np.flatnonzero(dones).tolist():
            self.reset_infos[i] = infos[i]
            infos[i] = _each(final[1] or {}, self.num_envs)[i]
            infos[i]["terminal_observation"] = final[0][i]
        for info, terminated, truncated in zip(infos, terminations.tolist(), truncations.tolist(), strict=True):
            info["TimeLimit.truncated"] = truncated and not terminated
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close all environments."""
        self.envs.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each environment."""
        pictures: Any = self.envs.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each environment."""
        if attr_name == "render_mode":
            return [self.envs.render_mode for _ in self._get_indices(indices)]
        found = self.envs.get_attr(attr_name)  # type: ignore[attr-defined]
        return [found[i] for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all environments; a subset is refused."""
        self._all_only(indices)
        self.envs.set_attr(attr_name, [value] * self.num_envs)  # type: ignore[attr-defined]

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of all environments; a subset is refused."""
        self._all_only(indices)
        return list(self.envs.call(method_name, *args, **kwargs))  # type: ignore[attr-defined]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """False for each environment: a vector environment does not tell what wraps its environments."""
        return [False for _ in self._get_indices(indices)]

    def _all_only(self, indices: VecEnvIndices) -> None:
        if indices is not None and list(self._get_indices(indices)) != list(range(self.num_envs)):
            raise NotImplementedError("this works on all environments of a vector environment: leave indices out.")


def _each(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """A vector environment's infos as one dict for each environment."""
    each: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, values in infos.items():
        if f"_{key}" not in infos:
            continue  # a mask, or a value that does not belong to single environments
        mask = infos[f"_{key}"].tolist()
        parts = _each(values, count) if isinstance(values, dict) else values
        for i in range(count):
            if mask[i]:
                each[i][key] = parts[i]
    return each
