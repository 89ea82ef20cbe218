"""True boxes of an environment's objects, from a function that somebody wrote for it. No network learns from them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym

from spacetime_env.data.box_table import LONGEST
from spacetime_env.data.meta import DatasetError
from spacetime_env.files import shown

Box = tuple[str, float, float, float, float]  # name; x, y, w, h in pixels

EXPECTED = "boxes(env) -> [(name, x, y, w, h), ...], in pixels of the rendered frame, x, y of the top-left corner"


class TrueBoxes:
    """A function ``boxes(env)`` that reads the objects of an environment from its state.

    It is given ``env.unwrapped`` after each recorded step, and returns a list of ``(name, x, y, w, h)`` in pixels of
    the rendered frame. Parts outside the frame are cut off.

    Args:
        name: ``module:function``. The module is imported, and so run.

    Raises:
        DatasetError: there is no such function.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        module, colon, function = name.partition(":")
        if not (colon and module and function):
            raise DatasetError(f"--boxes: expected module:function, got {shown(name)}. The function is {EXPECTED}.")
        try:
            found = getattr(importlib.import_module(module), function, None)
        except (ImportError, ValueError) as error:
            raise DatasetError(f"--boxes: the module of {shown(name)} cannot be imported: {error}.") from None
        if not callable(found):
            raise DatasetError(f"--boxes: {module} has no function {shown(function)}, {EXPECTED}.")
        self._function: Callable[[Any], Any] = found

    def of(self, env: gym.Env[Any, Any], rendered: tuple[int, int], size: tuple[int, int]) -> list[Box]:
        """The boxes of the environment as it is now.

        Args:
            rendered: H, W of the frame that the function's boxes are in.
            size: H, W of the frame that boxes are wanted in.

        Raises:
            DatasetError: the function fails, or returns something else than boxes.
        """
        try:
            found = [self._checked(one) for one in self._function(env.unwrapped)]
        except DatasetError:
            raise
        except Exception as error:  # somebody's function
            raise DatasetError(f"--boxes {self.name}: {type(error).__name__}: {error}. Expected {EXPECTED}.") from error
        across, down = size[1] / rendered[1], size[0] / rendered[0]
        boxes = []
        for name, x, y, w, h in found:
            left, right = (_quarter(min(max(edge * across, 0.0), size[1])) for edge in (x, x + w))
            top, bottom = (_quarter(min(max(edge * down, 0.0), size[0])) for edge in (y, y + h))
            if right > left and bottom > top:
                boxes.append((name, left, top, right - left, bottom - top))
        return boxes

    def _checked(self, one: Any) -> Box:
        name, *numbers = one
        x, y, w, h = (float(number) for number in numbers)
        fine = isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable()
        if not fine or not all(map(math.isfinite, (x, y, w, h))) or w < 0 or h < 0:
            raise DatasetError(f"--boxes {self.name}: expected {EXPECTED}, got {shown(one)} among them.")
        return name, x, y, w, h


def _quarter(edge: float) -> float:
    """An edge at the nearest quarter of a pixel, which the six digits of boxes.csv hold exactly."""
    return round(edge * 4) / 4
