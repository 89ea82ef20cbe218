"""``meta.yaml``: what a split holds and how it was played, checked before anything is played."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ale_py
import yaml

from spacetime_env import __version__
from spacetime_env.config import (
    ConfigError,
    DataConfig,
    MotionConfig,
    Scope,
    differences,
    from_dict,
    to_dict,
)
from spacetime_env.config.tree import in_range, require_plain, require_ranges
from spacetime_env.data.players import MixedPolicy, Player, Policy, parts_of, require_name
from spacetime_env.files import FileError, shown, write_atomically
from spacetime_env.files import read_yaml as read_tree

FORMAT = 1
META, INDEX = "meta.yaml", "index.yaml"
MOST_BYTES = 1 << 31  # of the arrays of one file
LABEL_BYTES = 16 + 4 * 64  # of a label: its box, and a name of 64 letters


class DatasetError(ValueError):
    """A split that cannot be recorded, saved or read; the message says why and what to do."""


@dataclass(frozen=True)
class SplitMeta:
    """``meta.yaml``: what a split holds and how it was played."""

    game: str  # "Pong"
    split: str  # "train", "validation", "test"
    agent: str  # "random", the name of the agent's folder, or of a mix its parts' joined by +
    agent_version: str  # the policy's fingerprint; "" for random
    seed: int
    size: int = field(metadata=in_range(1, 10**7))  # stacks
    length: int = field(metadata=in_range(1, 10**4))  # T
    shard_size: int = field(metadata=in_range(1, 10**6))
    order: str  # "random" or "sequential"
    gap: int = field(metadata=in_range(0, 10**9))
    warmup: int = field(metadata=in_range(0, 10**9))
    native: tuple[int, int] = field(metadata=in_range(1, 2048))  # H, W
    frameskip: int = field(metadata=in_range(0, 10**4))  # ALE frames a step
    sticky: float = field(metadata=in_range(0, 1))  # ALE's repeat_action_probability
    trail: str  # the background stored with each stack, such as "mode of 64"; "": none is
    labels: bool
    # Steps before and after a frame that its steadiness was measured over; 0: it was not.
    window: int = field(default=0, metadata=in_range(0, 10**6))
    # 2: the emulator's frame before each is there too.
    subframes: int = field(default=1, metadata=in_range(1, 2))
    classes: tuple[str, ...] = ()  # that the labels can name
    package: str = ""  # version of spacetime_env
    ale: str = ""  # version of ale_py
    format: int = FORMAT

    def __post_init__(self) -> None:
        require_ranges(self)
        for name in ("game", "split", "agent"):  # they become folders
            require_plain(getattr(self, name), name)
        if self.shard_bytes(0) > MOST_BYTES:
            raise ConfigError(
                f"shard_size: {self.shard_stacks(0)} stacks of {self.length} frames of {self.native[0]} x "
                f"{self.native[1]} pixels take {self.shard_bytes(0):,} bytes; a file has at most {MOST_BYTES:,}."
            )

    @property
    def shards(self) -> int:
        """Number of files."""
        return -(-self.size // self.shard_size)

    def shard_stacks(self, shard: int) -> int:
        """Number of stacks in a file."""
        return min(self.shard_size, self.size - shard * self.shard_size)

    def shard_bytes(self, shard: int) -> int:
        """The most bytes that the arrays of a file take: the frames, and 1000 labels of each."""
        stacks, pixels = self.shard_stacks(shard), self.native[0] * self.native[1]
        of_a_frame = pixels * (1 + (self.window > 0) + (self.subframes - 1)) + 100
        of_a_frame += 1000 * LABEL_BYTES if self.labels else 0
        return stacks * (self.length * of_a_frame + (3 * pixels if self.trail else 0)) + 10_000

    def shard_name(self, shard: int, kind: str = "frames") -> str:
        """``frames-00000.npz``."""
        return f"{kind}-{shard:05d}.npz"

    def settings(self) -> dict[str, Any]:
        """The settings that the split was recorded with, as a part of a config's tree (see :func:`to_dict`)."""
        size = "size" if self.split == "train" else "eval_size"
        agent = {"train": "agent", "validation": "eval_agent"}.get(self.split, "test_agent")
        data = {name: getattr(self, name) for name in ("seed", "length", "shard_size", "order", "gap", "warmup")}
        data |= {size: self.size, agent: self.agent, "subframes": self.subframes}
        motion: dict[str, Any] = {"extent": "set", "foreground": "difference"}
        if self.trail:
            kind, _, frames = self.trail.partition(" of ")
            motion |= {"extent": "trail", "background": kind, "trail": int(frames) if frames.isdecimal() else frames}
        if self.window:
            motion |= {"foreground": "rarity", "rarity": {"window": self.window}}
        return {"game": self.game, "data": data, "motion": motion}

    def differences(self, other: SplitMeta) -> list[str]:
        """What makes the frames of two splits different, in words. Versions and the classes of labels do not count."""
        facts = ("split", "agent_version", "native", "frameskip", "sticky", "labels", "format")
        one, two = (meta.settings() | {name: getattr(meta, name) for name in facts} for meta in (self, other))
        return differences(one, two, Scope.RECORDING)


def read_meta(folder: Path) -> SplitMeta:
    """Read ``meta.yaml``.

    Raises:
        DatasetError: it is missing, not YAML, has other keys or is of another format.
    """
    missing = f"{folder} is not a recorded split; create_dataset.py makes one."
    tree = read_yaml(folder / META, missing, f"Delete the folder {folder} and record it again.")
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise DatasetError(
            f"{folder / META}: expected format {FORMAT}, got {shown(found)}. It was written by another version of "
            "spacetime_env: record the split again into another folder."
        )
    try:
        return from_dict(SplitMeta, tree, str(folder / META))
    except ConfigError as error:
        raise DatasetError(f"{error} Record the split again into another folder.") from None


