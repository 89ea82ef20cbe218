"""The slots of every shipped model and the shapes of its observations, as docs/games.md has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from benchmarks.common import ROOT, Table
from spacetime_env.games import is_game
from spacetime_env.objects.tracker import FEATURES

TITLE = "## Slots and shapes"
TEXT = f"""{TITLE}

The number of rows of an observation is the number of slots of the model. With `S` slots, `F` = {len(FEATURES)}
features, `history=k` and `D` numbers in z_what, `gym.make` gives:

| `obs_format` | shape |
|---|---|
| `objects` | `(S, k * F)` |
| `flat` | `(S * k * F,)` |
| `dict` | `objects`: `(S, k * F)`; `mask`: `(S,)` |
| `latents` | `(S, k * (F + D))` |

`gym.make_vec` puts the number of environments in front. All shipped models have `D` = {{depth}}. Shapes below are of
`objects` with `history=1`. A game that is in the second table alone has `joint` as its default.

"""


def page() -> str:
    """The section of docs/games.md."""
    single = Table("", ("game", "shape", "slots"))
    joint = Table("", ("game, with `model`", "shape", "slots"))
    depths = set()
    for name, game, described, depth in models():
        depths.add(depth)
        slots: Mapping[str, int] = described["scene"]["slots"]
        table, label = (single, game) if name == game.lower() else (joint, f"{game}, `{name}`")
        shape = f"({sum(slots.values())}, {len(FEATURES)})"
        table.rows.append((label, shape, ", ".join(f"{key} {count}" for key, count in slots.items())))
    tables = "\n\n".join("\n".join(table.text().splitlines()[2:]) for table in (single, joint))
    (depth,) = depths
    return f"{TEXT.format(depth=depth)}{tables}\n"


def models() -> Iterator[tuple[str, str, Mapping[str, Any], int]]:
    """Of each game of each shipped model: the model's name, the game, what model.yaml says of it, and D."""
    for path in sorted((ROOT / "models").glob("*/model.yaml")):
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for game, described in tree.get("games", {tree.get("game"): tree}).items():
            if is_game(game):
                yield path.parent.name, game, described, tree["model"]["z_what_dim"]
