"""A trained model, and the folder that it is kept in.

In: the name of a bundled model, or a model folder. Out: a :class:`Model`, which finds the objects in frames;
:class:`Watcher` asks it frame after frame. :func:`save_model` and :func:`save_joint` write a folder. Loading never
unpickles anything.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

_CONTENTS = {
    "LinearClassifier": "classifier",
    "Model": "model",
    "ObjectModel": "watcher",
    "Screen": "screens",
    "Settings": "settings",
    "SeveralGamesError": "settings",
    "Watcher": "watcher",
    "available_models": "folder",
    "load_model": "folder",
    "model_games": "folder",
    "save_joint": "folder",
    "save_model": "folder",
}

__all__ = [*_CONTENTS]


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
