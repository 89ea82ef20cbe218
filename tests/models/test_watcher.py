"""A watcher and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.models.watcher import Watcher
from tests.envs.test_choose_model import FRAME
from tests.helpers.fakes import ColourModel


class Remembering:
    """A model with a memory: says how many frames of each game it has seen, and what it was begun for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun: list[int] = []

    def begin(self, games: int) -> list[int]:
        self.begun.append(games)
        return [0] * games

    def follow(self, frames: Sequence[Any], games: Sequence[int], seen: list[int]) -> list[Any]:
        for game in games:
            seen[game] += 1
        return [(self.name, game, seen[game], frame) for game, frame in zip(games, frames, strict=True)]

    def detect(self, frames: Sequence[Any]) -> list[Any]:
        raise AssertionError("a model that remembers is not asked without its memory")


class Forgetful(Remembering):
    """Has the methods, but says that remembering would be no faster."""

    def begin(self, games: int) -> Any:
        super().begin(games)

    def detect(self, frames: Sequence[Any]) -> list[Any]:
        return [(self.name, frame) for frame in frames]


def test_each_game_has_a_memory_of_its_own() -> None:
    model, watcher = Remembering("a"), Watcher(3)
    assert watcher.detect(model, ["x", "y"], [2, 0]) == [("a", 2, 1, "x"), ("a", 0, 1, "y")]
    assert watcher.detect(model, ["z"], [2]) == [("a", 2, 2, "z")]
    assert watcher.detect(model, ["w"], [1]) == [("a", 1, 1, "w")]
    assert model.begun == [3]


def test_a_new_model_is_taken_with_a_memory_that_is_empty() -> None:
    """Set an environment's ``model``, and the next frame is seen by that one."""
    first, second, watcher = Remembering("a"), Remembering("b"), Watcher(2)
    watcher.detect(first, ["x"], [1])
    assert watcher.detect(second, ["y"], [1]) == [("b", 1, 1, "y")]
    assert watcher.detect(second, ["y"], [1]) == [("b", 1, 2, "y")]
    assert watcher.detect(first, ["z"], [1]) == [("a", 1, 1, "z")]  # what it knew before is of another time
    assert first.begun == [2, 2] and second.begun == [2]


def test_models_without_a_memory_are_asked_as_they_are() -> None:
    forgetful, watcher = Forgetful("c"), Watcher(1)
    assert watcher.detect(forgetful, ["x"], [0]) == watcher.detect(forgetful, ["x"], [0]) == [("c", "x")]
    assert forgetful.begun == [1]
    assert [len(found) for found in watcher.detect(ColourModel(), [FRAME, FRAME], [0, 0])] == [0, 0]
    assert watcher.detect(forgetful, ["y"], [0]) == [("c", "y")] and forgetful.begun == [1, 1]


def test_an_environment_sees_with_the_model_that_it_has_now() -> None:
    """Also after the first frames, and in a vector environment."""
    env = gym.make("SpaceTime/Pong-v5", repeat_action_probability=0.0)
    env.reset(seed=0)
    for _ in range(40):
        env.step(0)
    env.unwrapped.close()
    wrapper: Any = env
    while not hasattr(wrapper, "_watcher"):
        wrapper = wrapper.env
    found = wrapper.observe(wrapper._look(np.full((210, 160, 3), 92, np.uint8)), {})[1]["scene"]
    wrapper.model = ColourModel()
    one_colour = wrapper.observe(wrapper._look(np.full((210, 160, 3), 92, np.uint8)), {})[1]["scene"]
    assert one_colour["Player"] == [(0.0, pytest.approx(114 / 105 - 1))] and one_colour != found


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_memory_that_was_written_in_part_is_not_used_again(stop: type[BaseException]) -> None:
    """Ctrl-C in a notebook: what changed may be noted, and what follows from it not yet."""

    class Stopped(Remembering):
        def follow(self, frames: Sequence[Any], games: Sequence[int], seen: list[int]) -> list[Any]:
            found = super().follow(frames, games, seen)
            if "stop" in frames:
                raise stop
            return found

    model, watcher = Stopped("a"), Watcher(2)
    watcher.detect(model, ["x", "y"], [0, 1])
    with pytest.raises(stop):
        watcher.detect(model, ["stop"], [1])
    assert watcher.detect(model, ["z", "w"], [0, 1]) == [("a", 0, 1, "z"), ("a", 1, 1, "w")]
    assert model.begun == [2, 2]
