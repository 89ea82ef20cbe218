"""What an evaluation leaves behind: a row of a CSV file, a Markdown table, TensorBoard scalars."""

from __future__ import annotations

import csv
import datetime
import io
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spacetime_env.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from spacetime_env.evaluation.evaluate import Evaluation

# Figure -> what the table calls it; in the table's order.
TITLES = {
    "objects": "objects that are there",
    "ap": "AP, mean of IoU 0.1 to 0.9",
    **{f"ap_{10 * k}": f"AP at IoU {k / 10}" for k in range(1, 10)},
    "precision": "precision at IoU 0.5",
    "recall": "recall at IoU 0.5",
    "f1": "F1 at IoU 0.5",
    "center_precision": "precision by centre distance",
    "center_recall": "recall by centre distance",
    "center_f1": "F1 by centre distance",
    "perfect": "frames with the right count",
    "overcount": "frames with too many",
    "undercount": "frames with too few",
    "error_rate": "error rate of the count",
    "name_accuracy": "name accuracy of what is found",
    "recall_any_name": "recall, whatever it is called",
    **{f"few_shot_{n}": f"ridge accuracy, {n} a class" for n in (1, 4, 16, 64)},
    "centroid_accuracy": "nearest-centroid accuracy",
    "cluster_accuracy": "k-means accuracy",
    "ami": "AMI of k-means",
    "ari": "ARI of k-means",
    "identity_switches": "identity switches",
    "kalman_accuracy": "Kalman class accuracy",
}
WHOLE = ("objects", "identity_switches")  # numbers of things


def columns(evaluation: Evaluation, time: str = "") -> dict[str, str]:
    """One row of the CSV: column -> text. What cannot be had is empty."""
    row = {
        "time": time,
        "model": evaluation.model,
        "sha256": evaluation.sha256,
        "splits": " ".join(evaluation.splits),
        "frames": str(evaluation.frames),
        "reconstruction_mse": _exact(evaluation.reconstruction_mse),
    }
    for group in (evaluation.sets, evaluation.classes):
        row |= {f"{key}/{figure}": _exact(value) for key, values in group.items() for figure, value in values.items()}
    return row


