"""Valid agents: untrained, of three algorithms, on an env that needs no emulator. See :mod:`benchmarks.fuzz.seeds`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import yaml
from gymnasium import spaces

from benchmarks.fuzz.seeds import Valid


class Rows(gym.Env[np.ndarray, Any]):
    """An env that shows three rows of seven numbers, as the objects of Pong do, and needs no emulator."""

    feature_names = ("presence", "x", "y", "width", "height", "dx", "dy")
    observation_space = spaces.Box(-1, 1, (3, 7), np.float32)
    action_space = spaces.Discrete(6)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Zeros."""
        return np.zeros((3, 7), np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Zeros."""
        return np.zeros((3, 7), np.float32), 0.0, False, False, {}


PPO: dict[str, Any] = {"policy": "spacetime_env.agent.ObjectsPolicy", "n_steps": 4, "batch_size": 4, "gamma": 0.99}
AGENTS: dict[str, dict[str, Any]] = {  # hyperparameters by algorithm
    "ppo": {**PPO, "normalize": True, "policy_kwargs": {"net_arch": [8]}, "n_envs": 2, "n_timesteps": 8},
    "a2c": {"policy": "MlpPolicy", "n_steps": 4, "policy_kwargs": "dict(net_arch=[8], activation_fn=nn.Tanh)"},
    "dqn": {"policy": "spacetime_env.agent.ObjectsDQNPolicy", "buffer_size": 20, "policy_kwargs": {"net_arch": [8]}},
}


def agent(algo: str) -> Any:
    """An untrained agent on :class:`Rows`."""
    from spacetime_env.agent.folder import build
    from spacetime_env.agent.hyperparameters import algorithm, parse

    return build(algo, parse(AGENTS[algo], algorithm(algo)), Rows(), seed=0)


EVALUATION = {"timesteps": 4, "mean": 1.0, "std": 0.0, "episodes": 1, "training_mean": None, "seconds": 1.0}


def run_folders(root: Path) -> Valid:
    """What trainings leave when they are interrupted: ``run.yaml`` and ``last.zip``."""
    from spacetime_env.agent import sb3_checkpoint
    from spacetime_env.agent.progress import Progress

    made: Valid = []
    for algo, raw in AGENTS.items():
        one, folder = agent(algo), root / f"run-{algo}"
        folder.mkdir(parents=True)
        memory = getattr(one, "replay_buffer", None)
        if memory is not None:
            memory.pos = 5
        sb3_checkpoint.save(folder / "last.zip", one, Progress(8, 1.0, 1, [EVALUATION], 1.0))
        asked = {
            "algo": algo,
            "env": "SpaceTime/Pong-v5",
            "seed": 0,
            "hyperparameters": raw,
            "env_kwargs": {},
            "start": "",
        }
        (folder / "run.yaml").write_text(yaml.safe_dump({"asked": asked, "seed": 1, "earlier": []}))
        made.append((folder, [algo]))
    return made


def agent_folders(root: Path) -> Valid:
    """Agents that play Pong."""
    from spacetime_env.agent import sb3_checkpoint
    from spacetime_env.agent.progress import Progress
    from spacetime_env.models.folder import load_model

    made: Valid = []
    sha256 = load_model("pong").settings.sha256
    for algo, raw in AGENTS.items():
        folder = root / f"agent-{algo}"
        folder.mkdir(parents=True)
        sb3_checkpoint.save(
            folder / "policy.zip", agent(algo), Progress(8, 1.0, 1, [EVALUATION], 1.0), replay=False
        )
        digest = hashlib.sha256((folder / "policy.zip").read_bytes()).hexdigest()
        about = {
            "name": algo,
            "algo": algo,
            "env": "SpaceTime/Pong-v5",
            "env_kwargs": {},
            "deterministic": True,
            "seed": 0,
        }
        about |= {"model": {"game": "Pong", "sha256": sha256}, "hyperparameters": raw, "trained": {"earlier": []}}
        (folder / "agent.yaml").write_text(yaml.safe_dump({**about, "policy_sha256": digest}, sort_keys=False))
        made.append((folder, []))
    return made


def settings_folders(root: Path) -> Valid:
    """A hyperparameter file for each algorithm."""
    made: Valid = []
    for algo, raw in AGENTS.items():
        folder = root / f"hyperparameters-{algo}"
        folder.mkdir(parents=True)
        (folder / f"{algo}.yml").write_text(yaml.safe_dump({"default": raw}))
        made.append((folder, [algo]))
    return made
