"""Tables of the runs of a sweep: CSV with all metrics, Markdown with means over the seeds."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spacetime_env.evaluation.metrics import Metrics
from spacetime_env.evaluation.tables import csv_text

SEED = "seed"  # the setting that means are taken over
# The metrics that come first: a pattern of their names in figures.json -> their title.
MAIN = {
    r"detection\.f1": "F1 at IoU 0.5",
    r"detection\.f1_75": "F1 at IoU 0.75",
    r"detection\.center_f1": "F1 by centre distance",
    "target_f1": "target F1",
    r"few_shot\.(\d+)\.mean": "{}-shot accuracy",
    r"ram\.f1": "F1 at IoU 0.5, RAM boxes",
    r"evaluation\.ami": "AMI of k-means",
    r"detection\.name_accuracy": "name accuracy",
}
_SPREAD = ".std"  # of a metric over draws: in the CSV only


@dataclass(frozen=True)
class Row:
    """One run."""

    settings: Mapping[str, str]  # the same keys in every row
    state: str  # "done", "failed", "not done"
    seconds: float  # wall time of all sessions
    metrics: Mapping[str, Metrics]  # test split -> metric -> value; empty unless done


def as_csv(rows: Sequence[Row]) -> str:
    """A line for each run: settings, state, wall_seconds, and ``<test split>: <metric>`` for each metric of any run."""
    columns = [(split, metric) for split in splits_of(rows) for metric in metrics_of(rows, split)]
    names = [f"{split}: {metric}" for split, metric in columns]
    lines: list[Sequence[object]] = [[*rows[0].settings, "state", "wall_seconds", *names]]
    for row in rows:
        values = [row.metrics.get(split, {}).get(metric, "") for split, metric in columns]
        lines.append([*row.settings.values(), row.state, f"{row.seconds:.1f}", *values])
    return csv_text(lines)


def as_markdown(name: str, rows: Sequence[Row]) -> str:
    """A table for each test split: a line for each combination of settings but the seed, with means over the seeds."""
    lines = [
        f"# {name}: {sum(row.state == 'done' for row in rows)} of {len(rows)} runs",
        "",
        "Mean ± standard deviation (n - 1 in its denominator) over the n seeds that are done.",
    ]
    left = [row for row in rows if row.state != "done"]
    if left:
        each = (f"{' '.join(f'{key}={value}' for key, value in row.settings.items())} ({row.state})" for row in left)
        lines += ["", f"Not in it: {', '.join(each)}."]
    done = [row for row in rows if row.state == "done"]
    if done and not splits_of(done):
        lines += ["", "No figures: there was no test split with ground truth."]
    for split in splits_of(done):
        counts = {metric for row in done for metric, value in row.metrics.get(split, {}).items() if type(value) is int}
        shown = [one for one in metrics_of(done, split) if one not in counts and not one.endswith(_SPREAD)]
        keys = [key for key in rows[0].settings if key != SEED]
        heads = [*keys, "n", *(title(metric) for metric in shown), "wall time, s"]
        lines += ["", f"## {split}", "", _line(heads), _line(["---"] * len(heads))]
        for values, group in by_settings(done, keys).items():
            cells = [mean([row.metrics.get(split, {}).get(metric) for row in group]) for metric in shown]
            seconds = mean([row.seconds for row in group], 0)
            lines.append(_line([*values, str(len(group)), *cells, seconds]))
    return "\n".join(lines) + "\n"


def by_settings(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """The rows grouped by their values of the settings ``keys``; groups are in the order of their first rows."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.settings[key] for key in keys), []).append(row)
    return groups


def mean(values: Sequence[float | None], digits: int = 4) -> str:
    """``0.9772 ± 0.0012``; no ± of a single value, and how many there are where some are missing.

    >>> mean([0.5, None, 1.5], 1)
    '1.0 ± 0.7 (n = 2)'
    """
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    text = f"{statistics.fmean(there):.{digits}f}"
    if len(there) > 1:
        text += f" ± {statistics.stdev(there):.{digits}f}"
    return text if len(there) == len(values) else f"{text} (n = {len(there)})"


def splits_of(rows: Iterable[Row]) -> list[str]:
    """The test splits of all rows. ``mean over games`` and ``all test splits`` come first."""
    found = dict.fromkeys(split for row in rows for split in row.metrics)
    return sorted(found, key=lambda split: ("/" in split, split.startswith("test-"), split))


def metrics_of(rows: Iterable[Row], split: str) -> list[str]:
    """The metrics that any row has on a split, the main ones first."""
    found = list(dict.fromkeys(metric for row in rows for metric in row.metrics.get(split, {})))
    return sorted(found, key=lambda metric: (_place(metric), found.index(metric)))


def title(metric: str) -> str:
    """The title of a metric: ``detection.f1`` -> ``F1 at IoU 0.5``."""
    for pattern, words in MAIN.items():
        match = re.fullmatch(pattern, metric)
        if match:
            return words.format(*match.groups())
    return metric.removeprefix("detection.").removeprefix("evaluation.").replace("_", " ").replace(".", " ")


def _place(metric: str) -> tuple[int, int]:
    for place, pattern in enumerate(MAIN):
        match = re.fullmatch(pattern, metric)
        if match:
            return place, int(match[1]) if match.groups() else 0
    return len(MAIN), 0


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
