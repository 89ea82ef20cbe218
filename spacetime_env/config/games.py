"""What a run is of: a game, a folder of pictures, or several games, each of which has a config of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spacetime_env.config.schema import Config
from spacetime_env.config.tree import ConfigError, require_plain
from spacetime_env.files import shown
from spacetime_env.games import canonical, is_game


def each_game(config: Config) -> dict[str, Config]:
    """The config of each game of a run, by the game's name as :func:`~spacetime_env.games.canonical` gives it.

    A run of one game has only ``config`` itself, and so has a run of pictures, with their name in place of a game's.
    Several games come in alphabetical order, so that a run does not depend on the order in the config file.

    Raises:
        UnknownGameError: no such game.
        ConfigError: a game is given twice, or pictures have no name of their own.
    """
    if config.data.pictures:
        name = pictures_name(config)
        return {name: replace(config, game=name)}
    if not config.games:
        return {canonical(config.game): config}
    found: dict[str, Config] = {}
    for name, scene in config.games.items():
        game = canonical(name)
        if game in found:
            raise ConfigError(f"games: {shown(name)} is {game}, which is given already. Leave one of them out.")
        found[game] = replace(config, game=game, games={}, scene=scene)
    return dict(sorted(found.items()))


def pictures_name(config: Config) -> str:
    """What a model of pictures is called in place of a game: ``name``, or else the name of their folder.

    Raises:
        ConfigError: that is the name of a game, or cannot be one of a folder.
    """
    name = config.name or Path(config.data.pictures).name
    require_plain(name, "name")
    if is_game(name):
        raise ConfigError(f"name: {shown(name)} is a game's; give the model of the pictures another one (name=...).")
    return name


def run_name(config: Config) -> str:
    """The name of the model folder and of the run's folder: ``name``, or else the game in lower case, or ``joint``.

    Of pictures it is :func:`pictures_name`.

    Raises:
        UnknownGameError: no such game.
        ConfigError: ``name`` would be a folder outside ``models``.
    """
    if config.data.pictures:
        return pictures_name(config)
    if config.name:
        require_plain(config.name, "name")
    return config.name or ("joint" if config.games else canonical(config.game).lower())
