"""``meta.yaml``: the content of a split and how it was played. Settings are checked before anything is played."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spacetime_env.config import (
    ConfigError,
    DataConfig,
    MotionConfig,
    Scope,
    differences,
    from_dict,
    to_dict,
)
from spacetime_env.config.tree import in_range, range_of, require_plain, require_ranges
from spacetime_env.files import FileError, shown, shown_path, shown_text, write_atomically
from spacetime_env.files import read_yaml as read_tree

FORMAT = 1
META, INDEX = "meta.yaml", "index.yaml"
MOST_BYTES = 1 << 31  # of the arrays of one file
LABEL_BYTES = 16 + 4 * 64  # of a label: its box, and a name of 64 letters


class DatasetError(ValueError):
    """A split that cannot be recorded, saved or read; the message says why and what to do."""


@dataclass(frozen=True)
class SplitMeta:
    """The content of ``meta.yaml``."""

    game: str  # "Pong"
    split: str  # "train", "validation", "test"
    agent: str  # name of the policy: "random", that of an agent's folder, or of a mix those of its parts joined by +
    agent_version: str  # the policy's fingerprint; "" for random
    seed: int
    size: int = field(metadata=in_range(1, 10**7))  # stacks
    length: int = field(metadata=range_of(DataConfig, "length"))  # T, frames in a stack
    shard_size: int = field(metadata=range_of(DataConfig, "shard_size"))  # stacks in a file
    order: str  # "random" or "sequential"
    gap: int = field(metadata=range_of(DataConfig, "gap"))  # mean number of steps between two stacks
    warmup: int = field(metadata=range_of(DataConfig, "warmup"))  # a shard first plays up to this many steps
    native: tuple[int, int] = field(metadata=in_range(1, 2048))  # H, W of the frames
    frameskip: int = field(metadata=in_range(0, 10**4))  # ALE frames in a step
    sticky: float = field(metadata=in_range(0, 1))  # ALE's repeat_action_probability
    trail: str  # the background stored with each stack, such as "mode of 64"; "": none is stored
    labels: bool  # ground-truth boxes are stored
    # Steadiness is measured over this many steps before and after a frame; 0: it is not stored.
    window: int = field(default=0, metadata=in_range(0, 10**6))
    # 2: the emulator's frame before each frame is stored too.
    subframes: int = field(default=1, metadata=range_of(DataConfig, "subframes"))
    classes: tuple[str, ...] = ()  # names that the labels can have
    mode: int | None = None  # of the game; None: its default
    difficulty: int | None = None  # likewise
    package: str = ""  # version of spacetime_env
    ale: str = ""  # version of ale_py
    format: int = FORMAT

    def __post_init__(self) -> None:
        require_ranges(self)
        if not re.fullmatch(r"|\w{1,20} of \d{1,9}", self.trail):
            raise ConfigError(f"trail: expected such as 'mode of 64', or '' for none, got {shown(self.trail)}.")
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
            motion |= {"extent": "trail", "background": kind, "trail": int(frames)}
        if self.window:
            motion |= {"foreground": "rarity", "rarity": {"window": self.window}}
        return {"game": self.game, "data": data, "motion": motion}

    def differences(self, other: SplitMeta) -> list[str]:
        """What makes the frames of two splits different, in words. Versions and the classes of labels do not count."""
        facts = ("split", "agent_version", "native", "frameskip", "sticky", "labels", "mode", "difficulty", "format")
        one, two = (meta.settings() | {name: getattr(meta, name) for name in facts} for meta in (self, other))
        return differences(one, two, Scope.RECORDING)


def read_meta(folder: Path) -> SplitMeta:
    """Read ``meta.yaml`` of a split's folder.

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
    """Write ``meta.yaml``, without mode and difficulty if they are the game's default. Raises as :func:`save` does."""
    tree = {key: value for key, value in to_dict(meta).items() if value is not None}
    save(folder / META, yaml.safe_dump(tree, sort_keys=False).encode())


def read_yaml(path: Path, missing: str, damaged: str, limit: int = 1 << 20, nodes: int = 20_000) -> Any:
    """Parse a YAML file of at most ``limit`` bytes and ``nodes`` values.

    Args:
        missing, damaged: what to do if the file is missing or damaged, for the message.

    Raises:
        DatasetError: it cannot be read or parsed.
    """
    try:
        return read_tree(path, limit, nodes)
    except FileNotFoundError:
        raise DatasetError(f"no file {shown_path(path)}. {shown_text(missing, 1000)}") from None
    except FileError as error:
        raise DatasetError(f"{error} {shown_text(damaged, 1000)}") from None


def save(path: Path, data: bytes) -> None:
    """Write a file in one step; an older file of that name stays until the new one is safe on disk.

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


def trail_of(motion: MotionConfig) -> str:
    """The background that is stored with each stack, such as ``mode of 64``; "" if none is."""
    return f"{motion.background} of {motion.trail}" if motion.extent == "trail" else ""


def require_same_settings(folder: Path, asked: SplitMeta) -> SplitMeta:
    """Read ``meta.yaml`` of a split that is to be continued.

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
        f"{folder} was recorded with other settings: {shown_text('; '.join(wrong), 1000)}. Ask for the same, delete "
        "the folder, or give another one with data.root=FOLDER (--data-root)."
    )
