"""The envs that agents are trained and measured on: with random starts, and with saved normalisation."""

from __future__ import annotations

import difflib
import importlib
import multiprocessing
import signal
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor

from spacetime_env.agent.bridge import VectorEnvBridge
from spacetime_env.agent.errors import AgentError
from spacetime_env.envs.noop import do_nothing
from spacetime_env.files import shown

VECTOR = "spacetime_env.vector:SpaceTimeVectorEnv"
ANY = "SpaceTime/Any-v0"  # an env that is no Atari game; its option env_id says which
NOOPS = 30  # most steps of doing nothing at the start of an episode


class RandomStart(gym.Wrapper):
    """Does nothing for 0 to ``noops`` steps after each reset, so that no two episodes begin alike.

    Without random starts and sticky actions, a policy that does not sample plays the same game again and again. Of
    ``SpaceTime/Any-v0`` no action is known to do nothing, and episodes begin as that env begins them.
    """

    def __init__(self, env: gym.Env, noops: int = NOOPS) -> None:
        super().__init__(env)
        knows = not env.has_wrapper_attr("has_noop") or env.get_wrapper_attr("has_noop")
        self.noops = noops if knows else 0
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

    def __init__(self, env_id: str, kwargs: Mapping[str, Any], noops: int = NOOPS, trust: bool = False) -> None:
        require_env(env_id, trust)
        self.env_id, self.kwargs, self.noops, self.trust = env_id, dict(kwargs), noops, trust

    def __call__(self, **kwargs: Any) -> gym.Env:
        if multiprocessing.parent_process() is not None:
            import cv2
            import torch

            torch.set_num_threads(1)  # a worker has one core: more threads would only wait for each other
            cv2.setNumThreads(1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the main process, which then closes its workers
        return RandomStart(make(self.env_id, {**self.kwargs, **kwargs}, self.trust), self.noops)


def require_env(env_id: Any, trust: bool = False) -> str:
    """The id of a registered env, without its module.

    Args:
        env_id: ``SpaceTime/Pong-v5``; with ``trust`` also ``module:id``, whose module is imported first.
        trust: import modules that it names. Importing a module runs it.

    Raises:
        AgentError: there is no such env, or it names a module and is not trusted.
    """
    import spacetime_env  # noqa: F401  (registers SpaceTime/<Game>-v5, in worker processes too)

    if not isinstance(env_id, str) or len(env_id) > 200:
        raise AgentError(f"expected the id of an env, such as SpaceTime/Pong-v5, got {shown(env_id)}.")
    module, colon, name = env_id.rpartition(":")
    if colon and not trust and module != "spacetime_env":
        raise AgentError(
            f"the env {env_id!r} names a module, which would be imported and so run. If you trust it, pass trust=True "
            "(train_agent.py --trust), or import it yourself and leave it out of the id."
        )
    try:
        if module:
            importlib.import_module(module)
        gym.spec(name)
    except ImportError as error:
        raise AgentError(f"the module of env {env_id!r} cannot be imported: {error}.") from None
    except gym.error.Error:
        near = difflib.get_close_matches(env_id, list(gym.registry), n=3)
        raise AgentError(f"no env {env_id!r}. Near it: {', '.join(near) or 'none'}.") from None
    return name


def make(env_id: str, kwargs: Mapping[str, Any], trust: bool = False) -> gym.Env:
    """``gym.make`` with errors in plain words; ``trust`` is that of :func:`require_env`.

    Raises:
        AgentError: no such env, or it does not take these options.
        ValueError: of the env itself, about an option.
    """
    name = require_env(env_id, trust)
    if name == ANY:
        kwargs = {**kwargs, "env_id": require_env(kwargs.get("env_id"), trust)}
    try:
        return gym.make(name, **kwargs)
    except (ValueError, OSError):
        raise
    except Exception as error:  # envs refuse options in many ways
        raise AgentError(f"{env_id} cannot be made with the options {shown(dict(kwargs))}: {error}") from error


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
        name = maker.env_id.rpartition(":")[2]
        envs = gym.make_vec(name, n_envs, autoreset_mode=AutoresetMode.SAME_STEP, context=start, **kwargs)
        venv: VecEnv = VecMonitor(VectorEnvBridge(envs))
        venv.seed(seed)
        return venv
    options = {"start_method": start} if kind == "subproc" else None
    classes = SubprocVecEnv if kind == "subproc" else DummyVecEnv
    return make_vec_env(maker, n_envs=n_envs, seed=seed, vec_env_cls=classes, vec_env_kwargs=options)


def is_spacetime(env_id: str) -> bool:
    """Whether the env's vector form is :class:`~spacetime_env.envs.vector.SpaceTimeVectorEnv`."""
    return gym.spec(env_id.rpartition(":")[2]).vector_entry_point == VECTOR


def noops_of(env_id: str) -> int:
    """The most steps of doing nothing at the start of an episode in this env."""
    return 0 if env_id.rpartition(":")[2] == ANY else NOOPS


def derived_seed(*numbers: int) -> int:
    """A seed under 2**31 that depends on all ``numbers``: training and evaluation get seeds of their own."""
    return int(np.random.SeedSequence([abs(number) for number in numbers]).generate_state(1)[0] >> 1)
