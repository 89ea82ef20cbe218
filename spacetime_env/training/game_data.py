"""The data of one game of a run: its splits and training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacetime_env.config import Config, Scope
from spacetime_env.config.differences import settings_of
from spacetime_env.data.players import Player
from spacetime_env.data.stacks import Stacks
from spacetime_env.training.examples import Examples, load_examples
from spacetime_env.training.splits import (
    picture_splits,
    prepare_split,
    require_classes,
    settle_subframes,
    test_splits,
)


@dataclass(frozen=True)
class GameData:
    """The data of one game of a run."""

    config: Config  # of this game alone
    train: Stacks
    validation: Stacks
    tests: Sequence[Stacks]  # with labels
    examples: Examples  # of the training split

    def of(self, config: Config) -> GameData:
        """The same data for another run that asks for the same; ``model.subframes`` is as settled."""
        model = replace(config.model, subframes=self.config.model.subframes)
        return replace(self, config=replace(config, model=model))


def gather(config: Config, policy: Player, eval_policy: Player) -> GameData:
    """Open the splits of one game, record those that are missing, and load the training examples.

    Of pictures (``data.pictures``), the splits are their folders, and nothing is recorded.

    Args:
        policy: plays the training data.
        eval_policy: plays the validation data.

    Raises:
        ConfigError, DatasetError: the splits do not fit the settings.
    """
    if config.data.pictures:
        return gather_pictures(config)
    train = prepare_split(config, "train", policy)
    config = settle_subframes(config, train)
    train = train.with_subframes(config.model.subframes)
    validation = prepare_split(config, "validation", eval_policy)
    require_classes(config, validation)
    tests = test_splits(config)
    for split in (train, validation, *tests):
        split.prepare()
    return GameData(config, train, validation, tests, load_examples(train, config))


def gather_pictures(config: Config) -> GameData:
    """As :func:`gather`, of pictures."""
    train, validation, tests = picture_splits(config)
    require_classes(config, validation)
    for split in (train, validation, *tests):
        split.prepare()
    return GameData(config, train, validation, tests, load_examples(train, config))


def gather_to_name(config: Config, eval_policy: Player) -> GameData:
    """The data of a network that was trained elsewhere: what names its objects, and what it is tested on.

    The validation split stands for the training split too, and there are no training examples.

    Args:
        eval_policy: plays the validation data, which are recorded if they are missing.

    Raises:
        ConfigError, DatasetError: the splits do not fit the settings.
    """
    validation: Stacks
    if config.data.pictures:
        _, validation, tests = picture_splits(config)
    else:
        validation, tests = prepare_split(config, "validation", eval_policy), test_splits(config)
    require_classes(config, validation)
    none = np.zeros(0)
    return GameData(config, validation, validation, tests, Examples(none, none, none, none, none))


def data_key(config: Config, policy: Player) -> str:
    """What :func:`gather` depends on, as text. Runs with the same text can share what it returns."""
    return repr((policy.name, settings_of(config, Scope.EXAMPLES)))
