"""Small agents for tests: ``from tests.helpers.agents import small_agent, write_agent``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from spacetime_env.agent import folder, sb3_checkpoint
from spacetime_env.agent.build import build
from spacetime_env.agent.hyperparameters import parse
from spacetime_env.agent.progress import Progress
from tests.helpers.toy_env import Catch

SMALL = {"policy": "ObjectsPolicy", "n_steps": 8, "batch_size": 8, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}


def small_agent(env: gym.Env | VecEnv | None = None, **more: Any) -> PPO:
    """An untrained PPO agent of a few weights; hyperparameters may be changed."""
    made = build("ppo", parse({**SMALL, **more}, PPO), Catch() if env is None else env, seed=1)
    assert isinstance(made, PPO)
    return made


def write_agent(path: Path, settings: dict[str, Any] | None = None, **about: Any) -> Path:
    """Write the folder of an untrained agent; then change ``agent.yaml`` as the arguments say."""
    sb3_checkpoint.save(path.parent / "made.zip", small_agent(), Progress(timesteps=5))
    whole: dict[str, Any] = {
        "algo": "ppo",
        "env": "toy/Catch-v0",
        "env_kwargs": {"length": 5},
        "hyperparameters": {**SMALL, **(settings or {})},
        "model": {"game": "Catch", "sha256": "a" * 64},
    }
    folder.write(path, (path.parent / "made.zip").read_bytes(), whole, {"CARD.md": "text"})
    written = yaml.safe_load((path / "agent.yaml").read_text())
    (path / "agent.yaml").write_text(yaml.safe_dump({**written, **about}))
    return path
