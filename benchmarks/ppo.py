"""d: PPO end to end, learning included: objects against pixels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ale_py  # noqa: F401  (registers ALE's environments, in worker processes too)
import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack

from benchmarks.common import Table, in_turns, ratios, spread, threads
from spacetime_env.agent.build import build
from spacetime_env.agent.envs import EnvMaker, make_envs
from spacetime_env.agent.hyperparameters import algorithm, parse, read
from spacetime_env.envs.vector import cores

GAME = "Pong"
ENVS = 8  # of the pixel agent
PIXELS = {"n_steps": 128, "batch_size": 256, "n_epochs": 4}  # rl_zoo3's settings for Atari
TURN = {"objects": 16384, "pixels": 2048}  # env steps of a turn: about 8 seconds


@dataclass
class Contender:
    """An agent that is timed while it learns."""

    name: str
    agent: Any
    turn: int  # env steps
    processes: int
    threads: int  # of torch, while it learns

    def __call__(self) -> float:
        """Learn for a turn of whole rollouts: env steps a second."""
        steps = max(1, self.turn // self.rollout) * self.rollout
        with threads(self.threads):
            began = time.perf_counter()
            self.agent.learn(steps, reset_num_timesteps=False)
            return steps / (time.perf_counter() - began)

    @property
    def rollout(self) -> int:
        """Env steps between two updates."""
        return int(self.agent.n_steps * self.agent.n_envs)

    def settings(self) -> list[str]:
        """Its columns of the table."""
        one = self.agent
        batches = f"{one.n_epochs} x {self.rollout // one.batch_size} of {one.batch_size}"
        return [f"{one.n_envs} x {one.n_steps}", batches, str(self.processes), str(self.threads)]


def run(repeats: int, conf: Path, steps: int | None) -> list[Table]:
    """Env steps a second of rollouts with their updates."""
    turn = {kind: least if steps is None else min(steps, least) for kind, least in TURN.items()}
    contenders = {one.name: one for one in (*objects(conf, turn["objects"]), *pixels(turn["pixels"]))}
    print(f"PPO on {GAME}, env steps/s with learning")
    found = in_turns(contenders, repeats)
    for one in contenders.values():
        one.agent.get_env().close()
    return [Table(f"d. PPO on {GAME} with learning", HEAD, rows(contenders, found), NOTE)]


HEAD = ["", "envs x steps of a rollout", "epochs x batches", "processes", "torch threads", "env steps/s"]
HEAD += ["ratio to the faster pixel agent"]
NOTE = (
    "Emulation, seeing, acting and learning, in whole rollouts with their updates. Every row plays with frame skip 4. "
    "Objects: `ObjectsPolicy` on `SpaceTimeVectorEnv`, one thread as train_agent.py has it, numba as said above. "
    "Pixels: SB3's `CnnPolicy` on `AtariWrapper`, 84 x 84 grey, 4 frames stacked, torch on all cores as SB3 leaves it; "
    "envs one after the other in one process (`DummyVecEnv`) or in a process each (`SubprocVecEnv`). 'As pixels': "
    "rollout, batch and epochs of rl_zoo3's Atari settings, which the pixel agents have too; train_agent.py's own are "
    "those of configs/agents/ppo.yml."
)


def objects(conf: Path, turn: int) -> list[Contender]:
    """Agents that see objects: with train_agent.py's settings, and with those of the pixel agents."""
    env, found = f"SpaceTime/{GAME}-v5", []
    for name, changed in (("train_agent.py's settings", {}), ("settings as pixels", {"n_envs": ENVS, **PIXELS})):
        settings = parse(read(conf, env, changed), algorithm("ppo"))
        agent = build("ppo", settings, make_envs(EnvMaker(env, {}), settings.n_envs, 0), seed=0)
        found.append(Contender(f"objects, {name}", agent, turn, min(cores(), settings.n_envs), 1))
    return found


def pixels(turn: int) -> list[Contender]:
    """Agents that see pixels: envs in this process, and in a process each."""
    found = []
    for kind, processes in ((DummyVecEnv, 1), (SubprocVecEnv, ENVS + 1)):
        made = make_vec_env(raw, ENVS, 0, wrapper_class=AtariWrapper, vec_env_cls=kind)  # as make_atari_env does
        envs: VecEnv = VecFrameStack(made, 4)
        agent = PPO("CnnPolicy", envs, seed=0, device="cpu", **PIXELS)
        found.append(Contender(f"pixels, {kind.__name__}", agent, turn, processes, torch.get_num_threads()))
    return found


def raw() -> gym.Env:
    """The game frame by frame: AtariWrapper skips."""
    return gym.make(f"ALE/{GAME}-v5", frameskip=1)


def rows(contenders: dict[str, Any], found: dict[str, list[float]]) -> list[list[str]]:
    """A row each, with ratios to the pixel agent of the higher median."""
    base = max((name for name in found if name.startswith("pixels")), key=lambda name: float(np.median(found[name])))
    return [
        [name, *contenders[name].settings(), spread(rates), "1" if name == base else ratios(rates, found[base], ".1f")]
        for name, rates in found.items()
    ]
