"""Ground-truth boxes and names from an Atari game's RAM: for evaluation and few-shot labels only.

The positions come from OCAtari (Delfosse et al. 2023, arXiv 2306.08649; extra ``labels``). Its detection function for a
game gets plain ALE RAM. The module of a game is loaded alone, without the package ``ocatari``. So most games need none
of the package's dependencies (pygame, matplotlib, scikit-image), and the module-level state of some games is new in
each :class:`RamObjects`.

Measured against the pixels on 4000 frames of random Pong (and in tests/data/test_labels.py): boxes belong to the same
frame as the RAM, and x and width are exact. Player and Enemy are drawn 16 px tall and have boxes of 15 px, up to 2 px
less at the field's edge. Pong draws Player and Ball on even rows only, so their boxes lie 1 px low in 41 % and 15 % of
frames; a box that fits the drawn ball exactly has an IoU of 0.6 there. A ball in the wall has the wall's colour and is
not visible. Its box (1 frame in 4000) is empty, so scores use :func:`visible`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

_PACKAGE = "spacetime_env._ocatari"  # the name that OCAtari's game modules are loaded under; no package of ours

INSTALL = (
    "Install it with: pip install --no-deps ocatari. That is enough, and keeps your numpy; "
    "pip install 'spacetime-env[labels]' installs all that it names"
)


class LabelsError(RuntimeError):
    """Ground truth cannot be read; the message says what is missing and what to do."""


class RamObjects:
    """Reads the objects of one game from its RAM, frame after frame.

    The functions of some games remember earlier frames. So it needs every step of an episode in order, and each
    environment needs a reader of its own.

    Args:
        game: CamelCase name of the game, such as ``"SpaceInvaders"``.

    Raises:
        LabelsError: OCAtari is not installed, does not know the game, or lacks something it imports.
    """

    def __init__(self, game: str) -> None:
        self.game = game
        self._module = _game_module(game)
        self._objects: list[Any] = []
        self.reset()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the objects that can appear, in OCAtari's order, without displays such as the score."""
        return tuple(self._module.MAX_NB_OBJECTS)

    def reset(self) -> None:
        """Forget the earlier frames. Call it when an episode starts."""
        self._objects = self._module._init_objects_ram(False)

    def read(self, ram: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Boxes and names of the objects that the RAM says exist, drawn or not.

        Args:
            ram: (128,) uint8, ``ale.getRAM()``.

        Returns:
            boxes (n, 4) float32 ``x, y, w, h`` in native pixels, and n names.
        """
        ram = np.asarray(ram)
        if ram.shape != (128,):
            raise ValueError(f"expected 128 bytes of Atari RAM, ale.getRAM(), and got shape {ram.shape}.")
        for item in self._objects:
            if item:
                item._save_prev()
        # As Python's int: OCAtari adds and subtracts bytes, which overflow as numpy's uint8, and indexes lists with
        # comparisons, which does not work with numpy's bool (AirRaid).
        self._module._detect_objects_ram(self._objects, ram.astype(object), False)
        found = [item for item in self._objects if item and item.w > 0 and item.h > 0]
        boxes = np.array([item.xywh for item in found], np.float32).reshape(-1, 4)
        return boxes, [item.category for item in found]


def ram_objects(source: Any, game: str) -> tuple[np.ndarray, list[str]]:
    """Boxes and names of one frame, without the earlier frames. See :meth:`RamObjects.read`.

    Args:
        source: an ``ALEInterface`` or its RAM, (128,) uint8.
        game: CamelCase name of the game.
    """
    ram = source.getRAM() if hasattr(source, "getRAM") else source
    return RamObjects(game).read(ram)


def visible(frame: np.ndarray, background: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether each box holds something visible: at least one pixel that differs from the background.

    Args:
        frame: (H, W, 3) uint8.
        background: (H, W, 3) uint8, without moving objects.
        boxes: (n, 4) ``x, y, w, h`` in pixels of the frame; they may be partly outside of it.

    Returns:
        (n,) bool.
    """
    if frame.shape != background.shape:
        raise ValueError(f"the frame is {frame.shape}, the background {background.shape}; expected the same.")
    differs = (frame != background).any(-1)
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    low = np.floor(corners[:, :2]).astype(int).clip(0)
    high = np.ceil(corners[:, :2] + corners[:, 2:]).astype(int).clip(0)
    seen = [differs[y0:y1, x0:x1].any() for (x0, y0), (x1, y1) in zip(low, high, strict=True)]
    return np.array(seen, bool)


def _game_module(game: str) -> types.ModuleType:
    """OCAtari's RAM module of a game, loaded anew, without running ``ocatari/__init__.py``."""
    root = _location()
    for name in ("", ".ram", ".vision"):
        if _PACKAGE + name not in sys.modules:
            package = types.ModuleType(_PACKAGE + name)
            package.__path__ = [str(root / name[1:])]
            sys.modules[_PACKAGE + name] = package
    if not (root / "ram" / f"{game.lower()}.py").is_file():
        raise LabelsError(f"OCAtari has no RAM positions for {game}; record it without labels.")
    name = f"{_PACKAGE}.ram.{game.lower()}"
    sys.modules.pop(name, None)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise LabelsError(
            f"OCAtari's module for {game} needs {error.name}, which is not installed. "
            "pip install 'spacetime-env[labels]' installs all that OCAtari names."
        ) from None
    if not hasattr(module, "MAX_NB_OBJECTS") or not hasattr(module, "_detect_objects_ram"):
        raise LabelsError(f"OCAtari has no RAM positions for {game}; record it without labels.")
    return module


def _location() -> Path:
    """The folder of the package ``ocatari``, which is not imported."""
    spec = importlib.util.find_spec("ocatari")
    if spec is None or not spec.submodule_search_locations:
        raise LabelsError(f"ground-truth boxes need OCAtari, which is not installed. {INSTALL}.")
    return Path(next(iter(spec.submodule_search_locations)))
