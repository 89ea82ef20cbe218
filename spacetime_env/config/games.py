"""Runs of several games: one network is trained on all of them, and each game has a config of its own."""

from __future__ import annotations

from dataclasses import replace

from spacetime_env.config.schema import Config
from spacetime_env.config.tree import ConfigError, require_plain
from spacetime_env.files import shown
from spacetime_env.games import canonical


def each_game(config: Config) -> dict[str, Config]:
    """The config of each game of a run, by the game's name as :func:`~spacetime_env.games.canonical` gives it.

    A run of one game has only ``config`` itself. Several games come in alphabetical order, so that a run does not
    depend on the order in the config file.

    Raises:
        UnknownGameError: no such game.
        ConfigError: a game is given twice.
    """
    if not config.games:
        return {canonical(config.game): config}
    found: dict[str, Config] = {}
    for name, scene in config.games.items():
        game = canonical(name)
        if game in found:
            raise ConfigError(f"games: {shown(name)} is {game}, which is given already. Leave one of them out.")
        found[game] = replace(config, game=game, games={}, scene=scene)
    return dict(sorted(found.items()))


def run_name(config: Config) -> str:
    """The name of the model folder and of the run's folder: ``name``, or else the game in lower case, or ``joint``.

    Raises:
        UnknownGameError: no such game.
        ConfigError: ``name`` would be a folder outside ``models``.
    """
    if config.name:
        require_plain(config.name, "name")
    return config.name or ("joint" if config.games else canonical(config.game).lower())
