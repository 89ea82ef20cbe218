"""Playing one shard: stacks of consecutive frames, with labels, backgrounds and steadiness.

A shard depends only on the settings and its number: it has a seed, an environment and episodes of its own.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, cast

import numpy as np

from spacetime_env.data.labels import RamObjects
from spacetime_env.data.meta import DatasetError, SplitMeta
from spacetime_env.data.motion import ColorCounts, Window
from spacetime_env.data.players import Player, Policy, part_for
from spacetime_env.data.shards import FrameBoxes, Shard
from spacetime_env.envs.emulator import keep_subframes

SPLITS = ("train", "validation", "test")
TRIES = 1000  # to get a stack that lies within one episode


def seed_for(split: str, seed: int, shard: int) -> int:
    """The seed of a shard, 0 to 2**31 - 1. Two splits have no seed in common, nor have two shards of a split.

    Raises:
        DatasetError: no such split, or a negative seed.
    """
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; expected one of {', '.join(SPLITS)}.")
    if seed < 0:
        raise DatasetError(f"expected a seed of 0 or more, got {seed}.")
    # The remainder of a division by 3 is the split; the shards of a split count up from a start drawn from the seed.
    start = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return (start + shard) % (2**31 // 3) * 3 + SPLITS.index(split)


def record_shard(meta: SplitMeta, shard: int, policy: Player) -> Shard:
    """Play one shard. A mix of policies plays it with the part whose turn it is.

    Args:
        shard: its number.

    Raises:
        DatasetError: the game's episodes are too short for a stack.
        LabelsError: ``meta.labels`` is set, and the ground truth cannot be read.
    """
    count, length, (height, width) = meta.shard_stacks(shard), meta.length, meta.native
    seed = seed_for(meta.split, meta.seed, shard)
    rng = np.random.default_rng([seed, 1])
    game = _Game(meta, part_for(policy, shard), seed)
    random = meta.order == "random"
    ids = np.empty((count, length, height, width), np.uint8)
    episodes, steps = np.empty(count, np.int32), np.empty((count, length), np.int32)
    before = np.empty_like(ids) if meta.subframes > 1 else None
    labels: list[tuple[np.ndarray, list[str]]] = []
    backgrounds, numbers = [], []
    game.fill_trail()
    if random:
        game.advance(int(rng.integers(meta.warmup + 1)))
    for i in range(count):
        if random:
            game.advance(int(rng.integers(2 * meta.gap + 1)))
        for _ in range(TRIES):
            found, asked = [], []
            background = game.background() if meta.trail else None
            for t in range(length):
                ids[i, t], steps[i, t] = game.screen(), game.step
                found.append(game.objects)
                if before is not None:
                    before[i, t] = game.screen_before()
                asked.append(game.request_steadiness())
                # Also after the last frame, so that the next stack begins with another frame.
                if not game.advance(1) and t < length - 1:
                    break  # the episode ended: play the stack again, since it must lie within one
            else:
                break
        else:
            raise DatasetError(
                f"no stack of {length} frames in {TRIES} tries: the episodes of {meta.game} end before. "
                "Ask for shorter stacks with --length (data.length)."
            )
        episodes[i] = game.episode_before
        labels += found
        backgrounds.append(background)
        numbers.append(asked)
    order = rng.permutation(count) if random else np.arange(count)
    boxes = _flat([labels[i * length + t] for i in order for t in range(length)]) if meta.labels else None
    trails = np.stack([backgrounds[i] for i in order]) if meta.trail else None
    steady = None
    if meta.window:
        game.advance(meta.window)  # the steadiness of the last frames needs the steps after them
        steady = np.array([[game.steadiness[number] for number in numbers[i]] for i in order])
    earlier = before[order] if before is not None else None
    return Shard(ids[order], game.palette, episodes[order], steps[order], boxes, trails, steady, earlier)


class _Game:
    """One environment, played step by step by one policy."""

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

    def advance(self, steps: int) -> bool:
        """Play some steps; False if an episode ended meanwhile, and another one began."""
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
        """Play until the trail has its full length."""
        self.advance(self._trail.maxlen or 0)

    def screen(self) -> np.ndarray:
        """The frame: (H, W) uint8 palette ids."""
        ids = self._ale.getScreen()
        if not self._known[ids].all():
            self.palette[ids] = self._ale.getScreenRGB()
            self._known[ids] = True
        return ids

    def screen_before(self) -> np.ndarray:
        """The emulator's frame before: (H, W) uint8 palette ids."""
        assert self._subframes is not None
        ids = self._subframes.before_ids
        # ALE gives the colours only of the frame on the screen. Ids whose colour is not known yet are replaced.
        return np.where(self._known[ids], ids, self.screen()) if not self._known[ids].all() else ids

    def request_steadiness(self) -> int:
        """Ask for the steadiness of this frame; returns its key in :attr:`steadiness`, valid ``window`` steps later."""
        return self._window.ask() if self._window is not None else -1

    @property
    def steadiness(self) -> dict[int, np.ndarray]:
        """The steadiness of the requested frames: (H, W) uint8, 0 to LEVELS."""
        return self._window.measured if self._window is not None else {}

    def background(self) -> np.ndarray:
        """The background of the trail, up to this frame: (H, W, 3) uint8 RGB."""
        return self._counts.image(self.palette, self._kind)

    def _observe(self) -> None:
        """Take the new frame into the labels, the steadiness and the trail."""
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
    """Boxes and names of each frame, as one :class:`FrameBoxes`."""
    names = [name for _, names in found for name in names]
    counts = np.array([len(boxes) for boxes, _ in found])
    return FrameBoxes.of(np.concatenate([boxes for boxes, _ in found]), counts, np.array(names, np.str_))
