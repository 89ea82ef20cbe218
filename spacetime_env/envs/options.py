"""The options of an environment are checked before anything is made with them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env.envs.observation import OBS_FORMATS, SCENE_INFO
from spacetime_env.files import did_you_mean, shown, shown_names

LONGEST_HISTORY = 1000  # steps; an observation holds them all
FLAGS = ("full_action_space", "continuous")


def check_observation(obs_format: Any, history: Any, scene_info: Any, **flags: Any) -> None:
    """Check the options of :class:`spacetime_env.SpaceTimeObservation` but for its model.

    Args:
        obs_format, history, scene_info: see there.
        **flags: those that are True or False.

    Raises:
        ValueError: one of them has a value that it cannot have.
    """
    if obs_format not in OBS_FORMATS:
        hint = did_you_mean(obs_format, OBS_FORMATS)
        raise ValueError(f"expected obs_format to be one of {OBS_FORMATS}, got {shown(obs_format)}. {hint}".rstrip())
    if not _whole(history) or not 1 <= history <= LONGEST_HISTORY:
        raise ValueError(f"expected history to be a whole number, 1 to {LONGEST_HISTORY}, got {shown(history)}.")
    if not isinstance(scene_info, (bool, str)) or scene_info not in SCENE_INFO:
        raise ValueError(f"expected scene_info to be one of {SCENE_INFO}, got {shown(scene_info)}.")
    _check_flags(flags)


def warn_about_overlay(overlay: bool, render_mode: str | None) -> None:
    """Warn if pictures of this mode cannot be drawn on. It is no error: check_env rebuilds a spec with each mode."""
    if overlay and render_mode not in ("rgb_array", "rgb_array_list"):
        gym.logger.warn(
            f"overlay=True draws on the pictures of render_mode='rgb_array', got {render_mode!r}. "
            "For a window, put gymnasium.wrappers.HumanRendering around an environment of that mode."
        )


def check_game(options: Mapping[str, Any], ours: Any) -> None:
    """Check the options of the game, but for ``mode`` and ``difficulty``: the game itself knows which it has.

    Args:
        options: those of ``ale_py.AtariEnv``.
        ours: the function that has taken the other options, to name one that was misspelt.

    Raises:
        ValueError: there is no such option, or it has a value that it cannot have.
    """
    known = set(inspect.signature(ale_py.AtariEnv.__init__).parameters) - {"self", "game", "sound_obs"}
    for name in options:
        if name not in known:
            names = sorted(known | set(inspect.signature(ours).parameters) - {"game", "kwargs"})
            hint = did_you_mean(name, names) or f"Options: {shown_names(names)}."
            raise ValueError(f"{shown(name)} is not an option of this environment. {hint}")
    _check_flags({name: options[name] for name in FLAGS if name in options})
    if "frameskip" in options and not _is_frameskip(options["frameskip"]):
        raise ValueError(
            "expected frameskip to be a whole number, 1 or more, or a pair of them of which the first is less, "
            f"got {shown(options['frameskip'])}."
        )
    for name, top in (("repeat_action_probability", 1.0), ("continuous_action_threshold", 1.0)):
        if name in options and not (_number(options[name]) and 0 <= options[name] <= top):
            raise ValueError(f"expected {name} to be a number from 0 to {top:g}, got {shown(options[name])}.")
    longest = options.get("max_num_frames_per_episode")
    if longest is not None and (not _whole(longest) or not 0 <= longest < 2**31):
        raise ValueError(
            f"expected max_num_frames_per_episode to be a whole number, 0 (no limit) or more, got {shown(longest)}."
        )
    for name in ("mode", "difficulty"):
        if options.get(name) is not None and not _whole(options[name]):
            raise ValueError(f"expected {name} to be a whole number, got {shown(options[name])}.")
    modes = (None, *ale_py.AtariEnv.metadata["render_modes"])
    if options.get("render_mode") not in modes:
        raise ValueError(f"expected render_mode to be one of {modes}, got {shown(options['render_mode'])}.")


def check_noops(noop_max: Any) -> None:
    """Check how many steps of doing nothing an episode may begin with.

    Raises:
        ValueError: it is no whole number from 0 to 10,000.
    """
    if not _whole(noop_max) or not 0 <= noop_max <= 10_000:
        raise ValueError(f"expected noop_max to be a whole number, 0 to 10000, got {shown(noop_max)}.")


def _check_flags(flags: Mapping[str, Any]) -> None:
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"expected {name} to be True or False, got {shown(value)}.")


def _is_frameskip(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return len(value) == 2 and all(map(_is_frameskip_number, value)) and value[0] < value[1]
    return _is_frameskip_number(value)


def _is_frameskip_number(value: Any) -> bool:
    return _whole(value) and 1 <= value <= 10_000


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def _number(value: Any) -> bool:
    return (_whole(value) or isinstance(value, (float, np.floating))) and math.isfinite(value)
