"""Plays OCAtari and prints its steps a second, a turn for each line it reads. Needs ocatari and nothing of ours.

``python ocatari_steps.py Pong ram 1600 500``: game, mode (ram or vision), steps of a turn, steps played before.
"""

import sys
import time
from importlib.metadata import version

import numpy as np
from ocatari.core import OCAtari

game, mode, steps, warm = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
env = OCAtari(f"ALE/{game}-v5", mode=mode, hud=False, render_mode=None)
rng = np.random.default_rng(0)  # the actions that benchmarks.players.Player draws


def play(count: int) -> float:
    """Seconds of so many steps with random actions."""
    actions = rng.integers(env.action_space.n, size=count).tolist()
    began = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return time.perf_counter() - began


env.reset(seed=0)
play(warm)
print("version", version("ocatari"), flush=True)
for _ in sys.stdin:
    print("rate", steps / play(steps), flush=True)
