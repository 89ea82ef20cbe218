"""Playing a game and writing down stacks of consecutive frames, shard by shard.

A shard depends on nothing but the settings and its number: it has its own seed, environment and episodes. So
an interrupted recording is resumed where it stopped, and any number of processes gives the same files.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import yaml
from tqdm import tqdm

from spacetime_env import files
from spacetime_env.config import DataConfig, MotionConfig
from spacetime_env.data import shards
from spacetime_env.data.labels import RamObjects
from spacetime_env.data.meta import require_same_settings, settings_for
from spacetime_env.data.motion import ColorCounts, Window
from spacetime_env.data.players import Player, Policy, part_for
from spacetime_env.data.shards import DatasetError, FrameBoxes, Shard, SplitMeta
from spacetime_env.envs.emulator import keep_subframes
from spacetime_env.games import canonical

SPLITS = ("train", "validation", "test")
TRIES = 1000  # at a stack that lies within one episode


def seed_for(split: str, seed: int, shard: int) -> int:
    """The seed of a shard, 0 to 2**31 - 1. No two splits share one, nor do two shards of a split.

    Raises:
        DatasetError: no such split, or a negative seed.
    """
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; expected one of {', '.join(SPLITS)}.")
    if seed < 0:
        raise DatasetError(f"expected a seed of 0 or more, got {seed}.")
    # The remainder by 3 tells the split; within a split shards count on from a start drawn from the seed.
    start = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return (start + shard) % (2**31 // 3) * 3 + SPLITS.index(split)


def split_folder(config: DataConfig, game: str, split: str, agent: str) -> Path:
    """Where a split is: ``<root>/<Game>/<split>-<agent>``."""
    return Path(config.root) / canonical(game) / f"{split}-{agent}"


def record_frames(
    game: str,
    split: str,
    policy: Player,
    config: DataConfig,
    motion: MotionConfig,
    labels: bool,
    progress: bool = True,
) -> Path:
    """Record what is missing of a split's shards and its index. See :func:`spacetime_env.data.dataset.record`."""
    game = canonical(game)
    folder = split_folder(config, game, split, policy.name)
    seed_for(split, config.seed, 0)  # refuses what has no seed
    meta = settings_for(game, split, policy, config, motion, labels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {folder}: {error.strerror}.") from None
    if (folder / shards.META).exists():
        meta = require_same_settings(folder, meta)
    else:
        if any(folder.glob("*.npz")):
            raise DatasetError(f"{folder} holds data but no {shards.META}. Delete it, or give another folder.")
        if labels:
            meta = dataclasses.replace(meta, classes=RamObjects(game).class_names)
        shards.write_meta(folder, meta)
    files.sweep(folder, time.time() - 3600)
    missing = [i for i in range(meta.shards) if not (folder / meta.shard_name(i)).exists()]
    index = shards.read_index(folder)
    if index and not missing:
        return folder
    _record_all(folder, meta, policy, missing, config.workers, progress)
    for i in range(meta.shards):
        name = meta.shard_name(i)
        index[name] = shards.read_shard(folder, meta, i, None if i in missing else index.get(name)).sha256
    shards.save(folder / shards.INDEX, yaml.safe_dump(index).encode())
    return folder


def record_shard(meta: SplitMeta, shard: int, policy: Player) -> Shard:
    """Play one shard; of a mix, by the part whose turn it is.

    Raises:
        DatasetError: the game's episodes are too short for a stack.
        LabelsError: ``meta.labels`` and the ground truth cannot be read.
    """
    count, length, (height, width) = meta.shard_stacks(shard), meta.length, meta.native
    seed = seed_for(meta.split, meta.seed, shard)
    rng = np.random.default_rng([seed, 1])
    play = _Play(meta, part_for(policy, shard), seed)
    random = meta.order == "random"
    ids = np.empty((count, length, height, width), np.uint8)
    episodes, steps = np.empty(count, np.int32), np.empty((count, length), np.int32)
    before = np.empty_like(ids) if meta.subframes > 1 else None
    labels: list[tuple[np.ndarray, list[str]]] = []
    backgrounds, numbers = [], []
    play.fill_trail()
    if random:
        play.on(int(rng.integers(meta.warmup + 1)))
    for i in range(count):
        if random:
            play.on(int(rng.integers(2 * meta.gap + 1)))
        for _ in range(TRIES):
            found, asked = [], []
            background = play.background() if meta.trail else None
            for t in range(length):
                ids[i, t], steps[i, t] = play.screen(), play.step
                found.append(play.objects)
                if before is not None:
                    before[i, t] = play.screen_before()
                asked.append(play.ask_steadiness())
                # The step after the last frame too: it leaves the next stack its own frames.
                if not play.on(1) and t < length - 1:
                    break  # a stack lies within one episode
            else:
                break
        else:
            raise DatasetError(
                f"no stack of {length} frames in {TRIES} tries: the episodes of {meta.game} end before. "
                "Ask for shorter stacks with --length (data.length)."
            )
        episodes[i] = play.episode_before
        labels += found
        backgrounds.append(background)
        numbers.append(asked)
    order = rng.permutation(count) if random else np.arange(count)
    boxes = _flat([labels[i * length + t] for i in order for t in range(length)]) if meta.labels else None
    trails = np.stack([backgrounds[i] for i in order]) if meta.trail else None
    steady = None
    if meta.window:
        play.on(meta.window)  # the steps after the last frames
        steady = np.array([[play.steadiness[number] for number in numbers[i]] for i in order])
    earlier = before[order] if before is not None else None
    return Shard(ids[order], play.palette, episodes[order], steps[order], boxes, trails, steady, earlier)


def _record_all(
    folder: Path, meta: SplitMeta, policy: Player, missing: list[int], workers: int, progress: bool
) -> None:
    """Record and save the missing shards, in this process or in several."""
    total = sum(meta.shard_stacks(i) for i in missing)
    title = f"{meta.game} {meta.split}-{meta.agent}"
    bar = tqdm(total=meta.size, initial=meta.size - total, desc=title, unit="stack", disable=not progress)
    with bar:
        if min(workers, len(missing)) <= 1:
            for i in missing:
                bar.update(_save_shard(folder, meta, i, policy))
            return
        # Spawned, not forked: a fork of a process in which torch has started threads may hang.
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
    path = folder / meta.shard_name(shard)
    if not path.exists():  # another command may have recorded it meanwhile; it would be the same
        shards.save(path, record_shard(meta, shard, policy).to_bytes())
    return meta.shard_stacks(shard)


def _end_with_parent() -> None:
    """Let this process end when its parent is killed (it would wait for work for ever), and only then.

    Ctrl-C reaches it too; the parent then lets it finish and save its shard.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Play:
    """One environment, played step by step."""

    def __init__(self, meta: SplitMeta, policy: Policy, seed: int) -> None:
        self._meta, self._policy = meta, policy
        self._env = policy.make_env(meta.game)
        self._ale = cast(Any, self._env.unwrapped).ale
        self._reader = RamObjects(meta.game) if meta.labels else None
        kind, _, size = meta.trail.partition(" of ")
        self._kind = cast(Literal["mode", "median"], kind)
        self._trail: deque[np.ndarray] = deque(maxlen=int(size or 0))
        self._counts = ColorCounts(meta.native)
        self._subframes = keep_subframes(self._env, keep_ids=True) if meta.subframes > 1 else None
        self._window = Window(meta.native, meta.window) if meta.window else None
        self._known = np.zeros(256, bool)
        self.palette = np.zeros((256, 3), np.uint8)
        self.episode = -1
        self.episode_before = -1  # the episode of the frame before the last step
        self.objects: tuple[np.ndarray, list[str]] = (np.zeros((0, 4), np.float32), [])
        policy.reset(seed)
        self._begin(seed)

    def _begin(self, seed: int | None = None) -> None:
        self._observation, _ = self._env.reset(seed=seed)
        self.episode += 1
        self.step = 0
        if self._reader is not None:
            self._reader.reset()
        self._observe()

    def on(self, steps: int) -> bool:
        """Play some steps; false if an episode ended, and another began, on the way."""
        whole = True
        for _ in range(steps):
            self.episode_before = self.episode
            action = self._policy.act(self._env, self._observation)
            self._observation, _, terminated, truncated, _ = self._env.step(action)
            self.step += 1
            if terminated or truncated:
                self._begin()
                whole = False
            else:
                self._observe()
        return whole

    def fill_trail(self) -> None:
        """Play until the trail is as long as it shall be."""
        self.on(self._trail.maxlen or 0)

    def screen(self) -> np.ndarray:
        """(H, W) uint8 palette ids of the frame."""
        ids = self._ale.getScreen()
        if not self._known[ids].all():
            self.palette[ids] = self._ale.getScreenRGB()
            self._known[ids] = True
        return ids

    def screen_before(self) -> np.ndarray:
        """(H, W) uint8 palette ids of the emulator's frame before."""
        assert self._subframes is not None
        ids = self._subframes.before_ids
        # ALE tells colours of the frame on the screen only; one that only this frame has comes up later, or never.
        return np.where(self._known[ids], ids, self.screen()) if not self._known[ids].all() else ids

    def ask_steadiness(self) -> int:
        """Have the steadiness of this frame measured: its number in :attr:`steadiness`, ``window`` steps later."""
        return self._window.ask() if self._window is not None else -1

    @property
    def steadiness(self) -> dict[int, np.ndarray]:
        """What was asked for: (H, W) uint8, 0 to LEVELS."""
        return self._window.measured if self._window is not None else {}

    def background(self) -> np.ndarray:
        """(H, W, 3) uint8 of the frames up to this one."""
        return self._counts.image(self.palette, self._kind)

    def _observe(self) -> None:
        if self._reader is not None:
            self.objects = self._reader.read(self._ale.getRAM())
        if self._window is not None:
            self._window.add(self.screen(), self.episode)
        if self._trail.maxlen:
            if len(self._trail) == self._trail.maxlen:
                self._counts.remove(self._trail.popleft())
            self._trail.append(self.screen()[None].copy())
            self._counts.add(self._trail[-1])


def _flat(found: list[tuple[np.ndarray, list[str]]]) -> FrameBoxes:
    names = [name for _, names in found for name in names]
    counts = np.array([len(boxes) for boxes, _ in found])
    return FrameBoxes.of(np.concatenate([boxes for boxes, _ in found]), counts, np.array(names, np.str_))
