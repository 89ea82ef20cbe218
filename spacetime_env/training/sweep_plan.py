"""What ``--sweep`` asks for: every combination as a run with a folder of its own, checked before any starts."""

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
LONGEST = 60  # characters of a value in a folder's name


@dataclass(frozen=True)
class SweepRun:
    """One combination."""

    settings: Mapping[str, str]  # what is varied, by its shortest name, and the value as it was written
    config: Config
    folder: Path
    source: str  # data.root as it was asked for; that of ``config`` may be one of the sweep's own

    @property
    def title(self) -> str:
        """``seed=2 variant=space``."""
        return titled(self.settings)

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.folder / "model"

    def record(self) -> dict[str, Any]:
        """``sweep.json``: settings, config, seconds, done; empty where there is none that can be read."""
        try:
            found = read_json(self.folder / RECORD)
            seconds = float(found["seconds"])
            return found if isinstance(found["config"], dict) and 0 <= seconds < math.inf and "done" in found else {}
        except (FileNotFoundError, FileError, ValueError, LookupError, TypeError, OverflowError):
            return {}

    def done(self) -> bool:
        """It went to its end, and what it wrote is there."""
        there = (self.model / "model.yaml").is_file() and figures_json.read(self.folder) is not None
        return there and self.record().get("done") is True

    def write(self, seconds: float, done: bool) -> None:
        """Write ``sweep.json``.

        Args:
            seconds: wall time of all sessions.
        """
        record = {"settings": dict(self.settings), "seconds": seconds, "done": done, "config": to_dict(self.config)}
        write_atomically(self.folder / RECORD, json.dumps(record, indent=1).encode())


@dataclass(frozen=True)
class Sweep:
    """All runs, the first key varying fastest."""

    name: str
    folder: Path
    runs: tuple[SweepRun, ...]


def plan(config: str | Path, fixed: Sequence[str], words: Sequence[str], folder: str | Path | None = None) -> Sweep:
    """Read ``--sweep``, and check every combination.

    Args:
        config: the YAML file.
        fixed: ``key=value`` of all runs.
        words: ``key=v1,v2``; those of one value are of all runs too.
        folder: of the sweep; ``runs/sweep/<name>`` where None.

    Raises:
        ConfigError: nothing to vary, a word that is not ``key=v1,v2``, an unknown key or a wrong value in any
            combination, or two combinations that are the same.
    """
    axes: dict[str, list[str]] = {}
    fixed = list(fixed)
    for word in words:
        key, equals, _ = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"--sweep: expected key=v1,v2, such as seed=0,1,2, and got {word!r}.")
        values = split_values(word)
        if len(values) == 1:
            fixed.append(word)
        elif key in axes:
            raise ConfigError(f"--sweep: {key} is given twice. Give all of its values in one word.")
        else:
            axes[key] = values
    if not axes:
        raise ConfigError(f"--sweep: nothing to vary in {' '.join(words)!r}. Give several values, such as seed=0,1,2.")
    for word in fixed:
        if word.partition("=")[0] in axes:
            raise ConfigError(f"{word!r} is for all runs, and --sweep varies it. Leave one of them out.")
    base = load_config(config, fixed)
    name = run_name(base)
    folder = Path(folder or Path("runs") / "sweep" / name)
    names = short_names(list(axes))
    runs: list[SweepRun] = []
    for combination in itertools.product(*reversed(axes.values())):  # the last varies fastest
        chosen = dict(zip(axes, reversed(combination), strict=True))
        settings = {names[key]: value for key, value in chosen.items()}
        asked = load_checked(config, [*fixed, *(f"{key}={value}" for key, value in chosen.items())], settings)
        for other in runs:
            if other.config == asked:
                raise ConfigError(f"--sweep: {other.title} and {titled(settings)} are the same run. Leave one out.")
        runs.append(SweepRun(settings, asked, folder / folder_name(settings), asked.data.root))
    return Sweep(name, folder, tuple(runs if "data.root" in axes else with_data(runs, folder)))


def load_checked(config: str | Path, words: Sequence[str], settings: Mapping[str, str]) -> Config:
    """The config of a combination, with every check that needs no data.

    Raises:
        ConfigError: naming the combination.
    """
    try:
        asked = load_config(config, words)
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


def split_values(word: str) -> list[str]:
    """The values of ``key=v1,v2``, split at the commas that are outside of brackets, braces and quotes.

    >>> split_values("train.few_shot=[1,4],[16]")
    ['[1,4]', '[16]']

    Raises:
        ConfigError: a bracket or a quote is not closed, or a value between commas is empty.
    """
    values, depth, quote = [""], 0, ""
    for char in word.partition("=")[2]:
        before = values[-1].rstrip()[-1:]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"" and before in ("", *"[{,:"):  # elsewhere it is a letter, as in YAML
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
        raise ConfigError(f"--sweep: brackets or quotes do not match in {word!r}. Quote the word for the shell.")
    values = [value.strip() for value in values]
    if len(values) > 1 and "" in values:
        raise ConfigError(f"--sweep: expected a value on each side of a comma in {word!r}.")
    return values


def titled(settings: Mapping[str, str]) -> str:
    """``seed=2 variant=space``."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last part, or all of it where that is not clear: ``model.variant`` -> ``variant``."""
    lasts = [key.rpartition(".")[2] for key in keys]
    clear = {last for last in lasts if lasts.count(last) == 1} - {"seed"}  # data.seed is not what a run's seed is
    return {key: last if last in clear else key for key, last in zip(keys, lasts, strict=True)}


def folder_name(settings: Mapping[str, str]) -> str:
    """``seed=2,variant=space``. What a file's name cannot hold becomes ``-`` and a checksum keeps it apart."""
    parts = []
    for key, value in settings.items():
        safe = re.sub(r"[^A-Za-z0-9_.+-]", "-", value)[:LONGEST]
        digest = "" if safe == value else f"-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
        parts.append(f"{key}={safe}{digest}")
    return ",".join(parts)


def with_data(runs: Sequence[SweepRun], folder: Path) -> list[SweepRun]:
    """Where runs ask for data of different settings, a data root in ``folder`` for each of them.

    A root holds one training split of a policy, so that such runs would refuse each other's.
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
    """The settings that the splits in a data root have in common, by the names that they have in a folder's name.

    The settings of the trail become one, ``trail``.
    """
    found = settings_of(config, Scope.DATA_ROOT)
    extent, kind, frames = (found.pop(f"motion.{name}", "") for name in ("extent", "background", "trail"))
    named = {name.removeprefix("data."): str(value) for name, value in found.items()}
    return named | {"trail": f"{kind}-{frames}" if extent == "trail" else "none"}
