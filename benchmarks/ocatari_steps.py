"""Prints OCAtari's steps a second: python ocatari_steps.py Pong ram|vision. Needs ocatari and nothing of ours."""

import sys
import time

import numpy as np
from ocatari.core import OCAtari

game, mode = sys.argv[1:]
env = OCAtari(f"ALE/{game}-v5", mode=mode, hud=False, render_mode=None)
env.reset(seed=0)
rng = np.random.default_rng(0)
steps = 300 if mode == "vision" else 800
actions = rng.integers(env.action_space.n, size=steps).tolist()
for action in actions[:50]:
    env.step(action)
began = time.perf_counter()
for action in actions:
    _, _, one, other, _ = env.step(action)
    if one or other:
        env.reset()
print(steps / (time.perf_counter() - began))
