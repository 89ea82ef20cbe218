"""SpaceTime environments: Atari games that show the objects a SPACE-Time model finds, not the pixels.

>>> import gymnasium as gym, spacetime_env
>>> env = gym.make("SpaceTime/Pong-v5")

Importing the package registers ``SpaceTime/<Game>-v5`` for every game of ale_py, and ``SpaceTime/<Game>-flat-v5``
with flat observations; ``SpaceTime/Any-v0`` is any other environment that renders its frames. It is light: torch is
imported when a model is loaded, and Stable-Baselines3 when an agent is.
"""

from __future__ import annotations

import itertools as _itertools
from typing import TYPE_CHECKING

import gymnasium as gym

from spacetime_env.games import ale_spec, canonical, games
from spacetime_env.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from spacetime_env.envs.wrapper import SpaceTimeObservation
    from spacetime_env.models.folder import available_models, load_model

__version__ = "0.1.0"

__all__ = [
    "SpaceTimeObservation",
    "available_models",
    "canonical",
    "games",
    "load_model",
    "register_envs",
]

_LAZY = {
    "SpaceTimeObservation": "envs.wrapper",
    "available_models": "models.folder",
    "load_model": "models.folder",
}
# ``spacetime_env.agent`` works after ``import spacetime_env``, and so do the other rooms.
_ROOMS = ("agent", "commands", "config", "data", "envs", "evaluation", "models", "objects", "space", "training")
__getattr__, __dir__ = _lazy_names(__name__, _LAZY, _ROOMS)


def register_envs() -> None:
    """Register ``SpaceTime/<Game>-v5`` for every ``ALE/<Game>-v5``, with the same options and limits.

    ``SpaceTime/<Game>-flat-v5`` is the same with ``obs_format="flat"``, for scripts that take an id and nothing else.
    ``SpaceTime/Any-v0`` is any other environment that renders, ``gym.make("SpaceTime/Any-v0", env_id=..., model=...)``.
    Importing :mod:`spacetime_env` does this. Calling it again changes nothing.
    """
    if "SpaceTime/Any-v0" not in gym.registry:
        gym.register("SpaceTime/Any-v0", entry_point="spacetime_env.envs.any_env:make_any_env")
    for game, (form, options) in _itertools.product(games(), (("", {}), ("-flat", {"obs_format": "flat"}))):
        name = f"SpaceTime/{game}{form}-v5"
        if name not in gym.registry:
            ale = ale_spec(game)
            gym.register(
                name,
                entry_point="spacetime_env.env:make_env",
                vector_entry_point="spacetime_env.vector:SpaceTimeVectorEnv",
                max_episode_steps=ale.max_episode_steps,
                kwargs={**ale.kwargs, **options},
            )


register_envs()
