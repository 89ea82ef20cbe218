"""The settings of a run: frozen dataclasses, read from YAML and from ``key=value`` settings.

In: a config file and settings that override it. Out: a :class:`Config`, whose every key and type is checked. An unknown
key is a :class:`ConfigError` that names the nearest one.

:func:`load_config` reads a file, :func:`from_dict` and :func:`to_dict` convert from and to plain data. For a run of
several games, :func:`each_game` gives the settings of each game alone. :func:`differences` compares two configs in a
:class:`Scope`. A :class:`Schedule` is a value that changes during training.
"""

from spacetime_env.config.differences import differences
from spacetime_env.config.games import each_game, run_name
from spacetime_env.config.loading import load_config
from spacetime_env.config.network import (
    BackgroundConfig,
    Conv,
    EncoderConfig,
    GlimpseConfig,
    LossConfig,
    ModelConfig,
    Side,
)
from spacetime_env.config.schedule import Schedule
from spacetime_env.config.schema import Config, DataConfig, MotionConfig, RarityConfig, SceneConfig, TrainConfig
from spacetime_env.config.scope import Scope
from spacetime_env.config.tree import ConfigError, from_dict, to_dict

__all__ = [
    "BackgroundConfig",
    "Config",
    "ConfigError",
    "Conv",
    "DataConfig",
    "EncoderConfig",
    "GlimpseConfig",
    "LossConfig",
    "ModelConfig",
    "MotionConfig",
    "RarityConfig",
    "SceneConfig",
    "Schedule",
    "Scope",
    "Side",
    "TrainConfig",
    "differences",
    "each_game",
    "from_dict",
    "load_config",
    "run_name",
    "to_dict",
]
