"""PPO in torchrl learns Boxing from objects; a collector plays eight environments as one.

    python examples/torchrl_boxing.py --steps 200000

torchrl resets the environments whose episode ended itself, so they are made with ``autoreset_mode="Disabled"``.
README.md beside this file says what to install.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small: more threads only wait for each other

import gymnasium as gym
import numpy as np
import torch
from returns import compare
from tensordict.nn import TensorDictModule
from torch import nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import spacetime_env  # noqa: F401  (registers the ids)

ENVS, BATCH, MINIBATCH, EPOCHS = 8, 1024, 128, 8


def mlp(inputs: int, outputs: int, scale: float) -> nn.Sequential:
    """Two hidden layers, orthogonal weights, the last ones times ``scale``: as CleanRL's PPO has them."""
    layers = nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)
    for layer, gain in zip(layers, (2**0.5, 2**0.5, scale), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", default="Boxing")
    parser.add_argument("--steps", type=int, default=200_000, help="env steps to learn from (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop learning then (default: never)")
    parser.add_argument("--episodes", type=int, default=10, help="of the last evaluation (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    env_id = f"SpaceTime/{args.game}-flat-v5"
    games = gym.make_vec(env_id, num_envs=ENVS, autoreset_mode="Disabled")
    env = GymWrapper(games, categorical_action_encoding=True)
    env.set_seed(args.seed)
    inputs, actions = games.single_observation_space.shape[0], games.single_action_space.n

    policy = TensorDictModule(mlp(inputs, actions, 0.01), in_keys=["observation"], out_keys=["logits"])
    actor = ProbabilisticActor(
        policy, spec=env.action_spec, in_keys=["logits"], distribution_class=Categorical, return_log_prob=True
    )
    critic = ValueOperator(mlp(inputs, 1, 1.0), in_keys=["observation"])
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic, average_gae=False)
    loss = ClipPPOLoss(
        actor, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.5, loss_critic_type="l2",
        normalize_advantage=True,
    )  # fmt: skip
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3, eps=1e-5)
    collector = Collector(
        env, actor, frames_per_batch=BATCH, total_frames=args.steps, auto_register_policy_transforms=False
    )

    done, running, returns, began = 0, torch.zeros(ENVS), [], time.monotonic()
    for data in collector:  # (ENVS, BATCH / ENVS) steps
        with torch.no_grad():
            advantage(data)
        flat = data.reshape(-1)
        for _ in range(EPOCHS):
            for indices in torch.randperm(len(flat)).split(MINIBATCH):
                found = loss(flat[indices])
                optimizer.zero_grad()
                (found["loss_objective"] + found["loss_critic"] + found["loss_entropy"]).backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                optimizer.step()
        collector.update_policy_weights_()
        done += data.numel()
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * max(1 - done / args.steps, 0.01)  # falls linearly
        for reward, ended in zip(data["next", "reward"].unbind(1), data["next", "done"].unbind(1), strict=True):
            running += reward.squeeze(-1)
            returns += running[ended.squeeze(-1)].tolist()
            running[ended.squeeze(-1)] = 0
        played = np.mean(returns[-10:]) if returns else float("nan")
        print(f"{done} of {args.steps} steps, mean return of the last episodes {played:.2f}", flush=True)
        if time.monotonic() > began + 60 * args.minutes:
            break
    collector.shutdown()

    def act(observation: np.ndarray) -> int:
        with torch.no_grad():
            logits = policy.module(torch.from_numpy(observation))
        return int(Categorical(logits=logits).sample())

    torch.manual_seed(args.seed)
    compare(gym.make(env_id), act, args.episodes, seed=1000)


if __name__ == "__main__":
    main()
