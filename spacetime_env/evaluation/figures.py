"""``figures.json`` in a run's folder: what was measured, for programs to read."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from spacetime_env.files import write_atomically

NAME = "figures.json"

Numbers = dict[str, float]  # name of a figure -> value


def numbers(value: Any, name: str = "") -> Numbers:
    """All numbers in a tree of dataclasses, mappings and sequences, whatever its fields are.

    Returns:
        ``"detection.class_recall.Ball"`` -> number: the fields and keys on the way, joined by dots. Of a pair it is
        ``.mean`` and ``.std``, of other sequences ``.0``, ``.1``, ... Text, None and what is not finite are left out.
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
    found: Numbers = {}
    for part, item in inside.items():
        found |= numbers(item, f"{name}.{part}".lstrip("."))
    return found


def mean(figures: Sequence[Numbers]) -> Numbers:
    """The mean of each figure that all of them have, such as games; numbers of things (whole ones) are left out."""
    shared = [name for name in (figures[0] if figures else {}) if all(name in one for one in figures)]
    values = {name: [one[name] for one in figures] for name in shared}
    return {name: statistics.fmean(each) for name, each in values.items() if not all(type(v) is int for v in each)}


def write(run: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures of each test split, ``{"test-random": {"detection.f1": 0.98, ...}}``, into ``run``.

    Raises:
        OSError: they cannot be written.
    """
    tree = {split: numbers(figure) for split, figure in figures.items()}
    write_atomically(run / NAME, json.dumps(tree, indent=1).encode())


def add(run: Path, more: Mapping[str, Numbers]) -> None:
    """Add figures to those that :func:`write` wrote.

    Args:
        more: test split -> figure -> value. What is not finite is left out.

    Raises:
        OSError: they cannot be written.
    """
    there = read(run) or {}
    write(run, there | {split: there.get(split, {}) | numbers(one) for split, one in more.items()})


def read(run: Path) -> dict[str, Numbers] | None:
    """What :func:`write` wrote; None where there is no such file, or one that was cut off or changed."""
    try:
        tree = json.loads((run / NAME).read_text())
    except (OSError, ValueError):
        return None
    fits = isinstance(tree, dict) and all(
        isinstance(split, dict) and all(isinstance(number, (int, float)) for number in split.values())
        for split in tree.values()
    )
    return tree if fits else None
