"""The names of the games that ale_py registers as ``ALE/<Game>-v5``, and the sizes of their frames.

Names come from Gymnasium's registry and sizes from ALE; none is written down here. (Most frames are 210 x 160 pixels,
H x W. AirRaid's are 250 x 160, and Carnival's 214 x 160.)
"""

from __future__ import annotations

import copy
import difflib
import functools
import re

import ale_py
import gymnasium as gym
from ale_py import roms
from gymnasium.envs.registration import EnvSpec

from spacetime_env.files import shown

gym.register_envs(ale_py)

_NAMESPACE = "ALE/"
_VERSION = "-v5"
# "ALE/Pong-v5", "SpaceTime/Pong-v5", "SpaceTime/Pong-flat-v5" and "PongNoFrameskip-v4" all mean Pong.
_ID = re.compile(r"(?:.*/)?(?P<name>.+?)(?:-flat|NoFrameskip|Deterministic)?(?:-v\d+)?$")


class UnknownGameError(ValueError):
    """There is no such game in ale_py; the message names the nearest."""


@functools.cache
def games() -> tuple[str, ...]:
    """The names of all games, as in ``ALE/<Game>-v5``, in alphabetical order.

    >>> "Pong" in games() and "SpaceInvaders" in games()
    True
    """
    ids = (name for name in gym.registry if name.startswith(_NAMESPACE) and name.endswith(_VERSION))
    return tuple(sorted(name[len(_NAMESPACE) : -len(_VERSION)] for name in ids))


def canonical(name: str) -> str:
    """The name in :func:`games` that ``name`` stands for. Case, underscores, namespace and version do not matter.

    >>> canonical("space_invaders"), canonical("ALE/Pong-v5")
    ('SpaceInvaders', 'Pong')

    Raises:
        UnknownGameError: there is no such game.
    """
    match = _ID.fullmatch(name) if isinstance(name, str) else None
    key = _plain(match["name"]) if match else ""
    known = {_plain(game): game for game in games()}
    if key in known:
        return known[key]
    near = [known[k] for k in difflib.get_close_matches(key[:100], known, n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "spacetime_env.games() lists all of them."
    raise UnknownGameError(f"no game {shown(name)} in ale_py {ale_py.__version__}, which has {len(known)}. {hint}")


def is_game(name: str) -> bool:
    """Whether ``name`` stands for a game, see :func:`canonical`.

    >>> is_game("pong"), is_game("room-large")
    (True, False)
    """
    try:
        canonical(name)
    except UnknownGameError:
        return False
    return True


def ale_spec(game: str) -> EnvSpec:
    """A copy of the spec of ``ALE/<Game>-v5``; its ``kwargs["game"]`` is the ROM's name, ``"pong"``."""
    return copy.deepcopy(gym.spec(f"{_NAMESPACE}{canonical(game)}{_VERSION}"))


@functools.cache
def frame_size(game: str) -> tuple[int, int]:
    """H, W of the game's frames in pixels, as ALE has them.

    >>> frame_size("Pong"), frame_size("AirRaid")
    ((210, 160), (250, 160))
    """
    ale = ale_py.ALEInterface()
    ale.setLoggerMode(ale_py.LoggerMode.Error)
    rom = roms.get_rom_path(ale_spec(game).kwargs["game"])
    assert rom is not None  # the names come from ale_py
    ale.loadROM(rom)
    height, width = ale.getScreenDims()
    return height, width


def _plain(name: str) -> str:
    """Lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
