"""A trained model, and the folder that it is kept in.

In: frames of a game, (H, W, 3) uint8 RGB or a :class:`Screen`. Out:
:class:`~spacetime_env.objects.detections.Detections`, the named objects of each frame.

:func:`load_model` loads a bundled model by its name, or a model folder by its path, as a :class:`Model`.
:func:`available_models` lists the bundled ones, :func:`model_games` the games that one knows. A :class:`Watcher` gives
a model the successive frames of some games. Environments take any model with the methods of :class:`ObjectModel`.
:func:`save_model` and :func:`save_joint` write a folder. Loading never unpickles anything.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

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
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
