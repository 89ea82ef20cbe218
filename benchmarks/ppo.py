"""d: PPO end to end, learning included: objects against pixels."""

from __future__ import annotations

import time
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

from benchmarks.common import Table, in_turns, ratios, spread
from spacetime_env.agent.envs import EnvMaker, make_envs
from spacetime_env.agent.folder import build
from spacetime_env.agent.hyperparameters import algorithm, parse, read
from spacetime_env.vector import cores


def run(repeats: int, conf: Any) -> list[Table]:
    """Env steps a second of two rollouts with their updates."""
    torch.set_num_threads(1)  # as train_agent.py has it
    settings = parse(read(conf, "SpaceTime/Pong-v5", {}), algorithm("ppo"))
    objects = build("ppo", settings, make_envs(EnvMaker("SpaceTime/Pong-v5", {}), settings.n_envs, 0), seed=0)
    # rl_zoo3's settings for Atari: 8 envs x 128 steps, 4 epochs of batches of 256, frames stacked by 4
    pixel_envs: VecEnv = VecFrameStack(make_atari_env("ALE/Pong-v5", 8, 0, env_kwargs={"frameskip": 1}), 4)
    pixels = PPO("CnnPolicy", pixel_envs, n_steps=128, batch_size=256, n_epochs=4, seed=0)

    def rate(agent: Any, rollouts: int, threads: int) -> float:
        torch.set_num_threads(threads)
        steps = rollouts * agent.n_steps * agent.n_envs
        began = time.perf_counter()
        agent.learn(steps, reset_num_timesteps=False)
        return steps / (time.perf_counter() - began)

    print("PPO on Pong, env steps/s with learning")
    contenders = {
        "objects: train_agent.py's settings": lambda: rate(objects, 2, 1),
        "pixels: CnnPolicy, AtariWrapper": lambda: rate(pixels, 2, cores()),
    }
    found = in_turns(contenders, repeats)
    for agent in (objects, pixels):
        agent.get_env().close()  # type: ignore[union-attr]
    base = found["pixels: CnnPolicy, AtariWrapper"]
    note = "Emulation, seeing, acting and learning. The pixel agent's torch has all cores, as SB3 leaves it."
    table = Table("d. PPO on Pong with learning", ["", "env steps/s", "ratio to pixels"], note=note)
    for name, rates in found.items():
        table.rows.append((name, spread(rates), ratios(rates, base, ".1f")))
    return [table]
