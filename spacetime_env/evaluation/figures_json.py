"""``figures.json`` in a run's folder: the metrics of its evaluation, for sweeps and other programs to read."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.evaluation.metrics import Metrics
from spacetime_env.evaluation.split_scores import ALL_TESTS
from spacetime_env.files import FileError, is_number, read_json, write_atomically

NAME = "figures.json"
ALL_GAMES = "mean over games"
# Metrics that are in the file, as ``evaluation.ami``: sweeps compare them. The first are of what is drawn and moves.
DRAWN = ("ap", "f1_all")
EVALUATED = ("centroid_accuracy", "ami", "ari", "identity_switches", "kalman_accuracy")


def of_evaluation(evaluation: Evaluation | None) -> dict[str, Metrics]:
    """The metrics of one game: test split -> metric -> value; nothing if it has no test split.

    ``{"test-random": {"detection.f1": 0.98, ..., "evaluation.ap": 0.91, ...}}``: ``detection`` and others are scores on
    the split, ``evaluation`` is what ``evaluate.py`` measures on all splits together. The last split has it.
    """
    if evaluation is None:
        return {}
    found = {name: flat(scores) for name, scores in evaluation.by_split.items()}
    moving = {name: float(evaluation.sets["drawn"][name]) for name in DRAWN}
    moving |= {name: float(evaluation.sets["moving"][name]) for name in EVALUATED}  # float: counts have a mean too
    moving["reconstruction_mse"] = evaluation.reconstruction_mse
    last = evaluation.splits[0] if len(evaluation.splits) == 1 else ALL_TESTS
    return found | {last: found.get(last, {}) | flat({"evaluation": moving})}


def of_games(evaluations: Mapping[str, Evaluation]) -> dict[str, Metrics]:
    """The metrics of several games by ``<game>/<test split>``, after their means over the games."""
    games = {game: of_evaluation(one) for game, one in evaluations.items()}
    last = [list(splits.values())[-1] for splits in games.values()]
    means = {ALL_GAMES: mean(last)} if last else {}
    return means | {f"{game}/{name}": one for game, splits in games.items() for name, one in splits.items()}


def flat(value: Any, name: str = "") -> Metrics:
    """All numbers in a tree of dataclasses, mappings and sequences.

    Returns:
        ``"detection.class_recall.Ball"`` -> number: the fields and keys that lead to it, joined by dots. The items of a
        pair are ``mean`` and ``std``, those of other sequences ``0``, ``1``, ... Text, None, NaN and infinity are left
        out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        inside = {str(key): item for key, item in value.items()}
    elif isinstance(value, (tuple, list)):
        inside = {str(i): item for i, item in enumerate(value)}
        if len(value) == 2:
            inside = dict(zip(("mean", "std"), value, strict=True))
    elif isinstance(value, Real) and math.isfinite(value):
        return {name: int(value) if isinstance(value, Integral) else float(value)}
    else:
        return {}
    found: Metrics = {}
    for part, item in inside.items():
        found |= flat(item, f"{name}.{part}".lstrip("."))
    return found


def mean(games: Sequence[Metrics]) -> Metrics:
    """The mean of each metric that all games have. Counts (whole numbers in all games) are left out."""
    shared = [name for name in (games[0] if games else {}) if all(name in one for one in games)]
    values = {name: [one[name] for one in games] for name in shared}
    return {name: statistics.fmean(each) for name, each in values.items() if not all(type(v) is int for v in each)}


def write(run: Path, metrics: Mapping[str, Metrics]) -> None:
    """Write the metrics of each test split into the folder ``run``.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(run / NAME, json.dumps(metrics, indent=1).encode())


def read(run: Path) -> dict[str, Metrics] | None:
    """What :func:`write` wrote; None where there is no such file, or one that was cut off or changed."""
    try:
        tree = read_json(run / NAME)
    except (FileNotFoundError, FileError):
        return None
    fits = isinstance(tree, dict) and all(
        isinstance(split, dict) and all(is_number(one) for one in split.values())
        for split in tree.values()
    )
    return tree if fits else None
