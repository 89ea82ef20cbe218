"""Tables of the evaluations of several games: CSV and Markdown, a row for each game and one for their mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path

from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.evaluation.tables import csv_number, csv_text
from spacetime_env.files import write_atomically

GAMES = {  # columns of the table of several games: (set, metric) -> title
    ("drawn", "f1"): "F1 at IoU 0.5",
    ("drawn", "f1_75"): "F1 at IoU 0.75",
    ("drawn", "center_f1"): "F1 by centre distance",
    ("drawn", "precision"): "precision",
    ("drawn", "recall"): "recall",
    ("drawn", "ap"): "AP",
    ("moving", "f1"): "F1 at IoU 0.5, RAM boxes",
    ("relevant", "f1"): "the same, all else is false",
    ("moving", "name_accuracy"): "name accuracy",
    ("moving", "few_shot_16"): "ridge accuracy, 16 a class",
}
MEAN = "mean"


def game_rows(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, float]]:
    """Game -> ``<set>/<metric>`` -> value, and as the last row ``mean``.

    The mean of a metric is over the games that have it. A metric that no game has is not in that row.

    Args:
        evaluations: game -> its evaluation.
    """
    rows = {}
    for game, one in evaluations.items():
        each = {f"{key}/{metric}": value for key, values in one.sets.items() for metric, value in values.items()}
        rows[game] = {"frames": one.frames, "reconstruction_mse": one.reconstruction_mse, **each}
    names = dict.fromkeys(name for row in rows.values() for name, value in row.items() if not math.isnan(value))
    found: dict[str, list[float]] = {
        name: [row[name] for row in rows.values() if not math.isnan(row.get(name, math.nan))] for name in names
    }
    return rows | {MEAN: {name: statistics.fmean(values) for name, values in found.items()}}


def markdown(model: str, evaluations: Mapping[str, Evaluation]) -> str:
    """A line for each game, and one for the mean over the games."""
    rows = game_rows(evaluations)
    lines = [
        f"# {model}: {len(evaluations)} games",
        "",
        "Of what is drawn and moves, where nothing else is said. The mean is over the games that have a figure.",
        "",
        f"| game | frames | {' | '.join(GAMES.values())} |",
        "|---|---|" + "---|" * len(GAMES),
    ]
    for game, row in rows.items():
        values = (row.get("/".join(key), math.nan) for key in GAMES)
        frames = "" if game == MEAN else str(int(row["frames"]))
        lines.append(f"| {game} | {frames} | {' | '.join('-' if math.isnan(v) else f'{v:.4f}' for v in values)} |")
    return "\n".join(lines) + "\n"


def write(model: str, evaluations: Mapping[str, Evaluation], out: Path) -> list[Path]:
    """Write ``games.csv`` and ``games.md``, a row for each game and one for the mean, into a folder.

    Returns:
        The two files.

    Raises:
        OSError: a file cannot be written.
    """
    rows = game_rows(evaluations)
    names = list(rows[MEAN])
    lines = [["model", "game", "splits", *names]]
    for game, row in rows.items():
        splits = " ".join(evaluations[game].splits) if game in evaluations else ""
        lines.append([model, game, splits, *(csv_number(row.get(name, math.nan)) for name in names)])
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "games.csv", csv_text(lines).encode())
    write_atomically(out / "games.md", markdown(model, evaluations).encode())
    return [out / "games.csv", out / "games.md"]
