"""Types and ranges of hyperparameters and env options."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import stable_baselines3
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from spacetime_env.agent import AgentError
from spacetime_env.agent.hyperparameters import parse
from spacetime_env.agent.ranges import ALGORITHM, REFUSED, SCHEDULED, env_kwargs


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"gae_lambda": True}, "gae_lambda: expected a finite number from 0 up to 1, got True"),
        ({"vf_coef": math.inf}, "vf_coef: expected a finite number"),
        ({"vf_coef": "1e999"}, "vf_coef: expected a finite number"),
        ({"ent_coef": "auto"}, "ent_coef: expected a finite number"),
        ({"gamma": 7}, "gamma"),
        ({"gamma": None}, "gamma"),
        ({"target_kl": "x"}, "target_kl: expected None or a finite number over 0"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"n_steps": 10**12}, "n_steps: expected a whole number from 1 to 10,000,000"),
        ({"n_steps": 2.5}, "n_steps"),
        ({"batch_size": True}, "batch_size"),
        ({"n_envs": math.nan}, "n_envs"),
        ({"n_envs": 10**30}, "n_envs"),
        ({"n_timesteps": 10**400}, "n_timesteps"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"learning_rate": "lin_nan"}, "learning_rate"),
        ({"clip_range": None}, "clip_range"),
        ({"normalize_advantage": 5}, "normalize_advantage: expected True or False"),
        ({"stats_window_size": 10**12}, "stats_window_size"),
        ({"normalize": "x"}, "normalize: expected True, False or"),
        ({"normalize": {"norm_obss": True}}, "Did you mean 'norm_obs'"),
        ({"policy_kwargs": [1, 2]}, "policy_kwargs: expected such as"),
        ({"policy_kwargs": "dict(net_arch=[10**9])"}, "policy_kwargs: expected such as"),
        ({"policy_kwargs": "(" * 300}, "policy_kwargs: expected such as"),
        ({"policy_kwargs": {"net_arch": [10**7]}}, "net_arch"),
        ({"policy_kwargs": {"net_arch": [8192, 8192]}}, "net_arch.*weights"),
        ({"policy_kwargs": {"nosuch": 3}}, "no setting 'nosuch'"),
        ({"policy_kwargs": {"optimizer_kwargs": 3}}, "optimizer_kwargs"),
        ({"tensorboard_log": "/x"}, "tensorboard_log cannot be set as a hyperparameter: train_agent.py has"),
        ({"_init_setup_model": False}, "_init_setup_model cannot be set"),
        ({"rollout_buffer_class": "dict"}, "rollout_buffer_class cannot be set"),
        ({"seed": 5}, "seed cannot be set"),
        ({"env_kwargs": [1]}, "env_kwargs: expected names and values"),
        ({5: 5}, "names of hyperparameters are text"),
    ],
)
def test_a_value_that_sb3_cannot_use_is_refused(raw: dict[Any, Any], says: str) -> None:
    with pytest.raises(AgentError, match=says):
        parse(raw, PPO)


def test_what_sb3_takes_is_taken() -> None:
    raw = {"ent_coef": "auto_0.1", "train_freq": [1, "episode"], "policy_kwargs": "dict(net_arch=dict(pi=[8], qf=[9]))"}
    assert parse(raw, SAC).kwargs == {
        "ent_coef": "auto_0.1",
        "train_freq": (1, "episode"),
        "policy_kwargs": {"net_arch": {"pi": [8], "qf": [9]}},
    }
    assert parse({"n_steps": "1e3", "target_kl": None, "gamma": 1}, PPO).kwargs == {
        "n_steps": 1000,
        "target_kl": None,
        "gamma": 1,
    }
    assert parse({"buffer_size": 5}, DQN).kwargs == {"buffer_size": 5}


def test_every_argument_of_every_algorithm_is_checked_or_refused() -> None:
    modules = [stable_baselines3]
    try:
        import sb3_contrib

        modules.append(sb3_contrib)
    except ImportError:
        pass
    found = [v for m in modules for v in vars(m).values() if inspect.isclass(v) and issubclass(v, BaseAlgorithm)]
    known = {*ALGORITHM, *REFUSED, *SCHEDULED, "self", "policy", "env", "policy_kwargs"}
    for algo in found:
        assert set(inspect.signature(algo.__init__).parameters) <= known, algo
        for key, one in inspect.signature(algo.__init__).parameters.items():
            if key in ALGORITHM:  # SB3's own defaults are in range
                assert parse({key: one.default, "policy": next(iter(algo.policy_aliases))}, algo).kwargs == {
                    key: one.default
                }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"history": 10**9}, "history: expected a whole number from 1 to 1,000"),
        ({"noop_max": 10**12}, "noop_max"),
        ({"frameskip": 10**9}, "frameskip"),
        ({"frameskip": [2, 10**9]}, "frameskip"),
        ({"render_mode": "human"}, "render_mode is not for a file to say"),
        ({"device": "cuda"}, "device is of a machine and not for a file to say"),
        ({"x": {"y": 1}}, "x: expected a number, a text"),
        ([1], "expected names and values"),
    ],
)
def test_an_env_option_that_takes_all_memory_or_time_is_refused(given: Any, says: str) -> None:
    with pytest.raises(AgentError, match=says):
        env_kwargs(given)


def test_env_options_are_plain_values() -> None:
    options = {"frameskip": [2, 5], "mode": 1, "model": "pong", "continuous": True, "repeat_action_probability": 0.25}
    assert env_kwargs(options) == {**options, "frameskip": (2, 5)}
