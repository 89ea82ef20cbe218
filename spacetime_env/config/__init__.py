"""What a run is made of: settings, from YAML and from ``key=value`` of a command line.

In: a config file and settings. Out: a frozen :class:`Config`, checked key by key. :func:`each_game` makes of
a run of several games the run of each alone.
"""

from spacetime_env.config.games import each_game, run_name
from spacetime_env.config.loading import load_config
from spacetime_env.config.schedule import Schedule
from spacetime_env.config.schema import (
    BackgroundConfig,
    Config,
    Conv,
    DataConfig,
    EncoderConfig,
    GlimpseConfig,
    LossConfig,
    ModelConfig,
    MotionConfig,
    RarityConfig,
    SceneConfig,
    Side,
    TrainConfig,
)
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
    "Side",
    "TrainConfig",
    "each_game",
    "from_dict",
    "load_config",
    "run_name",
    "to_dict",
]
