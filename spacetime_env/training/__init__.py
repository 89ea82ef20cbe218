"""Second and fourth part of training: from recorded frames to a model folder.

In: a :class:`~spacetime_env.config.Config`. Out: a model folder with its card, and a folder of the run with
checkpoints, logs and figures.

:func:`spacetime_env.training.pretrain.pretrain` is a run from beginning to end: :func:`prepare_split` records data
where they are missing, :class:`Examples` are the data in memory, and :func:`train_loop` calls :func:`train_step`.
:func:`run_sweep` does the runs of a :func:`plan` one after the other and compares them.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

_CONTENTS = {
    "CheckpointError": "checkpoint",
    "Examples": "examples",
    "GameData": "game_data",
    "Interrupted": "loop",
    "NothingFoundError": "naming",
    "TrainingError": "loop",
    "plan": "sweep_plan",
    "prepare_split": "splits",
    "run_sweep": "sweep",
    "train_loop": "loop",
    "train_step": "step",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