def write_meta(folder: Path, meta: SplitMeta) -> None:
    """Write ``meta.yaml``."""
    save(folder / META, yaml.safe_dump(to_dict(meta), sort_keys=False).encode())


def read_yaml(path: Path, missing: str, damaged: str, limit: int = 1 << 20, nodes: int = 20_000) -> Any:
    """Parse a YAML file of at most ``limit`` bytes and ``nodes`` values.

    Every failure is a :class:`DatasetError` that says what to do.

    Args:
        missing, damaged: what to do where there is no such file, or it cannot be read.
    """
    try:
        return read_tree(path, limit, nodes)
    except FileNotFoundError:
        raise DatasetError(f"no file {path}. {missing}") from None
    except FileError as error:
        raise DatasetError(f"{error} {damaged}") from None


def save(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; an older file of that name stays until the new one is safe on disk.

    Raises:
        DatasetError: the disk is full, or the folder cannot be written to.
    """
    try:
        write_atomically(path, data)
    except OSError as error:
        raise DatasetError(
            f"could not save {path}: {error.strerror}. What was there before is unchanged. Make room or give "
            "another folder, then run the same command again; what is saved already is kept."
        ) from error


def settings_for(
    game: str, split: str, policy: Player, config: DataConfig, motion: MotionConfig, labels: bool
) -> SplitMeta:
    """What was asked for, with what the environment is like; without the classes of the labels.

    Args:
        game: as it stands in ``ALE/<Game>-v5``.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        DatasetError: a setting out of range, a policy without ALE, or a mix that cannot be recorded as one split.
        ConfigError: a policy whose name reads as a mix.
    """
    size = config.size if split == "train" else config.eval_size
    for name in ("length", "shard_size", "workers"):
        if getattr(config, name) < 1:
            raise DatasetError(f"data.{name}: expected 1 or more, got {getattr(config, name)}.")
    for name in ("gap", "warmup"):
        if getattr(config, name) < 0:
            raise DatasetError(f"data.{name}: expected 0 or more, got {getattr(config, name)}.")
    if config.subframes not in (1, 2):
        raise DatasetError(f"data.subframes: expected 1 or 2, got {config.subframes}.")
    if motion.rarity.window < 1:
        raise DatasetError(f"motion.rarity.window: expected 1 or more steps, got {motion.rarity.window}.")
    if size < 1:
        raise DatasetError(f"expected a size of 1 stack or more, got {size}.")
    parts = parts_of(policy)
    shards = -(-size // config.shard_size)
    if len(parts) > shards:
        raise DatasetError(
            f"the mix {policy.name} has {len(parts)} parts and plays a shard each, but {size} stacks in files of "
            f"{config.shard_size} are {shards}. Lower data.shard_size, or ask for more stacks."
        )
    if not isinstance(policy, MixedPolicy):
        require_name(policy.name)
    screens = {part.name: _screen(part, game) for part in parts}
    native, frameskip, sticky = screens[parts[0].name]
    for name, found in screens.items():
        if found != (native, frameskip, sticky):
            raise DatasetError(
                f"{name} plays another game than {parts[0].name}: height and width, frames a step and probability of "
                f"repeated actions are {found} and {(native, frameskip, sticky)}. Record them in splits of their own."
            )
    return SplitMeta(
        game=game,
        split=split,
        agent=policy.name,
        agent_version=getattr(policy, "fingerprint", ""),
        seed=config.seed,
        size=size,
        length=config.length,
        shard_size=config.shard_size,
        order=config.order,
        gap=config.gap,
        warmup=config.warmup,
        native=native,
        frameskip=frameskip,
        sticky=sticky,
        trail=f"{motion.background} of {motion.trail}" if motion.extent == "trail" else "",
        labels=labels,
        window=motion.rarity.window if motion.foreground == "rarity" else 0,
        subframes=config.subframes,
        package=__version__,
        ale=ale_py.__version__,
    )


def _screen(policy: Policy, game: str) -> tuple[tuple[int, int], int, float]:
    """Height and width, ALE frames a step and the probability of repeated actions of a policy's environment."""
    # A copy, so that what the policy loads here does not go to other processes.
    env = copy.copy(policy).make_env(game)
    ale = getattr(env.unwrapped, "ale", None)
    if ale is None:
        raise DatasetError(f"the environment of {policy.name} has no ALE under it; only Atari is recorded.")
    env.reset()
    before = ale.getEpisodeFrameNumber()
    env.step(0)
    height, width = ale.getScreenDims()
    frameskip, sticky = ale.getEpisodeFrameNumber() - before, ale.getFloat("repeat_action_probability")
    env.close()
    return (height, width), frameskip, round(sticky, 6)


def require_same_settings(folder: Path, asked: SplitMeta) -> SplitMeta:
    """``meta.yaml`` of a split that is to be continued.

    Raises:
        DatasetError: it was recorded with other settings than ``asked``.
    """
    there = read_meta(folder)
    wrong = there.differences(asked)
    if wrong:
        raise DatasetError(other_settings(folder, wrong))
    return there


def other_settings(folder: Path, wrong: Sequence[str]) -> str:
    """The sentence on a split that was recorded with other settings.

    Args:
        wrong: as :func:`~spacetime_env.config.differences` gives them.
    """
    return (
        f"{folder} was recorded with other settings: {'; '.join(wrong)}. Ask for the same, delete the folder, or give "
        "another one with data.root=FOLDER (--data-root)."
    )
