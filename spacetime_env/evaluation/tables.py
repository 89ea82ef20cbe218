"""Views of an evaluation: a row of a CSV file, a Markdown table, TensorBoard scalars."""

from __future__ import annotations

import csv
import datetime
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spacetime_env.evaluation.drawn import KINDS
from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.files import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# Metric -> its title in the Markdown table; in the table's order.
TITLES = {
    "objects": "objects that are there",
    "ap": "AP, mean of IoU 0.1 to 0.9",
    **{f"ap_{10 * k}": f"AP at IoU {k / 10}" for k in range(1, 10)},
    "precision": "precision at IoU 0.5",
    "recall": "recall at IoU 0.5",
    "f1": "F1 at IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
    "center_precision": "precision by centre distance",
    "center_recall": "recall by centre distance",
    "center_f1": "F1 by centre distance",
    "f1_all": "F1 at IoU 0.5, nothing neutral",
    **{f"neutral_{kind}": f"neutral: {kind}" for kind in KINDS},
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
WHOLE = ("objects", "identity_switches", *(f"neutral_{kind}" for kind in KINDS))  # metrics that are counts


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as the text of a CSV file; each line ends with a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def csv_row(evaluation: Evaluation, time: str = "") -> dict[str, str]:
    """One row of ``evaluation.csv``: column -> text. NaN is empty."""
    row = {
        "time": time,
        "model": evaluation.model,
        "sha256": evaluation.sha256,
        "splits": " ".join(evaluation.splits),
        "frames": str(evaluation.frames),
        "reconstruction_mse": csv_number(evaluation.reconstruction_mse),
    }
    for group in (evaluation.sets, evaluation.classes):
        for key, values in group.items():
            row |= {f"{key}/{metric}": csv_number(value) for metric, value in values.items()}
    return row


def csv_number(value: float) -> str:
    """Eight significant digits; NaN is empty."""
    return "" if math.isnan(value) else f"{value:.8g}"


def append_row(path: Path, row: Mapping[str, str]) -> Path:
    """Append a row to a CSV file, or start one. If the file has other columns, ``<name>-2.csv`` is tried, and so on.

    Returns:
        The file that now has the row.

    Raises:
        OSError: the file cannot be written.
    """
    number, target = 1, path
    while target.exists() and _header(target) != list(row):
        number += 1
        target = path.with_name(f"{path.stem}-{number}{path.suffix}")
    before = target.read_bytes() if target.exists() else b""
    if not before:
        before = csv_text([list(row)]).encode()
    elif not before.endswith(b"\n"):  # it was edited by hand
        before += b"\n"
    write_atomically(target, before + csv_text([list(row.values())]).encode())
    return target


def _header(path: Path) -> list[str] | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return next(csv.reader(file), None)
    except (UnicodeDecodeError, csv.Error):
        return None


def markdown(evaluation: Evaluation) -> str:
    """The metrics as tables: a column for each set of objects, and one for each class that has objects."""
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
    for metric, title in TITLES.items():
        if any(metric in values for values in groups.values()):
            cells = [_cell(metric, values) for values in groups.values()]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def _cell(metric: str, values: Mapping[str, float]) -> str:
    value = values.get(metric, math.nan)
    if math.isnan(value):
        return "-"
    if metric in WHOLE:
        return str(int(value))
    spread = values.get(f"{metric}_std")
    return f"{value:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def add_scalars(writer: SummaryWriter, evaluation: Evaluation, step: int) -> None:
    """Write all metrics that are not NaN to TensorBoard, as ``evaluation/<set or class>/<metric>``."""
    writer.add_scalar("evaluation/reconstruction_mse", evaluation.reconstruction_mse, step)
    for group in (evaluation.sets, evaluation.classes):
        for key, values in group.items():
            for metric, value in values.items():
                if not math.isnan(value):
                    writer.add_scalar(f"evaluation/{key}/{metric}", value, step)


def write(evaluation: Evaluation, out: Path, step: int) -> tuple[list[Path], list[str]]:
    """Append a row to ``evaluation.csv``, and write ``evaluation.md`` and ``tensorboard`` into a folder.

    Args:
        evaluation: what is written.
        out: the folder; made if it is missing.
        step: of training, for TensorBoard's axis.

    Returns:
        The files that were written, and sentences for the user.

    Raises:
        OSError: a file cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    out.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    table = append_row(out / "evaluation.csv", csv_row(evaluation, now))
    write_atomically(out / "evaluation.md", markdown(evaluation).encode())
    with SummaryWriter(str(out / "tensorboard")) as writer:
        add_scalars(writer, evaluation, step)
    said = [f"evaluation.csv has other columns, so the row is in {table}."] if table.name != "evaluation.csv" else []
    return [table, out / "evaluation.md", out / "tensorboard"], said
