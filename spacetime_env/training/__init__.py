"""Training, second and fourth part: from recorded frames to a model folder.

In: a :class:`~spacetime_env.config.Config`. Out: a model folder with its card, and the run's checkpoints, logs and
tables. :func:`spacetime_env.training.pretrain.pretrain` reads from top to bottom; :func:`run_sweep` does several runs
and compares them.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

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


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
