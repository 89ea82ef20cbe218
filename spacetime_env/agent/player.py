"""Playing with a trained agent: step by step, for its return, or to record data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from spacetime_env.agent.envs import NOOPS, RandomStart
from spacetime_env.agent.folder import describe, find, load_agent
from spacetime_env.agent.hyperparameters import AgentError


def load_player(
    name_or_path: str | Path, model: Any = None, **env_kwargs: Any
) -> tuple[Callable[[Any], Any], gym.Env[Any, Any]]:
    """Load an agent as a function from observations to actions, and make the env that it plays.

    Args:
        name_or_path: see :func:`~spacetime_env.agent.folder.load_agent`.
        model: another SPACE-Time model than the agent's own: a name, a path or a loaded model.
        **env_kwargs: see :func:`~spacetime_env.agent.folder.load_agent`.

    Raises:
        AgentError: see :func:`~spacetime_env.agent.folder.load_agent`.
    """
    folder = find(name_or_path)
    deterministic = describe(folder).get("deterministic", True)
    given = {} if model is None else {"model": model, "any_model": True}
    agent, env = load_agent(folder, **given, **env_kwargs)
    return lambda observation: agent.predict(observation, deterministic=deterministic)[0], env


def evaluate(
    agent: BaseAlgorithm,
    env: gym.Env | VecEnv,
    episodes: int = 30,
    seed: int = 0,
    deterministic: bool = True,
    noops: int = NOOPS,
) -> np.ndarray:
    """Play episodes with random starts; the return of each, (episodes,) float64.

    Args:
        agent: an SB3 agent.
        env: one env, or several of :func:`spacetime_env.agent.envs.make_envs`, which play at once and have their
            own random starts. Each plays its share of whole episodes, so that short ones are not counted more often.
        episodes: how many in all.
        seed: fixes starts, sticky actions and, where the policy samples, its draws.
        deterministic: the most probable action; otherwise the policy samples.
        noops: a single env's episodes begin with 0 to this many steps of doing nothing.
    """
    if not isinstance(env, VecEnv):
        alone = DummyVecEnv([lambda: RandomStart(env, noops)])
        alone.seed(seed)
        return _returns(agent, alone, episodes, seed, deterministic, lambda observation: observation)
    normalization = agent.get_vec_normalize_env()
    normalized = normalization is not None and normalization.norm_obs
    env.seed(seed)
    see = normalization.normalize_obs if normalized and normalization is not None else lambda observation: observation
    return _returns(agent, env, episodes, seed, deterministic, see)


def _returns(
    agent: BaseAlgorithm, envs: VecEnv, episodes: int, seed: int, deterministic: bool, see: Callable[[Any], Any]
) -> np.ndarray:
    """The returns of ``episodes``, env by env. ``see`` turns the envs' observations into the agent's."""
    shares = [len(part) for part in np.array_split(np.arange(episodes), envs.num_envs)]
    returns: list[list[float]] = [[] for _ in shares]
    running = np.zeros(envs.num_envs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        observations = envs.reset()
        while any(len(done) < share for done, share in zip(returns, shares, strict=True)):
            actions, _ = agent.predict(see(observations), deterministic=deterministic)
            observations, rewards, dones, _ = envs.step(actions)
            running += rewards
            for i in np.flatnonzero(dones).tolist():
                returns[i].append(float(running[i]))
                running[i] = 0.0
    return np.array([one for done, share in zip(returns, shares, strict=True) for one in done[:share]])


class AgentPolicy:
    """A trained agent that records data: a :class:`spacetime_env.data.players.Policy`.

    It plays on the SPACE-Time model as it is now. If that was trained again since, the agent plays worse, which does
    not matter for recording. It is pickled without its network, which each process loads for itself.
    """

    def __init__(self, name_or_path: str | Path) -> None:
        self.folder = find(name_or_path).resolve()
        self.about = describe(self.folder)
        self.name = self.folder.name
        self.fingerprint = str(self.about["policy_sha256"])
        self.agent: BaseAlgorithm | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "agent": None}

    def make_env(self, game: str) -> gym.Env:
        """The env that the agent was trained on; ``env.unwrapped.ale`` is the emulator.

        Raises:
            AgentError: the agent plays another game.
        """
        own = self.about["env"].rpartition("/")[2].rpartition("-")[0]
        if own != game:
            raise AgentError(f"the agent {self.name} plays {own}, and {game} is to be recorded.")
        self.agent, env = load_agent(self.folder, any_model=True)
        return env

    def reset(self, seed: int) -> None:
        """Seed the draws of a policy that samples."""
        torch.manual_seed(seed)

    def act(self, env: gym.Env, observation: Any) -> int:
        """The action for an observation of the env that :meth:`make_env` made."""
        if self.agent is None:
            raise AgentError("make_env comes before act.")
        return int(self.agent.predict(observation, deterministic=self.about.get("deterministic", True))[0])


def as_policy(name_or_path: str | Path) -> AgentPolicy:
    """An agent that records data, given its name or its folder."""
    return AgentPolicy(name_or_path)
