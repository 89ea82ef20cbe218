"""Makes Stable-Baselines3 agents from hyperparameters, for an env."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.hyperparameters import Hyperparameters, algorithm

TRAINING = 64 * 2**30  # bytes; the most that the experience of a training may take
PLAYING = 256 * 2**20  # bytes; of an agent that is loaded to play, which needs none


def build(
    algo: str,
    settings: Hyperparameters,
    env: gym.Env | VecEnv,
    device: str = "cpu",
    seed: int | None = None,
    to_play: bool = False,
    **kwargs: Any,
) -> BaseAlgorithm:
    """A fresh SB3 agent for ``env``; the names of the env's features are given to the objects' extractor.

    Args:
        algo: the name of the algorithm.
        settings: its hyperparameters.
        env: one env or several.
        device: where the network runs.
        seed: of weights and draws; None: any.
        to_play: the agent is loaded to play. A rollout or replay buffer that would take over 256 MiB is then made
            smaller, and what SB3 says about batches for one env is left out.
        **kwargs: more arguments of the algorithm, such as ``tensorboard_log``.

    Raises:
        AgentError: the algorithm cannot be made with these hyperparameters for this env.
    """
    vector = env if isinstance(env, VecEnv) else DummyVecEnv([lambda: env])
    options = dict(settings.kwargs)
    policy_kwargs = dict(options.get("policy_kwargs") or {})
    if getattr(settings.policy, "reads_objects", False):
        policy_kwargs["features_extractor_kwargs"] = {
            "features": _feature_names(vector),
            **(policy_kwargs.get("features_extractor_kwargs") or {}),
        }
    if policy_kwargs:
        options["policy_kwargs"] = policy_kwargs
    _bound_memory(options, vector, to_play)
    try:
        if settings.normalize is not None:
            vector = VecNormalize(vector, **settings.normalize)
        with warnings.catch_warnings():
            if to_play:  # rollouts are those of many envs, and one env plays
                warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
            return algorithm(algo)(settings.policy, vector, device=device, seed=seed, **options, **kwargs)
    except Exception as error:  # SB3 and torch refuse arguments in many ways
        reason = " ".join(str(error).split())[:500]
        raise AgentError(f"{algo} cannot be made for this env: {reason or type(error).__name__}") from error


def _feature_names(vector: VecEnv) -> list[str]:
    try:
        return list(vector.get_attr("feature_names")[0])
    except AttributeError:
        raise AgentError(
            "the policy reads objects, and the env does not name their features (feature_names): use another policy, "
            "such as MlpPolicy, or an env SpaceTime/<Game>-v5."
        ) from None


def _bound_memory(options: dict[str, Any], vector: VecEnv, to_play: bool) -> None:
    """Refuse a buffer of experience that no machine has room for; for play, make a large one smaller."""
    for key, times in (("n_steps", vector.num_envs), ("buffer_size", 2)):  # a replay buffer has the next one too
        if key not in options:
            continue
        step = times * (bytes_of(vector.observation_space) + 64)
        if to_play:
            options[key] = min(options[key], max(PLAYING // step, 2))
        elif options[key] * step > TRAINING:
            raise AgentError(
                f"{key}: {options[key]:,} steps of {vector.num_envs} envs would take "
                f"{options[key] * step / 2**30:,.0f} GiB of memory; expected at most {TRAINING // step:,} here."
            )


def bytes_of(space: spaces.Space | Mapping[str, spaces.Space]) -> int:
    """Bytes of one observation in a buffer of SB3."""
    if isinstance(space, spaces.Dict):
        return sum(bytes_of(part) for part in space.spaces.values())
    size = 1
    for length in getattr(space, "shape", None) or (1,):
        size *= length
    return size * (space.dtype.itemsize if getattr(space, "dtype", None) is not None else 8)  # type: ignore[union-attr]
