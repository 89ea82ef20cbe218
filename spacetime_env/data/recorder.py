"""Recording a split, shard by shard, in one or several processes.

A shard depends only on the settings and its number. So an interrupted recording continues with the missing shards, and
the files do not depend on the number of processes.
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import yaml
from tqdm import tqdm

from spacetime_env import files
from spacetime_env.config import DataConfig, MotionConfig
from spacetime_env.data import shards
from spacetime_env.data.labels import RamObjects
from spacetime_env.data.meta import (
    INDEX,
    META,
    DatasetError,
    SplitMeta,
    require_same_settings,
    save,
    write_meta,
)
from spacetime_env.data.new_split import settings_for
from spacetime_env.data.players import Player
from spacetime_env.data.playing import record_shard, seed_for
from spacetime_env.data.split import open_split
from spacetime_env.games import canonical
from spacetime_env.locks import HeldError, Lock, hold


def split_folder(config: DataConfig, game: str, split: str, agent: str) -> Path:
    """The folder of a split: ``<root>/<Game>/<split>-<agent>``, where ``agent`` is the name of the policy."""
    return Path(config.root) / canonical(game) / f"{split}-{agent}"


def record_frames(
    game: str,
    split: str,
    policy: Player,
    config: DataConfig,
    motion: MotionConfig,
    labels: bool,
    progress: bool = True,
    pool: Executor | None = None,
) -> Path:
    """Record the missing shards of a split and write its index, without motion; arguments as of :func:`record`.

    If another process records the split, this one says so, waits for it, and records what is missing then.

    Returns:
        The split's folder.
    """
    game = canonical(game)
    folder = split_folder(config, game, split, policy.name)
    seed_for(split, config.seed, 0)  # refuses an unknown split and a negative seed
    meta = settings_for(game, split, policy, config, motion, labels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {folder}: {error.strerror}.") from None
    if (folder / META).exists():
        require_same_settings(folder, meta)
        if not missing_shards(folder, meta) and shards.read_index(folder):
            files.sweep(folder, time.time() - 3600)
            return folder  # nothing is written, and no lock is needed: the folder may be read-only
    with _hold(folder):
        _complete(folder, meta, policy, config.workers, progress, pool)
    return folder


def missing_shards(folder: Path, meta: SplitMeta) -> list[int]:
    """The numbers of the shards that are not there."""
    return [i for i in range(meta.shards) if not (folder / meta.shard_name(i)).exists()]


def _hold(folder: Path) -> Lock:
    """The folder's lock. It may take hours until another process is done, so who that is is said."""
    try:
        return hold(folder)
    except HeldError as error:
        print(f"{error} This one waits for it now.")
        return hold(folder, wait=math.inf)


def _complete(
    folder: Path, meta: SplitMeta, policy: Player, workers: int, progress: bool, pool: Executor | None
) -> None:
    """Write ``meta.yaml``, the shards that are missing, and the index, into a folder that this process holds."""
    if (folder / META).exists():
        meta = require_same_settings(folder, meta)
    else:
        if any(folder.glob("*.npz")):
            raise DatasetError(f"{folder} holds data but no {META}. Delete it, or give another folder.")
        if meta.labels:
            meta = dataclasses.replace(meta, classes=RamObjects(meta.game).class_names)
        write_meta(folder, meta)
    files.sweep(folder, time.time() - 3600)
    missing, index = missing_shards(folder, meta), shards.read_index(folder)
    if index and not missing:
        return
    _record_all(folder, meta, policy, missing, workers, progress, pool)
    for i in range(meta.shards):
        name = meta.shard_name(i)
        index[name] = shards.read_shard(folder, meta, i, None if i in missing else index.get(name)).sha256
    save(folder / INDEX, yaml.safe_dump(index).encode())


def _record_all(
    folder: Path,
    meta: SplitMeta,
    policy: Player,
    missing: list[int],
    workers: int,
    progress: bool,
    shared: Executor | None,
) -> None:
    """Record and save the missing shards, in this process, in several, or in those of a pool that is shared."""
    total = sum(meta.shard_stacks(i) for i in missing)
    title = f"{meta.game} {meta.split}-{meta.agent}"
    bar = tqdm(total=meta.size, initial=meta.size - total, desc=title, unit="stack", disable=not progress)
    with bar:
        if shared is not None:
            for task in as_completed([shared.submit(_save_shard, folder, meta, i, policy) for i in missing]):
                bar.update(task.result())
            return
        if min(workers, len(missing)) <= 1:
            for i in missing:
                bar.update(_save_shard(folder, meta, i, policy))
            return
        # Spawned, not forked: a forked process may hang if torch has started threads before.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(workers, len(missing)), context, initializer=_end_with_parent)
        try:
            tasks = [pool.submit(_save_shard, folder, meta, i, policy) for i in missing]
            for task in as_completed(tasks):
                bar.update(task.result())
        except BrokenProcessPool:
            raise DatasetError(
                "a recording process died (killed, out of memory, or started from a script without "
                "`if __name__ == '__main__':`). Run the same command again: what is saved is kept. "
                "--workers 1 (data.workers=1) records without other processes."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _save_shard(folder: Path, meta: SplitMeta, shard: int, policy: Player) -> int:
    """Record a shard; returns its number of stacks."""
    path = folder / meta.shard_name(shard)
    if not path.exists():  # another command may have recorded it meanwhile, with the same content
        save(path, record_shard(meta, shard, policy).to_bytes())
    return meta.shard_stacks(shard)


def _end_with_parent() -> None:
    """End this process when its parent is killed, since it would wait for work forever.

    Ctrl-C, which the terminal sends to this process too, is ignored: the parent waits until the shard is saved.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def record(
    game: str,
    split: str,
    policy: Player,
    config: DataConfig,
    motion: MotionConfig | None = None,
    labels: bool | None = None,
    progress: bool = True,
    subframes: int = 1,
    prepare: bool = True,
    pool: Executor | None = None,
) -> Path:
    """Record a split, or its missing shards, and compute its motion. A complete split is left as it is.

    Args:
        game: a name of a game that :func:`spacetime_env.games.canonical` knows.
        split: ``"train"`` (``config.size`` stacks), ``"validation"`` or ``"test"`` (``config.eval_size``).
        policy: the player; :func:`~spacetime_env.data.players.policy_for` makes the one that ``data.agent`` names.
        motion: how motion is found; ``None``: the published way.
        labels: store ground-truth boxes (needs OCAtari); ``None``: for validation and test splits.
        progress: show a progress bar.
        subframes: of the motion, see :func:`~spacetime_env.data.split.open_split`.
        prepare: compute the motion now; otherwise it is computed when it is first used.
        pool: records the shards, in place of ``config.workers`` processes; it is left open.

    Returns:
        The split's folder, ``<root>/<Game>/<split>-<policy name>``.

    Raises:
        UnknownGameError: no such game.
        LabelsError: OCAtari is missing or does not know the game.
        LockError: nothing can be written into the folder.
        DatasetError: the folder has other settings or damaged files, the disk is full, or ``subframes`` is more than
            ``config.subframes`` records.
    """
    motion = motion or MotionConfig()
    if subframes > 1 and config.subframes == 1:  # say so before anything is played
        raise DatasetError(
            f"model.subframes={subframes} needs the emulator's frame before each, and data.subframes is 1: "
            "set data.subframes=2."
        )
    labels = split != "train" if labels is None else labels
    folder = record_frames(game, split, policy, config, motion, labels, progress, pool)
    if prepare:
        open_split(folder, motion=motion, subframes=subframes).prepare()
    return folder
