"""An episode as it is at one of its steps, so that it can be gone on with from there, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ale_py
import gymnasium as gym

from spacetime_env.envs.observation import Observer, Past
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.tracker import Objects, Tracker


@dataclass(frozen=True)
class EpisodeState:
    """What :meth:`spacetime_env.SpaceTimeObservation.clone_state` returns. It can be pickled.

    Attributes:
        emulator: the state of the game.
        random: the state of the environment's own random numbers; None where these were left out.
        objects: what the tracker knows.
        past: the rows of the steps before.
        detections: of the last frame.
    """

    emulator: ale_py.ALEState
    random: dict[str, Any] | None
    objects: Objects
    past: Past
    detections: Detections | None


def clone(
    env: gym.Env[Any, Any], tracker: Tracker, observer: Observer, detections: Detections | None, include_rng: bool
) -> EpisodeState:
    """The state of the ALE environment under ``env``, and of what has followed from it."""
    game = _ale(env)
    random = game.np_random.bit_generator.state if include_rng else None
    emulator = game.ale.cloneState(include_rng=include_rng)
    return EpisodeState(emulator, random, tracker.remember(), observer.remember(), detections)


def restore(state: EpisodeState, env: gym.Env[Any, Any], tracker: Tracker, observer: Observer) -> None:
    """Put ``state`` back into an environment of the same game, model and options.

    Raises:
        TypeError: ``state`` is not an :class:`EpisodeState`, but perhaps ALE's own.
        ValueError: it is of an environment with other slots or another history.
    """
    if not isinstance(state, EpisodeState):
        raise TypeError(
            f"expected what clone_state() of such an environment returned, got {type(state).__name__}. A state of the "
            "emulator alone goes to env.unwrapped.restore_state; the tracked objects are then forgotten."
        )
    game = _ale(env)
    observer.recall(state.past)  # refuses a state of other slots before anything is changed
    tracker.recall(state.objects)
    game.ale.restoreState(state.emulator)
    if state.random is not None:
        game.np_random.bit_generator.state = state.random


def frame_number(env: gym.Env[Any, Any]) -> int | None:
    """How many frames the emulator has played; None where there is no emulator under ``env``."""
    ale = getattr(env.unwrapped, "ale", None)
    return None if ale is None else int(ale.getFrameNumber())


def _ale(env: gym.Env[Any, Any]) -> Any:
    if not isinstance(env.unwrapped, ale_py.AtariEnv):
        raise TypeError(
            f"the state of an episode is ALE's, and under this environment is {type(env.unwrapped).__name__}."
        )
    return env.unwrapped
