"""Ray RLlib's PPO learns Pong from objects, with two env runners.

    python examples/rllib_pong.py --steps 300000

RLlib makes environments from an id. The part before the colon is the module that Gymnasium imports in each process, so
the env runners know the ids of spacetime_env too. ``-flat`` observations are one vector, which RLlib's MLP takes.
README.md beside this file says what to install.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small: more threads only wait for each other
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import gymnasium as gym
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from returns import compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--steps", type=int, default=300_000, help="env steps to learn from (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop learning then (default: never)")
    parser.add_argument("--env-runners", type=int, default=2, help="processes that play (default: %(default)s)")
    parser.add_argument("--ray", metavar="ADDRESS", help="of a cluster (default: a node of its own)")
    parser.add_argument("--episodes", type=int, default=10, help="of the last evaluation (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    env_id = f"spacetime_env:SpaceTime/{args.game}-flat-v5"
    config = (
        PPOConfig()
        .environment(env_id)
        .env_runners(num_env_runners=args.env_runners, num_envs_per_env_runner=4)
        .learners(num_learners=0)  # in this process
        .training(
            train_batch_size_per_learner=1024,
            minibatch_size=128,
            num_epochs=8,
            lr=[[0, 1e-3], [args.steps, 1e-5]],  # falls linearly
            gamma=0.99,
            lambda_=0.95,
            clip_param=0.2,
            vf_clip_param=1000.0,
            vf_loss_coeff=0.5,
            entropy_coeff=0.01,
            grad_clip=0.5,
            use_kl_loss=False,
        )
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[128, 128], fcnet_activation="relu"))
        .debugging(seed=args.seed, log_level="ERROR")
    )

    own = {} if args.ray else {"num_cpus": args.env_runners + 1, "include_dashboard": False}
    ray.init(args.ray or "local", logging_level="error", log_to_driver=False, **own)
    algorithm = config.build_algo()
    steps, began = 0, time.monotonic()
    while steps < args.steps and time.monotonic() < began + 60 * args.minutes:
        result = algorithm.train()
        steps = result["num_env_steps_sampled_lifetime"]
        played = result["env_runners"].get("episode_return_mean", float("nan"))
        print(f"{steps} of {args.steps} steps, mean return of the last episodes {played:.2f}", flush=True)

    module = algorithm.get_module()

    def act(observation: np.ndarray) -> int:
        batch = {Columns.OBS: torch.from_numpy(observation[None])}
        with torch.no_grad():
            logits = module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS]
        return int(torch.distributions.Categorical(logits=logits).sample())

    torch.manual_seed(args.seed)
    compare(gym.make(env_id), act, args.episodes, seed=1000)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
