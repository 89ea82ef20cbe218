"""a: env steps a second, against raw ALE, OCAtari and SB3's pixel stack."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ale_py import AtariVectorEnv
from stable_baselines3.common.atari_wrappers import AtariWrapper

import spacetime_env  # noqa: F401  (registers the environments)
from benchmarks.common import Table, in_turns, ratios, spread

# What makes AtariVectorEnv show what gym.make("ALE/<Game>-v5") shows, as near as it goes.
RAW = {
    "grayscale": False,
    "stack_num": 1,
    "maxpool": False,
    "noop_max": 0,
    "reward_clipping": False,
    "use_fire_reset": False,
    "repeat_action_probability": 0.25,
}
STEPS = 1200  # env steps of a repeat, shared by the envs


def run(games: list[str], counts: list[int], repeats: int, ocatari: str | None) -> list[Table]:
    """A table for each game."""
    return [one(game, counts, repeats, ocatari) for game in games]


def one(game: str, counts: list[int], repeats: int, ocatari: str | None) -> Table:
    """Steps a second of all contenders on one game."""
    contenders: dict[str, Callable[[], float]] = {}
    opened: list[Any] = []

    def add(name: str, env: Any, measure: Callable[[Any], float]) -> None:
        opened.append(env)
        contenders[name] = lambda: measure(env)

    single = gym.make(f"ALE/{game}-v5")
    height, width = single.observation_space.shape[:2]
    add("ALE, one env", single, alone)
    add("ours, one env", gym.make(f"SpaceTime/{game}-v5"), alone)
    add("SB3 AtariWrapper (84x84 grey), one env", AtariWrapper(gym.make(f"ALE/{game}-v5", frameskip=1)), alone)
    for count in counts:
        raw = AtariVectorEnv(snake(game), count, img_height=height, img_width=width, **RAW)
        add(f"AtariVectorEnv RGB, {count} envs", raw, together)
        add(f"ours, {count} envs", gym.make_vec(f"SpaceTime/{game}-v5", count), together)
    if ocatari:
        for mode in ("ram", "vision"):
            contenders[f"OCAtari {mode}, one env"] = lambda mode=mode: ocatari_rate(ocatari, game, mode)
    print(f"env steps/s on {game}")
    found = in_turns(contenders, repeats)
    for env in opened:
        env.close()
    head = ["", "env steps/s: median (least to most)", "ratio to raw ALE of the same number of envs"]
    table = Table(f"a. Env steps a second, {game}", head)
    for name, rates in found.items():
        envs = name.rpartition(", ")[2]
        base = "ALE, one env" if envs == "one env" else f"AtariVectorEnv RGB, {envs}"
        table.rows.append((name, spread(rates), "1" if name == base else ratios(rates, found[base])))
    return table


def alone(env: gym.Env) -> float:
    """Steps a second of one env with random actions."""
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    began = time.perf_counter()
    for action in rng.integers(env.action_space.n, size=STEPS // 3).tolist():  # type: ignore[attr-defined]
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return STEPS // 3 / (time.perf_counter() - began)


def together(envs: Any) -> float:
    """Env steps a second of a vector env with random actions."""
    rng = np.random.default_rng(0)
    envs.reset(seed=0)
    steps = max(10, STEPS // envs.num_envs)
    actions = rng.integers(envs.single_action_space.n, size=(steps, envs.num_envs))
    began = time.perf_counter()
    for row in actions:
        envs.step(row)
    return steps * envs.num_envs / (time.perf_counter() - began)


def ocatari_rate(python: str, game: str, mode: str) -> float:
    """Steps a second of OCAtari, in its own Python: it wants numpy below 2."""
    script = Path(__file__).with_name("ocatari_steps.py")
    done = subprocess.run([python, str(script), game, mode], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"OCAtari did not run with {python}:\n{done.stderr.strip()[-800:]}")
    return float(done.stdout.split()[-1])


def snake(game: str) -> str:
    """SpaceInvaders -> space_invaders, as ale_py names ROMs."""
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(game))
