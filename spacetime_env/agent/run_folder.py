"""The folder of one training of an agent: its settings in ``run.yaml``, its checkpoints, and a lock.

The checkpoints are those of :mod:`spacetime_env.agent.sb3_checkpoint`. A run of pretraining has another folder, see
:mod:`spacetime_env.training.checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError, is_count, read_yaml, shown, write_atomically
from spacetime_env.locks import HeldError, Lock, LockError, hold

RECORD, LAST, BEST = "run.yaml", "last.zip", "best.zip"


@dataclass
class RunFolder:
    """A folder ``<log folder>/<algo>/<env>_<number>``, held by this process.

    Attributes:
        folder: with ``run.yaml``, ``last.zip`` and ``best.zip``.
        asked: the settings that identify the training: algo, env, seed, hyperparameters, env_kwargs, start.
        seed: the seed in use; ``asked["seed"]`` is -1 if any seed will do.
        resumed: an interrupted training is resumed.
        lock: see :func:`spacetime_env.locks.hold`; closing it lets other processes in.
    """

    folder: Path
    asked: dict[str, Any]
    seed: int
    resumed: bool
    lock: Lock | None = None

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.folder / LAST

    @property
    def best(self) -> Path:
        """The checkpoint of the best evaluation."""
        return self.folder / BEST

    def write(self, **more: Any) -> None:
        """Write ``run.yaml``."""
        record = {"asked": self.asked, "seed": self.seed, **more}
        write_atomically(self.folder / RECORD, yaml.safe_dump(record, sort_keys=False).encode())


def begin(root: Path, asked: Mapping[str, Any], seed: int, earlier: Sequence[Mapping[str, Any]] = ()) -> RunFolder:
    """Resume an unfinished training of the same settings, or open a new folder.

    Args:
        root: the folder of all runs.
        asked: see :class:`RunFolder`.
        seed: for a new training.
        earlier: the trainings whose weights a new one starts from; kept in ``run.yaml``.

    Raises:
        AgentError: the folder cannot be written.
    """
    name = slug(str(asked["env"]))
    parent = root / str(asked["algo"])
    taken = [path for path in parent.glob(f"{name}_*") if path.name.rpartition("_")[2].isdigit()]
    numbers = {int(path.name.rpartition("_")[2]): path for path in taken}
    for number in sorted(numbers, reverse=True):
        folder = numbers[number]
        try:
            record = read_record(folder)
        except AgentError:
            continue  # not a run, or killed before run.yaml was written
        if record["asked"] == dict(asked) and not record.get("finished"):
            try:
                lock = hold(folder)
            except HeldError:
                continue  # another process trains there; this one gets a folder of its own
            return RunFolder(folder, dict(asked), int(record["seed"]), (folder / LAST).is_file(), lock)
    folder = parent / f"{name}_{max(numbers, default=0) + 1}"
    try:
        folder.mkdir(parents=True)
        run = RunFolder(folder, dict(asked), seed, False, hold(folder))
        run.write(earlier=[dict(one) for one in earlier])
    except LockError as error:
        raise AgentError(str(error)) from None
    except OSError as error:
        raise AgentError(
            f"cannot begin a training in {folder}: {error.strerror or error}. Make room, or give another --log-folder."
        ) from None
    return run


def reopen(folder: Path) -> RunFolder | None:
    """The unfinished training in ``folder``; None if there is none.

    Raises:
        AgentError: another process holds it, or ``run.yaml`` is damaged.
    """
    if not (folder / RECORD).is_file():
        return None
    record = read_record(folder)
    if record.get("finished"):
        return None
    _require_settings(record["asked"], folder / RECORD)
    try:
        lock = hold(folder)
    except LockError as error:
        raise AgentError(str(error)) from None
    return RunFolder(folder, record["asked"], int(record["seed"]), (folder / LAST).is_file(), lock)


def read_record(folder: Path) -> dict[str, Any]:
    """The content of ``run.yaml``, with at least ``asked``, a dict, and ``seed``, 0 or more.

    Raises:
        AgentError: it is missing or damaged.
    """
    path = folder / RECORD
    try:
        record = read_yaml(path)
    except FileNotFoundError:
        raise AgentError(f"{folder} is no training: it has no {RECORD}.") from None
    except FileError as error:
        raise AgentError(str(error)) from None
    if not isinstance(record, dict) or not {"asked", "seed"} <= set(record):
        raise AgentError(f"{path} is not a training's: expected the keys 'asked' and 'seed'.")
    if not isinstance(record["asked"], dict) or not is_count(record["seed"]) or record["seed"] >= 2**31:
        raise AgentError(f"{path} is damaged: expected names and values under 'asked', and a seed under 2**31.")
    return record


def _require_settings(asked: Mapping[str, Any], path: Path) -> None:
    """Raises AgentError where ``asked`` does not say what to train, with the types that :func:`begin` wrote."""
    kinds = {"algo": str, "env": str, "seed": int, "hyperparameters": dict, "env_kwargs": dict, "start": str}
    for key, kind in kinds.items():
        if not isinstance(asked.get(key), kind):
            raise AgentError(f"{path} is damaged: asked.{key} is {shown(asked.get(key))}, expected {kind.__name__}.")


def slug(env_id: str) -> str:
    """An env id as the name of a folder."""
    return env_id.replace("/", "-").replace(":", "-")


def plain(value: Any) -> Any:
    """A value as YAML can hold it: numbers, text, lists and dicts; of any other value the name of its type."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.__name__ if isinstance(value, type) else type(value).__name__
