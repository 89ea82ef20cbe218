"""Data that runs of a sweep share although they record their own: labelled splits are copied into each data root."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.data.meta import INDEX, DatasetError
from spacetime_env.data.split import open_split
from spacetime_env.locks import hold
from spacetime_env.training.splits import require_same
from spacetime_env.training.sweep_plan import SweepRun


def share_data(run: SweepRun) -> None:
    """Copy the splits that a run with a data root of its own can use from the data root that was asked for.

    These are the test splits, and validation splits of the same settings. They may have ground truth, which cannot be
    recorded again without OCAtari.
    """
    for game, config in each_game(run.config).items():
        share_game(game, config, run.source)


def share_game(game: str, config: Config, source: str) -> None:
    """:func:`share_data` for one game. ``config.data.root`` is the run's own root, ``source`` the one asked for."""
    there, here = Path(source) / game, Path(config.data.root) / game
    here.mkdir(parents=True, exist_ok=True)
    with hold(here, wait=math.inf):  # another run of the sweep may do the same at the same time
        _share_splits(there, here, game, config)


def _share_splits(there: Path, here: Path, game: str, config: Config) -> None:
    """Copy what is in the folder ``there`` and not ``here``; see :func:`share_data`."""
    for split in sorted([*there.glob("test-*"), *there.glob("validation-*")]):
        if (here / split.name).exists() or not (split / INDEX).is_file():
            continue
        if split.name.startswith("validation-"):
            try:
                require_same(open_split(split, game, config.motion), config)
            except DatasetError:
                continue
        unfinished = here / f".{split.name}.tmp"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
        shutil.copytree(split, unfinished)
        os.replace(unfinished, here / split.name)