def _exact(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"


def append_row(path: Path, row: Mapping[str, str]) -> Path:
    """Append to a CSV file, or begin one; where its columns are others, to ``<name>-2.csv`` and so on.

    Returns:
        The file that has the row.

    Raises:
        OSError: it cannot be written.
    """
    number, target = 1, path
    while target.exists() and _header(target) != list(row):
        number += 1
        target = path.with_name(f"{path.stem}-{number}{path.suffix}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    before = target.read_bytes() if target.exists() else b""
    if not before:
        writer.writerow(row)
    elif not before.endswith(b"\n"):  # somebody edited it
        before += b"\n"
    writer.writerow(row.values())
    write_atomically(target, before + text.getvalue().encode())
    return target


def _header(path: Path) -> list[str] | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return next(csv.reader(file), None)
    except (UnicodeDecodeError, csv.Error):
        return None


def markdown(evaluation: Evaluation) -> str:
    """The figures as tables: a column for each set of objects, and one for each class that is there."""
    shown = {name: values for name, values in evaluation.classes.items() if values["objects"]}
    lines = [
        f"# {evaluation.model}: {evaluation.frames} frames of {', '.join(evaluation.splits)}",
        "",
        f"Reconstruction MSE (colours from 0 to 1): {evaluation.reconstruction_mse:.6f}",
        "",
        *_table(evaluation.sets),
        "",
        "## Classes",
        "",
        *(_table(shown) if shown else ["None of them is in these frames."]),
        "",
        *evaluation.notes,
    ]
    return "\n".join(lines).rstrip() + "\n"


def _table(groups: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [f"| figure | {' | '.join(groups)} |", "|---|" + "---|" * len(groups)]
    for figure, title in TITLES.items():
        if any(figure in values for values in groups.values()):
            cells = [_cell(figure, values) for values in groups.values()]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _cell(figure: str, values: Mapping[str, float]) -> str:
    value = values.get(figure, math.nan)
    if math.isnan(value):
        return "-"
    if figure in WHOLE:
        return str(int(value))
    spread = values.get(f"{figure}_std")
    return f"{value:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


GAMES = {  # columns of the table of several games: set, figure, title
    ("moving", "f1"): "F1 at IoU 0.5",
    ("moving", "precision"): "precision",
    ("moving", "recall"): "recall",
    ("moving", "ap"): "AP",
    ("moving", "center_f1"): "F1 by centre distance",
    ("relevant", "f1"): "F1, all else is false",
    ("moving", "name_accuracy"): "name accuracy",
    ("moving", "few_shot_16"): "ridge accuracy, 16 a class",
}
MEAN = "mean"


def game_rows(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, float]]:
    """Game -> ``<set>/<figure>`` -> value, and last their mean over the games that have it. What none has is left out.

    Args:
        evaluations: game -> its evaluation.
    """
    rows = {}
    for game, one in evaluations.items():
        each = {f"{key}/{figure}": value for key, values in one.sets.items() for figure, value in values.items()}
        rows[game] = {"frames": one.frames, "reconstruction_mse": one.reconstruction_mse, **each}
    names = dict.fromkeys(name for row in rows.values() for name, value in row.items() if not math.isnan(value))
    found: dict[str, list[float]] = {
        name: [row[name] for row in rows.values() if not math.isnan(row.get(name, math.nan))] for name in names
    }
    return rows | {MEAN: {name: statistics.fmean(values) for name, values in found.items()}}


def games_markdown(model: str, evaluations: Mapping[str, Evaluation]) -> str:
    """A line for each game, and the mean, with the number of games it is over where some lack a figure."""
    rows = game_rows(evaluations)
    lines = [
        f"# {model}: {len(evaluations)} games",
        "",
        "Of what moves, where nothing else is said. The mean is over the games that have a figure.",
        "",
        f"| game | frames | {' | '.join(GAMES.values())} |",
        "|---|---|" + "---|" * len(GAMES),
    ]
    for game, row in rows.items():
        values = (row.get("/".join(key), math.nan) for key in GAMES)
        frames = "" if game == MEAN else str(int(row["frames"]))
        lines.append(f"| {game} | {frames} | {' | '.join('-' if math.isnan(v) else f'{v:.4f}' for v in values)} |")
    return "\n".join(lines) + "\n"


def write_games(model: str, evaluations: Mapping[str, Evaluation], out: Path) -> list[Path]:
    """Write ``games.csv`` and ``games.md``, a row for each game and the mean, into a folder; gives back the two.

    Raises:
        OSError: they cannot be written.
    """
    rows = game_rows(evaluations)
    names = list(rows[MEAN])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "game", "splits", *names])
    for game, row in rows.items():
        splits = " ".join(evaluations[game].splits) if game in evaluations else ""
        writer.writerow([model, game, splits, *(_exact(row.get(name, math.nan)) for name in names)])
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "games.csv", text.getvalue().encode())
    write_atomically(out / "games.md", games_markdown(model, evaluations).encode())
    return [out / "games.csv", out / "games.md"]


def add_scalars(writer: SummaryWriter, evaluation: Evaluation, step: int) -> None:
    """Write all figures that can be had to TensorBoard, as ``evaluation/<set or class>/<figure>``."""
    writer.add_scalar("evaluation/reconstruction_mse", evaluation.reconstruction_mse, step)
    for group in (evaluation.sets, evaluation.classes):
        for key, values in group.items():
            for figure, value in values.items():
                if not math.isnan(value):
                    writer.add_scalar(f"evaluation/{key}/{figure}", value, step)


def write(evaluation: Evaluation, out: Path, step: int) -> tuple[list[Path], list[str]]:
    """Write ``evaluation.csv`` (a row more), ``evaluation.md`` and ``tensorboard`` into a folder.

    Args:
        evaluation: the figures.
        out: the folder; made if it is missing.
        step: of training, for TensorBoard's axis.

    Returns:
        What was written, and sentences for the user.

    Raises:
        OSError: it cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    out.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    table = append_row(out / "evaluation.csv", columns(evaluation, now))
    write_atomically(out / "evaluation.md", markdown(evaluation).encode())
    with SummaryWriter(str(out / "tensorboard")) as writer:
        add_scalars(writer, evaluation, step)
    said = [f"evaluation.csv has other columns, so the row is in {table}."] if table.name != "evaluation.csv" else []
    return [table, out / "evaluation.md", out / "tensorboard"], said
