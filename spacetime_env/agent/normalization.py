"""The running statistics of a ``VecNormalize`` as a file, and their use at play."""

from __future__ import annotations

import io
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError, load_arrays

Statistics = list[tuple[RunningMeanStd, tuple[Any, Any, float]]]  # mean, variance and count for each

SLACK = 64 * 1024  # bytes of headers, over those of the numbers


def normalization_bytes(env: VecNormalize) -> bytes:
    """The running statistics of a ``VecNormalize``, as npz; SB3's own ``save`` is a pickle."""
    arrays: dict[str, Any] = {"ret": _pack(env.ret_rms)}
    for key, stats in _observation_stats(env).items():
        arrays[f"obs/{key}/mean"], arrays[f"obs/{key}/var"] = stats.mean, stats.var
        arrays[f"obs/{key}/count"] = stats.count
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def checked_statistics(env: VecNormalize, data: bytes, name: str) -> Statistics:
    """The statistics of :func:`normalization_bytes`, and where in ``env`` they go.

    Args:
        env: with the observation space of the env that they are of.
        data: the file.
        name: of the file, for messages.

    Raises:
        AgentError: it is no such file, lacks some, or they are of other observations or no numbers.
    """
    wanted = _observation_stats(env)
    expected = sum(stats.mean.nbytes + stats.var.nbytes for stats in wanted.values())
    try:
        arrays = load_arrays(data, name, 2 * expected + SLACK)
        ret = arrays["ret"]
        if ret.shape != (3,) or ret.dtype.kind != "f":
            raise AgentError(f"{name}: expected three floats for ret, got an array of {ret.shape}, {ret.dtype}.")
        found: list[tuple[RunningMeanStd, tuple[Any, Any, Any]]]  # the counts are made floats below
        found = [(env.ret_rms, (np.float64(ret[0]), np.float64(ret[1]), ret[2]))]
        for key, stats in wanted.items():
            parts = (arrays[f"obs/{key}/mean"], arrays[f"obs/{key}/var"], arrays[f"obs/{key}/count"])
            shapes = [part.shape for part in parts]
            if shapes != [stats.mean.shape, stats.mean.shape, ()]:
                raise AgentError(
                    f"{name} does not fit the env: expected statistics of {stats.mean.shape}, got {shapes[0]}."
                )
            found.append((stats, parts))
    except KeyError as error:
        raise AgentError(f"{name} lacks {error}.") from None
    except FileError as error:
        raise AgentError(str(error)) from None
    for _, (mean, var, count) in found:
        if any(np.asarray(part).dtype.kind != "f" or not np.isfinite(part).all() for part in (mean, var, count)):
            raise AgentError(f"{name} holds something else than finite numbers.")
        if not (np.all(np.asarray(var) > 0) and count > 0):
            raise AgentError(f"{name} holds a variance or a count that is not over 0.")
    return [(stats, (mean, var, float(count))) for stats, (mean, var, count) in found]


def put_statistics(found: Statistics) -> None:
    """Put the statistics of :func:`checked_statistics` into their env."""
    for stats, (mean, var, count) in found:
        stats.mean, stats.var, stats.count = mean, var, count


def _pack(stats: RunningMeanStd) -> np.ndarray:
    return np.array([stats.mean, stats.var, stats.count], np.float64)


def _observation_stats(env: VecNormalize) -> dict[str, RunningMeanStd]:
    if not env.norm_obs:
        return {}
    return env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms}


class NormalizedObservation(gym.ObservationWrapper):
    """What ``VecNormalize`` does to observations, with its statistics as they are, for one env."""

    def __init__(self, env: gym.Env, vec_normalize: VecNormalize) -> None:
        super().__init__(env)
        self.vec_normalize = vec_normalize
        self.observation_space = vec_normalize.observation_space

    def observation(self, observation: Any) -> Any:
        """Normalise one observation."""
        return self.vec_normalize.normalize_obs(observation)
