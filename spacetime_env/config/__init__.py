"""The settings of a run, from YAML and from ``key=value`` on a command line.

In: a config file and settings. Out: a frozen :class:`Config`, checked key by key. :func:`each_game` gives for a run of
several games the config of each game alone. :func:`differences` compares two configs in a :class:`Scope`.
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
