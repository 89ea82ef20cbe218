"""The plan of ``--sweep``: a run with a folder of its own for every combination, checked before the first starts."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from spacetime_env.config import Config, ConfigError, Scope, load_config, to_dict
from spacetime_env.config.differences import settings_of
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.players import policy_for
from spacetime_env.evaluation import figures_json
from spacetime_env.files import FileError, read_json, write_atomically
from spacetime_env.space import Space
from spacetime_env.training.step import require_settings

RECORD = "sweep.json"
LONGEST = 60  # characters of a value in the name of a folder


@dataclass(frozen=True)
class SweepRun:
    """The run of one combination."""

    settings: Mapping[str, str]  # short name of each varied setting -> the value as it was written
    config: Config
    folder: Path
    source: str  # data.root as it was asked for; data.root of ``config`` may be the sweep's own, see with_data

    @property
    def title(self) -> str:
        """The settings, such as ``seed=2 variant=space``."""
        return titled(self.settings)

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.folder / "model"

    def record(self) -> dict[str, Any]:
        """The content of ``sweep.json``: settings, config, seconds, done. Empty if it is missing or damaged."""
        try:
            found = read_json(self.folder / RECORD)
            seconds = float(found["seconds"])
            return found if isinstance(found["config"], dict) and 0 <= seconds < math.inf and "done" in found else {}
        except (FileNotFoundError, FileError, ValueError, LookupError, TypeError, OverflowError):
            return {}

    def done(self) -> bool:
        """Whether it was finished, and its model folder and its figures exist."""
        there = (self.model / "model.yaml").is_file() and figures_json.read(self.folder) is not None
        return there and self.record().get("done") is True

    def write(self, seconds: float, done: bool) -> None:
        """Write ``sweep.json``.

        Args:
            seconds: wall time, over all starts of the run.
        """
        record = {"settings": dict(self.settings), "seconds": seconds, "done": done, "config": to_dict(self.config)}
        write_atomically(self.folder / RECORD, json.dumps(record, indent=1).encode())


@dataclass(frozen=True)
class Sweep:
    """All runs; the first setting varies fastest."""

    name: str
    folder: Path
    runs: tuple[SweepRun, ...]


def plan(config: str | Path, fixed: Sequence[str], varied: Sequence[str], folder: str | Path | None = None) -> Sweep:
    """The runs that ``--sweep`` asks for, with every combination checked.

    Args:
        config: the YAML file.
        fixed: ``key=value``, for all runs.
        varied: ``key=v1,v2``; one with a single value is for all runs too.
        folder: of the sweep; None: ``runs/sweep/<name>``.

    Raises:
        ConfigError: nothing to vary, one of ``varied`` is not ``key=v1,v2``, an unknown key or a wrong value in any
            combination, or two combinations that are the same.
    """
    axes, fixed = read_axes(fixed, varied)
    base = load_config(config, fixed)
    name = run_name(base)
    folder = Path(folder or Path("runs") / "sweep" / name)
    names = short_names(list(axes))
    runs: list[SweepRun] = []
    for combination in itertools.product(*reversed(axes.values())):  # product() varies the last one fastest
        chosen = dict(zip(axes, reversed(combination), strict=True))
        settings = {names[key]: value for key, value in chosen.items()}
        asked = load_checked(config, [*fixed, *(f"{key}={value}" for key, value in chosen.items())], settings)
        for other in runs:
            if other.config == asked:
                raise ConfigError(f"--sweep: {other.title} and {titled(settings)} are the same run. Leave one out.")
        runs.append(SweepRun(settings, asked, folder / folder_name(settings), asked.data.root))
    return Sweep(name, folder, tuple(runs if "data.root" in axes else with_data(runs, folder)))


def read_axes(fixed: Sequence[str], varied: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The values of each setting that varies, and the settings of all runs; arguments as of :func:`plan`.

    Raises:
        ConfigError: as :func:`plan`.
    """
    axes: dict[str, list[str]] = {}
    fixed = list(fixed)
    for setting in varied:
        key, equals, _ = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--sweep: expected key=v1,v2, such as seed=0,1,2, and got {setting!r}.")
        values = split_values(setting)
        if len(values) == 1:
            fixed.append(setting)
        elif key in axes:
            raise ConfigError(f"--sweep: {key} is given twice. Give all of its values at once, as in {key}=v1,v2.")
        else:
            axes[key] = values
    if not axes:
        raise ConfigError(
            f"--sweep: nothing to vary in {' '.join(varied)!r}. Give several values, such as seed=0,1,2."
        )
    for setting in fixed:
        if setting.partition("=")[0] in axes:
            raise ConfigError(f"{setting!r} is for all runs, and --sweep varies it. Leave one of them out.")
    return axes, fixed


