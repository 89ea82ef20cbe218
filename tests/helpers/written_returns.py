"""``Written/Boxing-flat-v5``: ``SpaceTime/Boxing-flat-v5`` with its returns in a file, a line for each episode.

For a script that takes an id and prints no returns: Gymnasium imports the module that stands before the colon of
``tests.helpers.written_returns:Written/Boxing-flat-v5``. The environment variable ``WRITTEN_RETURNS`` names the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym

import spacetime_env  # noqa: F401  (registers the ids)

GAMES = ("Boxing", "Pong")


class WrittenReturns(gym.Wrapper):
    """Appends ``steps return`` at the end of each episode; steps are those of this environment."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._file, self._steps, self._return = Path(os.environ["WRITTEN_RETURNS"]), 0, 0.0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self._return = 0.0
        return self.env.reset(**options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        self._return += float(reward)
        if terminated or truncated:
            with self._file.open("a") as file:
                file.write(f"{self._steps} {self._return:g}\n")
        return observation, reward, terminated, truncated, info


def make(game: str, **options: Any) -> gym.Env:
    """The environment of a game, with its returns written."""
    return WrittenReturns(gym.make(f"SpaceTime/{game}-flat-v5", **options))


for game in GAMES:
    gym.register(f"Written/{game}-flat-v5", entry_point=make, kwargs={"game": game})
