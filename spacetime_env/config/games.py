"""A run of several games: one network for all of them, and for each game what a run of it alone would have."""

from __future__ import annotations

from dataclasses import replace

from spacetime_env.config.schema import Config
from spacetime_env.config.tree import ConfigError
from spacetime_env.games import canonical


def each_game(config: Config) -> dict[str, Config]:
    """For each game of a run, by its name as :func:`~spacetime_env.games.canonical` has it, the run of it alone.

    Of one game, that is ``config`` itself. Of several they are in alphabetical order, so that a run does not depend
    on the order in which they were written down.

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
            raise ConfigError(f"games: {name!r} is {game}, which is given already. Leave one of them out.")
        found[game] = replace(config, game=game, games={}, scene=scene)
    return dict(sorted(found.items()))


def run_name(config: Config) -> str:
    """What the model folder and the run's folder are called: ``name``, or what follows from the games.

    Raises:
        UnknownGameError: no such game.
    """
    return config.name or ("joint" if config.games else canonical(config.game).lower())