def load_checked(config: str | Path, overrides: Sequence[str], settings: Mapping[str, str]) -> Config:
    """The config of a combination, with every check that needs no data.

    Args:
        overrides: see :func:`~spacetime_env.config.load_config`.
        settings: the combination, for messages.

    Raises:
        ConfigError: naming the combination.
    """
    try:
        asked = load_config(config, overrides)
        each_game(asked)
        require_settings(asked)
        policy_for(asked.data.agent)
        policy_for(asked.data.eval_agent, "data.eval_agent")
        if asked.data.test_agent:
            policy_for(asked.data.test_agent, "data.test_agent")
        with torch.device("meta"):  # shapes without weights
            Space(asked.model)
    except ValueError as error:
        raise ConfigError(f"--sweep, {titled(settings)}: {error}") from None
    return asked


def split_values(setting: str) -> list[str]:
    """The values of ``key=v1,v2``, split at the commas outside of brackets, braces and quotes.

    >>> split_values("train.few_shot=[1,4],[16]")
    ['[1,4]', '[16]']

    Raises:
        ConfigError: a bracket or a quote is not closed, or a value between commas is empty.
    """
    values, depth, quote = [""], 0, ""
    for char in setting.partition("=")[2]:
        before = values[-1].rstrip()[-1:]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and before in ("", *"[{,:"):  # elsewhere it is an ordinary character, as in YAML
            quote = char
        else:
            depth += (char in "[{") - (char in "]}")
        if char == "," and not depth and not quote:
            values.append("")
        else:
            values[-1] += char
        if depth < 0:
            break
    if depth or quote:
        raise ConfigError(f"--sweep: brackets or quotes do not match in {setting!r}. Quote it for the shell.")
    values = [value.strip() for value in values]
    if len(values) > 1 and "" in values:
        raise ConfigError(f"--sweep: expected a value on each side of a comma in {setting!r}.")
    return values


def titled(settings: Mapping[str, str]) -> str:
    """The settings as a title: ``seed=2 variant=space``."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last part, such as ``model.variant`` -> ``variant``; the whole key if several keys end alike."""
    lasts = [key.rpartition(".")[2] for key in keys]
    unique = {last for last in lasts if lasts.count(last) == 1} - {"seed"}  # data.seed and seed are two settings
    return {key: last if last in unique else key for key, last in zip(keys, lasts, strict=True)}


def folder_name(settings: Mapping[str, str]) -> str:
    """The settings as the name of a folder: ``seed=2,variant=space``.

    A character that a file's name should not have becomes ``-``, and a long value is cut. Such a value ends with its
    checksum, so that two values have two names.
    """
    parts = []
    for key, value in settings.items():
        safe = re.sub(r"[^A-Za-z0-9_.+-]", "-", value)[:LONGEST]
        digest = "" if safe == value else f"-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
        parts.append(f"{key}={safe}{digest}")
    return ",".join(parts)


def with_data(runs: Sequence[SweepRun], folder: Path) -> list[SweepRun]:
    """The runs, with data roots in ``folder`` if they need data of different settings: one root for each combination.

    A root holds one training split of each policy, so such runs cannot share one.
    """
    asked = [data_settings(run.config) for run in runs]
    names = dict.fromkeys(name for one in asked for name in one)
    varied = [name for name in names if len({one.get(name) for one in asked}) > 1]
    if not varied:
        return list(runs)
    result = []
    for run, one in zip(runs, asked, strict=True):
        root = folder / "data" / folder_name({name: one[name] for name in varied})
        result.append(replace(run, config=replace(run.config, data=replace(run.config.data, root=str(root)))))
    return result


def data_settings(config: Config) -> dict[str, str]:
    """The settings that all runs of a data root have in common, by the names that they have in the folder's name.

    The three settings of the trail become one, ``trail``.
    """
    found = settings_of(config, Scope.DATA_ROOT)
    extent, kind, frames = (found.pop(f"motion.{name}", "") for name in ("extent", "background", "trail"))
    named = {name.removeprefix("data."): str(value) for name, value in found.items()}
    return named | {"trail": f"{kind}-{frames}" if extent == "trail" else "none"}
