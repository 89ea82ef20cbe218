"""Options that cannot be: a sentence that names what there is, from each way to make an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

import spacetime_env  # noqa: F401  (registers SpaceTime/<Game>-v5)
from spacetime_env.envs.env import make_env
from spacetime_env.envs.options import check_game, check_noops, check_observation

BAD: list[tuple[dict[str, Any], str]] = [
    ({"obs_format": "dcit"}, "one of .*, got 'dcit'. Did you mean 'dict'"),
    ({"obs_format": "x" * 9999}, r"got 'x+\.\.\.x+'\.$"),
    ({"history": 0}, "history to be a whole number, 1 to 1000, got 0"),
    ({"history": 10**9}, "history to be a whole number, 1 to 1000, got 1000000000"),
    ({"history": True}, "history to be a whole number"),
    ({"scene_info": "array"}, "scene_info to be one of"),
    ({"overlay": "x"}, "overlay to be True or False, got 'x'"),
    ({"allow_game_mismatch": 1}, "allow_game_mismatch to be True or False, got 1"),
    ({"noop_max": -1}, "noop_max to be a whole number, 0 to 10000, got -1"),
    ({"noop_max": 10**12}, "noop_max to be a whole number, 0 to 10000"),
    ({"frameskpi": 2}, "'frameskpi' is not an option of this environment. Did you mean 'frameskip'"),
    ({"histroy": 2}, "Did you mean 'history'"),
    ({"zzz": 2}, "Options: allow_game_mismatch, .*, scene_info"),
    ({"sound_obs": True}, "'sound_obs' is not an option"),
    ({"frameskip": 0}, "frameskip to be a whole number, 1 or more, or a pair of them .*, got 0"),
    ({"frameskip": 10**9}, "frameskip"),
    ({"frameskip": (4, 2)}, "frameskip"),
    ({"frameskip": (2, 3, 4)}, "frameskip"),
    ({"frameskip": "4"}, "frameskip"),
    ({"repeat_action_probability": 7}, "repeat_action_probability to be a number from 0 to 1, got 7"),
    ({"repeat_action_probability": float("nan")}, "repeat_action_probability"),
    ({"continuous_action_threshold": -0.1}, "continuous_action_threshold to be a number from 0 to 1"),
    ({"full_action_space": 3}, "full_action_space to be True or False, got 3"),
    ({"continuous": "yes"}, "continuous to be True or False"),
    ({"max_num_frames_per_episode": -1}, "max_num_frames_per_episode to be a whole number"),
    ({"max_num_frames_per_episode": 2**31}, "max_num_frames_per_episode"),
    ({"mode": "x"}, "mode to be a whole number, got 'x'"),
    ({"mode": 6}, r"mode to be one that the game has, \[0, 1\], got 6"),
    ({"difficulty": 7}, r"difficulty to be one that the game has, \[0, 1, 2, 3\], got 7"),
    ({"render_mode": "x"}, r"render_mode to be one of \(None, 'human', 'rgb_array'\), got 'x'"),
    ({"model": 5}, "model to be a name, a folder, or a loaded model with a method detect, got 5"),
]


@pytest.mark.filterwarnings("ignore:.*render_mode")
@pytest.mark.parametrize(("options", "says"), BAD, ids=str)
def test_what_cannot_be_is_refused_in_a_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        make_env("Pong", **options)
    assert len(str(refused.value)) < 600
    if options.keys() & {"mode", "frameskip", "zzz", "model"}:
        with pytest.raises(ValueError, match=says):
            gym.make("SpaceTime/Pong-v5", **options)
        with pytest.raises(ValueError, match=says):
            gym.make_vec("SpaceTime/Pong-v5", num_envs=2, **options)


def test_what_can_be_is_taken() -> None:
    check_observation("flat", 1000, "arrays", overlay=False)
    check_noops(0)
    check_game({}, make_env)
    fits = {"frameskip": [2, 5], "repeat_action_probability": 0, "full_action_space": True, "mode": None}
    check_game({**fits, "max_num_frames_per_episode": 0, "render_mode": "human", "continuous": False}, make_env)
