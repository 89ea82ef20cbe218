"""a: env steps a second, against raw ALE, OCAtari and SB3's pixel stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ale_py import AtariVectorEnv
from stable_baselines3.common.atari_wrappers import AtariWrapper

import spacetime_env  # noqa: F401  (registers the environments)
from benchmarks import compiled
from benchmarks.common import MISSING, Table, in_turns, ratios, spread
from benchmarks.players import OcatariPlayer, Player, steps_each
from spacetime_env.compiled import INSTALLED
from spacetime_env.envs.vector import cores
from spacetime_env.games import is_game
from spacetime_env.models.folder import available_models, model_games

# What makes AtariVectorEnv show what gym.make("ALE/<Game>-v5") shows, as near as it goes.
RAW = {
    "grayscale": False,
    "stack_num": 1,
    "maxpool": False,
    "noop_max": 0,
    "reward_clipping": False,
    "use_fire_reset": False,
    "repeat_action_probability": 0.25,
}
ACROSS = 8  # envs of the table over all games


def run(
    games: Sequence[str],
    across: Sequence[str] | None,
    counts: Sequence[int],
    repeats: int,
    steps: int,
    warm: int,
    ocatari: str | None,
) -> list[Table]:
    """A table of all games, and one of each of ``games`` with several numbers of envs."""
    across = shipped_games() if across is None else across
    tables = [over_games(across, repeats, steps, warm)] if across else []
    return [*tables, *(one(game, counts, repeats, steps, warm, ocatari) for game in games)]


def shipped_games() -> list[str]:
    """The games that have a shipped model of their own."""
    return sorted(games[0] for games in map(model_games, available_models()) if len(games) == 1 and is_game(games[0]))


def over_games(games: Sequence[str], repeats: int, steps: int, warm: int) -> Table:
    """Vector environments of :data:`ACROSS` games: with numba, without it, and raw."""
    rates: dict[str, dict[str, list[float]]] = {}
    for game in games:
        players: dict[str, Any] = {"raw": None}  # made last: a fork beside AtariVectorEnv's threads has crashed
        if INSTALLED:
            players["with"] = Player(ours(game, ACROSS, True), steps, warm)
        players["without"] = Player(ours(game, ACROSS, False), steps, warm, compiled.without_numba)
        players["raw"] = Player(raw(game, ACROSS), steps, warm)
        print(f"env steps/s on {game}, {ACROSS} envs: AtariVectorEnv, ours with numba and without")
        rates[game] = in_turns(players, repeats)
        for player in players.values():
            player.close()
    head = ["game", "AtariVectorEnv, RGB: env steps/s", "ours with numba: env steps/s", "ratio to AtariVectorEnv"]
    head += ["ours without numba: env steps/s", "ratio to AtariVectorEnv"]
    note = (
        f"`gym.make_vec('SpaceTime/<Game>-v5', {ACROSS})` against `AtariVectorEnv` of as many envs; ours with the "
        "compiled loops of numba, and with them off in all of its processes. " + conditions(steps, warm, [ACROSS])
    )
    return Table(f"a. Env steps a second, {ACROSS} envs, all games", head, across_rows(rates), note)


def across_rows(rates: Mapping[str, Mapping[str, list[float]]]) -> list[Sequence[str]]:
    """A row for each game; then the mean of the games' median ratios, and the least of them.

    Args:
        rates: of each game, the env steps/s of each turn by ``"raw"``, ``"without"`` and, if measured, ``"with"``.
    """
    rows: list[Sequence[str]] = []
    medians: dict[str, dict[str, float]] = {"with": {}, "without": {}}
    for game, found in rates.items():
        row = [game, spread(found["raw"])]
        for form, of_games in medians.items():
            if form in found:
                row += [spread(found[form]), ratios(found[form], found["raw"])]
                of_games[game] = float(np.median(np.divide(found[form], found["raw"])))
            else:
                row += [MISSING, MISSING]
        rows.append(row)
    mean, least = ["mean of the games' medians", ""], ["least of the games' medians", ""]
    for of_games in medians.values():
        worst = min(of_games, key=of_games.__getitem__, default="")
        mean += ["", f"{np.mean(list(of_games.values())):.2f}" if of_games else MISSING]
        least += ["", f"{of_games[worst]:.2f} ({worst})" if of_games else MISSING]
    return [*rows, mean, least]


def one(game: str, counts: Sequence[int], repeats: int, steps: int, warm: int, ocatari: str | None) -> Table:
    """Steps a second of all contenders on one game."""
    # Ours first: a worker that was forked beside the threads of AtariVectorEnv has crashed.
    vectors = {count: Player(ours(game, count, INSTALLED), steps, warm) for count in counts}
    players: dict[str, Any] = {
        "ALE, one env": Player(gym.make(f"ALE/{game}-v5"), steps, warm),
        "ours, one env": Player(gym.make(f"SpaceTime/{game}-v5"), steps, warm),
        "SB3 AtariWrapper, one env": Player(AtariWrapper(gym.make(f"ALE/{game}-v5", frameskip=1)), steps, warm),
    }
    for mode in ("ram", "vision") if ocatari else ():
        players[f"OCAtari {mode}, one env"] = OcatariPlayer(str(ocatari), game, mode, steps, warm)
    bases = dict.fromkeys(players, "ALE, one env")
    for count in counts:
        base, name = f"AtariVectorEnv, {envs_of(count)}", f"ours, vector of {envs_of(count)}"
        players[base] = Player(raw(game, count), steps, warm)
        players[name] = vectors[count]
        bases |= {base: base, name: base}
    print(f"env steps/s on {game}")
    found = in_turns(players, repeats)
    for player in players.values():
        player.close()
    head = ["", "env steps/s", "ratio", "to"]
    oc = "OCAtari was not measured: no `--ocatari`."
    if ocatari:
        version = players["OCAtari ram, one env"].version
        oc = f"OCAtari {version} reads its objects from RAM, or finds them in the frame."
    note = (
        "Single envs are compared with `gym.make('ALE/<Game>-v5')`, vector envs with `AtariVectorEnv` of as many envs. "
        "SB3's `AtariWrapper` makes 84 x 84 grey of the brighter of two frames and ends an episode with a life; "
        f"{oc} " + conditions(steps, warm, [1, *counts])
    )
    table = Table(f"a. Env steps a second, {game}", head, note=note)
    for name, rates in found.items():
        base = bases[name]
        table.rows.append((name, spread(rates), "1" if name == base else ratios(rates, found[base]), base))
    if not ocatari:
        table.rows += [(f"OCAtari {mode}, one env", MISSING, MISSING, "ALE, one env") for mode in ("ram", "vision")]
    return table


def envs_of(count: int) -> str:
    """1 env, 2 envs."""
    return "1 env" if count == 1 else f"{count} envs"


def conditions(steps: int, warm: int, counts: Sequence[int]) -> str:
    """What all contenders have in common, and in what they differ."""
    each = "; ".join(f"{envs_of(count)}: {steps_each(steps, count)}" for count in dict.fromkeys(counts))
    return (
        f"Every env is reset once, plays {warm} steps untimed, and plays on from turn to turn; steps of each env in a "
        f"turn: {each}. Contenders with the same number of envs get the same random actions. All: frame skip 4, sticky "
        "actions with probability 0.25, RGB frames of native size where there are frames. Episodes begin anew in the "
        "timed part: single envs by `reset`, vector envs by NextStep autoreset. `AtariVectorEnv` has no-ops, "
        "max-pooling, reward clipping and fire reset off and its default threads (one for each core, at most one for "
        f"each env); ours has its default processes (at most {cores()}: one for each core, at most one for each env), "
        f"each with one thread; one env of ours alone is one process, with torch's {torch.get_num_threads()} threads."
    )


def raw(game: str, count: int) -> AtariVectorEnv:
    """ALE's own vector environment with RGB frames of native size."""
    single = gym.make(f"ALE/{game}-v5")
    height, width = single.observation_space.shape[:2]  # type: ignore[index]
    single.close()
    return AtariVectorEnv(snake(game), count, img_height=height, img_width=width, **RAW)


def ours(game: str, count: int, numba: bool) -> Any:
    """Our vector environment with the compiled loops or without, which is checked in each of its processes."""
    if numba:
        envs = gym.make_vec(f"SpaceTime/{game}-v5", count)
        compiled.require(envs, True)
        return envs
    with compiled.without_numba():
        envs = gym.make_vec(f"SpaceTime/{game}-v5", count)
        compiled.require(envs, False)
    return envs


def snake(game: str) -> str:
    """SpaceInvaders -> space_invaders, as ale_py names ROMs."""
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(game))
