"""From nothing to an agent that learns, in an env that is no Atari game.

    pip install 'spacetime-env[examples]'
    python -m examples.any_env            # records, trains the model, then the agent; docs/any-env.md has its figures

MiniGrid's Dynamic-Obstacles: an agent has to reach a green square among four balls that roll about. The package is told
nothing of it but its id. Each part goes on where it was stopped, and what is there already is used.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import spacetime_env  # noqa: F401  (registers SpaceTime/Any-v0)
from spacetime_env.commands import pretrain, record

ENV_ID = "minigrid:MiniGrid-Dynamic-Obstacles-8x8-v0"
# Without highlight=False the frame shows what the agent can see in a lighter colour; None: it starts anywhere.
OPTIONS: dict[str, Any] = {"highlight": False, "agent_start_pos": None}
DATA, MODEL = Path("data/balls"), Path("models/balls")


def record_frames() -> None:
    """Frames of random play; test frames with true boxes, for figures alone."""
    options = [f"{name}:{value}" for name, value in OPTIONS.items()]
    words = ["--env-id", ENV_ID, "--env-kwargs", *options, "--frame-size", "128", "128", "--size", "1024"]
    words += ["--boxes", "examples.minigrid_boxes:boxes", "--out", str(DATA)]
    if record.main(words):
        raise SystemExit("the frames are missing")


def train_model() -> None:
    """The model that finds the objects. It learns from what moves, and no label names them."""
    if not MODEL.exists() and pretrain.main(["--config", "configs/balls.yaml"]):
        raise SystemExit("the model is missing")


def make() -> gym.Env[Any, Any]:
    """The env whose observations are objects."""
    return gym.make("SpaceTime/Any-v0", env_id=ENV_ID, model=str(MODEL), obs_format="flat", **OPTIONS)


def play(choose: Any, episodes: int, seed: int) -> np.ndarray:
    """The returns of some episodes, (episodes,); ``choose`` makes an action of an observation."""
    env, returns = make(), []
    env.action_space.seed(seed)
    for episode in range(episodes):
        observation, over, total = env.reset(seed=seed + episode)[0], False, 0.0
        while not over:
            observation, reward, terminated, truncated, _ = env.step(choose(env, observation))
            over, total = terminated or truncated, total + float(reward)
        returns.append(total)
    env.close()
    return np.array(returns)


def show(name: str, returns: np.ndarray) -> None:
    """Print mean and standard error of returns, and how often the goal was reached."""
    error = returns.std(ddof=1) / len(returns) ** 0.5
    reached = float((returns > 0).mean())
    print(f"{name}: return {returns.mean():.3f} ± {error:.3f} (standard error, {len(returns)} episodes), ", end="")
    print(f"goal reached in {reached:.1%}")


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description="From nothing to an agent that learns, on MiniGrid.")
    options.add_argument("--steps", type=int, default=150_000, help="of the agent's training (default: %(default)s)")
    options.add_argument("--episodes", type=int, default=100, help="of each measurement (default: %(default)s)")
    options.add_argument("--seed", type=int, default=0, help="of the agent (default: %(default)s)")
    asked = options.parse_args()
    torch.set_num_threads(1)
    record_frames()
    train_model()
    show("random play", play(lambda env, _: env.action_space.sample(), asked.episodes, seed=10_000))
    envs = make_vec_env(make, 8, seed=asked.seed)
    agent = PPO("MlpPolicy", envs, n_steps=256, batch_size=256, ent_coef=0.01, seed=asked.seed, device="cpu")
    began, cpu = time.perf_counter(), time.process_time()
    agent.learn(asked.steps)
    print(f"{asked.steps} steps in {time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU time")
    returns = play(lambda _, one: agent.predict(one, deterministic=True)[0], asked.episodes, seed=20_000)
    show("the agent", returns)
    agent.save("balls-ppo")
    Path("balls-ppo.json").write_text(json.dumps({"returns": returns.tolist()}))


if __name__ == "__main__":
    main()
