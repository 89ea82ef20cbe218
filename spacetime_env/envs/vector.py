"""Many environments at once: ``gym.make_vec("SpaceTime/Pong-v5", num_envs=8)``.

Each core plays a block of the environments and looks at their frames in one call of the network: this process plays
one block, and a worker process for each further core plays another. So the emulator and the network both use all
cores. (Threads would not do: ale_py's emulator holds Python's lock while it plays.)

Why not ``ale_py.AtariVectorEnv``: it is another MDP than ``ALE/<Game>-v5``. It ignores negative seeds (half of those
that Gymnasium's seeding makes), stops a skipped frame at the game's end, so that sticky actions run differently
afterwards, and shows a stale frame there (ale-py 0.12.1). Here every environment is the one ``gym.make`` makes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from spacetime_env.envs.block import Block, Local
from spacetime_env.envs.env import make_env
from spacetime_env.envs.observation import OBS_FORMATS
from spacetime_env.envs.worker import Remote, start_method


class SpaceTimeVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs`` games whose observations are the objects that one model finds in them.

    The same MDP as ``num_envs`` environments of ``gym.make("SpaceTime/<Game>-v5")``, step for step: rewards,
    objects, ends, seeds, sticky actions and infos equal those of ``gymnasium.vector.SyncVectorEnv`` over them
    (numbers of the network up to float rounding, as batches differ; where a box's edge is half between two pixels to
    the last digit, that can be a pixel).

    Args:
        num_envs: 1 or more.
        game: any name that :func:`spacetime_env.games.canonical` knows.
        autoreset_mode: what happens when an episode ends: ``NextStep`` (Gymnasium's default), ``SameStep`` (what
            Stable-Baselines3 expects; see :class:`spacetime_env.agent.VectorEnvBridge`) or ``Disabled``.
        workers: processes that play beside this one. None: one for each further core, so that each core plays as
            many environments. 0: none.
        context: how workers are started: ``"fork"``, ``"forkserver"`` or ``"spawn"``. None: fork where there is one
            (Linux), which takes no time, and the model is on the CPU; otherwise spawn.
        max_episode_steps: an episode is cut off (truncated) after so many steps; None: by the emulator alone.
        timeout: seconds that a worker may take to answer; after that it counts as stopped, and
            :class:`~spacetime_env.envs.worker.WorkerError` is raised.
        **kwargs: the options of :func:`spacetime_env.envs.env.make_env`: ``model``, ``obs_format``, ``history``,
            ``noop_max``, ``device``, ``render_mode="rgb_array"``, ``overlay``, ``frameskip`` ...

    Raises:
        ValueError: a bad option; see also :class:`~spacetime_env.envs.wrapper.SpaceTimeObservation`.

    Example:
        >>> import gymnasium as gym, spacetime_env
        >>> envs = gym.make_vec("SpaceTime/Pong-v5", num_envs=4)
        >>> observations, infos = envs.reset(seed=0)
        >>> observations.shape
        (4, 3, 7)
        >>> envs.close()
    """

    def __init__(
        self,
        num_envs: int,
        game: str,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        workers: int | None = None,
        context: str | None = None,
        max_episode_steps: int | None = None,
        timeout: float = 120.0,
        **kwargs: Any,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise ValueError(f"expected num_envs to be a whole number, 1 or more, got {num_envs!r}.")
        if kwargs.get("render_mode") == "human":
            raise ValueError(
                "render_mode='human' opens a window for one game; a vector environment renders 'rgb_array'."
            )
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
            raise ValueError(f"expected timeout to be a number of seconds over 0, got {timeout!r}.")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.num_envs = int(num_envs)
        self.render_mode = kwargs.get("render_mode")
        self.metadata = {**make_env.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[attr-defined]
        count = _workers(workers, self.num_envs)
        # The numbers of the environments of each block: those of the workers, then those of this process.
        self._places = [part.tolist() for part in np.array_split(np.arange(self.num_envs), count + 1)]
        # The first environment of this process is made now: it checks the options and loads the model once for all.
        first = make_env(game, **kwargs)
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.slot_names, self.feature_names = first.slot_names, first.feature_names
        self.model, start = first.model, start_method(context, first.model)
        self._as_dict = kwargs.get("obs_format", OBS_FORMATS[0]) == "dict"
        # A forked worker finds the model in memory; one that is spawned loads it by its name, if it has one.
        shared = {**kwargs, "model": self.model}
        given = kwargs.get("model")
        remote = shared if start == "fork" or not (given is None or isinstance(given, (str, os.PathLike))) else kwargs
        settings, scenes = (self.autoreset_mode, max_episode_steps), (first.scene_form, self.model.class_names)
        # This process is the last block: a call to it returns when it is done, and the workers are at work by then.
        self._blocks: list[Local | Remote] = []
        self._call: str | None = None  # the call to the blocks that is under way, or was when Ctrl-C ended it
        self._apart = False  # whether a step or reset did not reach its end in every environment
        try:
            for places in self._places[:-1]:
                shape = (start, game, len(places), settings)
                self._blocks.append(Remote(*shape, remote, self._blocks, *scenes, float(timeout)))
            for block in self._blocks:
                block.receive()
            rest = (make_env(game, **shared) for _ in self._places[-1][1:])
            self._blocks.append(Local(Block([first, *rest], *settings), one_thread=count > 0))
        except BaseException:
            self.close()
            raise

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Resets the environments.

        Args:
            seed: an int seeds them ``seed``, ``seed + 1``, ...; a sequence gives each its own.
            options: for each environment. ``"reset_mask"``, (num_envs,) bool, resets only some; the observations of
                the others are those of their last step.
        """
        if seed is None or isinstance(seed, (int, np.integer)):
            seeds = [None if seed is None else int(seed) + i for i in range(self.num_envs)]
        else:
            seeds = [None if one is None else int(one) for one in seed]
        if len(seeds) != self.num_envs:
            raise ValueError(f"expected a seed for each of {self.num_envs} environments, got {len(seeds)}.")
        options = dict(options) if options is not None else None
        mask = np.ones(self.num_envs, bool) if options is None else options.pop("reset_mask", None)
        if mask is None:
            mask = np.ones(self.num_envs, bool)
        fits = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.shape == (self.num_envs,)
        if not fits or not mask.any():
            raise ValueError(
                f"expected options['reset_mask'] as a bool array ({self.num_envs},) with a True in it, got {mask!r}."
            )
        self._settle()
        if not mask.all() and (self._apart or not hasattr(self, "_latest")):
            raise ValueError("reset all environments once before resetting some of them.")
        asked = []
        for places in self._places:
            chosen = [i for i, place in enumerate(places) if mask[place]]
            asked.append(([seeds[places[i]] for i in chosen], options, chosen))
        answers = self._ask("reset", asked)
        observations = [None] * self.num_envs if mask.all() else list(self._latest)
        infos: dict[str, Any] = {}
        for places, answer in zip(self._places, answers, strict=True):
            for i, (observation, info) in zip((i for i in places if mask[i]), answer, strict=True):
                observations[i] = observation
                infos = self._add_info(infos, info, i)
        return self._batch(observations), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Steps all environments: (num_envs, ...) observations, then rewards, terminations and truncations.

        Raises:
            ValueError: not one action for each.
        """
        actions = np.asarray(actions)
        if actions.shape != self.action_space.shape:
            raise ValueError(f"expected actions of shape {self.action_space.shape}, got {actions.shape}.")
        self._settle()
        if self._apart:
            raise gym.error.ResetNeeded(
                "the last step or reset did not reach its end in every environment, so they are no longer at the same "
                "step. Call reset before step."
            )
        if not hasattr(self, "_latest"):
            raise gym.error.ResetNeeded("call reset before step.")
        plain = list(actions) if actions.ndim > 1 else actions.tolist()
        answers = self._ask("step", [(plain[places[0] : places[-1] + 1],) for places in self._places])
        joined = ([one for part in parts for one in part] for parts in zip(*answers, strict=True))
        observations, rewards, terminations, truncations, each, final = joined
        infos = self._infos(each, final)
        ends = np.array(terminations, bool), np.array(truncations, bool)
        return self._batch(observations), np.array(rewards, np.float64), *ends, infos

    def render(self) -> tuple[Any, ...] | None:
        """The picture of each environment, with ``render_mode="rgb_array"``; as the single one's, with overlay."""
        if self.render_mode is None:
            gym.logger.warn("render() needs gym.make_vec(..., render_mode='rgb_array').")
            return None
        return self.call("render")

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each environment, or get an attribute of each."""
        self._settle()
        return tuple(one for answer in self._ask("call", [(name, args, kwargs)] * len(self._blocks)) for one in answer)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of each environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each environment: a list or tuple gives one value each, all else goes to all."""
        each = values if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ValueError(f"expected a value for each of {self.num_envs} environments, got {len(each)}.")
        self._settle()
        self._ask("assign", [(name, [each[i] for i in places]) for places in self._places])

    def close_extras(self, **kwargs: Any) -> None:
        """End the workers."""
        for block in getattr(self, "_blocks", []):
            block.close()
        self._blocks = []

    def _settle(self) -> None:
        """Refuse a closed environment; wait for what is still under way in workers after Ctrl-C ended a call."""
        if self.closed:
            raise gym.error.ClosedEnvironmentError(
                "this vector environment is closed. Make a new one with gym.make_vec."
            )
        if self._call is not None:
            for block in self._blocks:
                block.settle()
            self._call = None

    def _ask(self, name: str, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method of each block, with arguments for each. All are heard out before an error is raised."""
        self._call = name
        apart, self._apart = self._apart, self._apart or name in ("step", "reset")  # until all have answered
        answers, errors = [], []
        for block, arguments in zip(self._blocks, asked, strict=True):
            block.send(name, *arguments)
        for block in self._blocks:
            try:
                answers.append(block.receive())
            except Exception as error:
                errors.append(error)
        self._call = None
        if errors:
            raise errors[0]
        self._apart = apart and name != "reset"
        return answers

    def _infos(self, each: list[dict[str, Any]], final: list[tuple[Any, dict[str, Any]] | None]) -> dict[str, Any]:
        """The infos of all environments as one dict, in Gymnasium's form."""
        infos: dict[str, Any] = {}
        if any(final) or any(info.keys() != each[0].keys() for info in each):
            for i, info in enumerate(each):
                if (last := final[i]) is not None:
                    infos = self._add_info(infos, {"final_obs": last[0], "final_info": last[1]}, i)
                infos = self._add_info(infos, info, i)
            return infos
        return _columns(each)

    def _batch(self, observations: list[Any]) -> Any:
        self._latest = observations
        if not self._as_dict:
            return np.array(observations)
        return {key: np.stack([one[key] for one in observations]) for key in observations[0]}


def _columns(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Infos with the same keys as one dict of arrays: what ``VectorEnv._add_info`` makes of them, but at once."""
    infos: dict[str, Any] = {}
    has = np.full(len(each), True)
    for key, first in each[0].items():
        values = [info[key] for info in each]
        if isinstance(first, dict):
            infos[key] = _columns(values)
        elif type(first) in (int, float, bool) or isinstance(first, np.number):
            infos[key] = np.array(values, type(first))
        elif isinstance(first, np.ndarray):
            infos[key] = np.stack(values)
        else:
            infos[key] = np.empty(len(values), object)
            infos[key][:] = values
        infos[f"_{key}"] = has.copy()
    return infos


def _workers(asked: int | None, num_envs: int) -> int:
    """How many processes to start beside this one."""
    if asked is not None:
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
            raise ValueError(f"expected workers to be a whole number, 0 or more, or None, got {asked!r}.")
        return min(asked, num_envs - 1)
    if num_envs == 1 or multiprocessing.current_process().daemon:  # a daemonic process may have no children
        return 0
    return min(cores(), num_envs) - 1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
