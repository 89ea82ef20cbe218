"""The envs that agents are trained and measured on: with random starts, and with saved normalisation."""

from __future__ import annotations

import difflib
import importlib
import io
import multiprocessing
import signal
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor, VecNormalize

from spacetime_env.agent.bridge import VectorEnvBridge
from spacetime_env.agent.hyperparameters import AgentError
from spacetime_env.envs.noop import do_nothing

VECTOR = "spacetime_env.vector:SpaceTimeVectorEnv"
NOOPS = 30  # most steps of doing nothing at the start of an episode


class RandomStart(gym.Wrapper):
    """Does nothing for 0 to ``noops`` steps after each reset, so that no two episodes begin alike.

    Without random starts and sticky actions, a policy that does not sample plays the same game again and again.
    """

    def __init__(self, env: gym.Env, noops: int = NOOPS) -> None:
        super().__init__(env)
        self.noops = noops
        self.rng = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, then do nothing for some steps. A seed fixes their number in this episode and in those that follow."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        first = self.env.reset(seed=seed, options=options)
        steps = int(self.rng.integers(self.noops + 1))
        return do_nothing(
            steps, first, self.env.step, lambda: self.env.reset(options=options), self.env.action_space
        )


class EnvMaker:
    """Makes one env, in this process or in a worker: it can be pickled."""

    def __init__(self, env_id: str, kwargs: Mapping[str, Any], noops: int = NOOPS) -> None:
        self.env_id, self.kwargs, self.noops = env_id, dict(kwargs), noops

    def __call__(self, **kwargs: Any) -> gym.Env:
        if multiprocessing.parent_process() is not None:
            import cv2
            import torch

            torch.set_num_threads(1)  # a worker has one core: more threads would only wait for each other
            cv2.setNumThreads(1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the main process, which then closes its workers
        return RandomStart(make(self.env_id, {**self.kwargs, **kwargs}), self.noops)


def make(env_id: str, kwargs: Mapping[str, Any]) -> gym.Env:
    """Make an env as ``gym.make`` does; of ``module:env id`` the module is imported first.

    Raises:
        AgentError: there is no such env, or its module cannot be imported.
    """
    import spacetime_env  # noqa: F401  (registers SpaceTime/<Game>-v5, in worker processes too)

    module, _, name = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gym.spec(name)
    except ImportError as error:
        raise AgentError(f"the module of env {env_id!r} cannot be imported: {error}.") from None
    except gym.error.Error:
        near = difflib.get_close_matches(env_id, list(gym.registry), n=3)
        raise AgentError(f"no env {env_id!r}. Near it: {', '.join(near) or 'none'}.") from None
    return gym.make(name, **kwargs)


def make_envs(maker: EnvMaker, n_envs: int, seed: int, kind: str = "vector", start: str | None = None) -> VecEnv:
    """Make envs that record the returns of their episodes.

    Args:
        maker: makes a single env.
        n_envs: how many.
        seed: of the first env; the others have the numbers that follow.
        kind: ``vector``: :class:`~spacetime_env.envs.vector.SpaceTimeVectorEnv`, or ``dummy`` for an env that has none.
            ``dummy``: SB3's, one after the other in this process. ``subproc``: SB3's, a process for each env.
        start: how processes are started: ``fork``, ``forkserver`` or ``spawn``; None: the default of the kind.
    """
    if kind == "vector" and is_spacetime(maker.env_id):
        kwargs = {"noop_max": maker.noops, **maker.kwargs}
        envs = gym.make_vec(maker.env_id, n_envs, autoreset_mode=AutoresetMode.SAME_STEP, context=start, **kwargs)
        venv: VecEnv = VecMonitor(VectorEnvBridge(envs))
        venv.seed(seed)
        return venv
    options = {"start_method": start} if kind == "subproc" else None
    classes = SubprocVecEnv if kind == "subproc" else DummyVecEnv
    return make_vec_env(maker, n_envs=n_envs, seed=seed, vec_env_cls=classes, vec_env_kwargs=options)


def is_spacetime(env_id: str) -> bool:
    """Whether the env's vector form is :class:`~spacetime_env.envs.vector.SpaceTimeVectorEnv`."""
    return gym.spec(env_id.rpartition(":")[2]).vector_entry_point == VECTOR


def derived_seed(*numbers: int) -> int:
    """A seed under 2**31 that depends on all ``numbers``: training and evaluation get seeds of their own."""
    return int(np.random.SeedSequence([abs(number) for number in numbers]).generate_state(1)[0] >> 1)


def normalization_bytes(env: VecNormalize) -> bytes:
    """The running statistics of a ``VecNormalize`` as an npz file. (SB3 itself saves them as a pickle.)"""
    arrays: dict[str, Any] = {"ret": _pack(env.ret_rms)}
    for key, stats in _observation_stats(env).items():
        arrays[f"obs/{key}/mean"], arrays[f"obs/{key}/var"] = stats.mean, stats.var
        arrays[f"obs/{key}/count"] = stats.count
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def restore_normalization(env: VecNormalize, data: bytes) -> None:
    """Put the statistics of :func:`normalization_bytes` into ``env``."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        mean, var, count = arrays["ret"]
        env.ret_rms.mean, env.ret_rms.var, env.ret_rms.count = np.float64(mean), np.float64(var), float(count)
        for key, stats in _observation_stats(env).items():
            stats.mean, stats.var = arrays[f"obs/{key}/mean"], arrays[f"obs/{key}/var"]
            stats.count = float(arrays[f"obs/{key}/count"])


def _pack(stats: RunningMeanStd) -> np.ndarray:
    """(3,): mean, variance and count."""
    return np.array([stats.mean, stats.var, stats.count], np.float64)


def _observation_stats(env: VecNormalize) -> dict[str, RunningMeanStd]:
    """The statistics of observations by their key, "" if they are no dict; none if they are not normalised."""
    if not env.norm_obs:
        return {}
    return env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms}


class NormalizedObservation(gym.ObservationWrapper):
    """Normalises the observations of a single env as a ``VecNormalize`` does, whose statistics do not change."""

    def __init__(self, env: gym.Env, vec_normalize: VecNormalize) -> None:
        super().__init__(env)
        self.vec_normalize = vec_normalize
        self.observation_space = vec_normalize.observation_space

    def observation(self, observation: Any) -> Any:
        """Normalise one observation."""
        return self.vec_normalize.normalize_obs(observation)
