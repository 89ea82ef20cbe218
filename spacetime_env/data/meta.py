"""``meta.yaml``: what a split holds and how it was played, checked before anything is played."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
from spacetime_env.data.players import MixedPolicy, Player, Policy, parts_of, require_name
from spacetime_env.envs.choose_model import variant
from spacetime_env.files import write_atomically

FORMAT = 1
META, INDEX = "meta.yaml", "index.yaml"


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
    size: int  # stacks
    length: int  # T
    shard_size: int
    order: str  # "random" or "sequential"
    gap: int
    warmup: int
    native: tuple[int, int]  # H, W
    frameskip: int  # ALE frames a step
    sticky: float  # ALE's repeat_action_probability
    trail: str  # the background stored with each stack, such as "mode of 64"; "": none is
    labels: bool
    window: int = 0  # steps before and after a frame that its steadiness was measured over; 0: it was not
    subframes: int = 1  # 2: the emulator's frame before each is there too
    classes: tuple[str, ...] = ()  # that the labels can name
    mode: int | None = None  # of the game; None: its default
    difficulty: int | None = None  # likewise
    package: str = ""  # version of spacetime_env
    ale: str = ""  # version of ale_py
    format: int = FORMAT

    @property
    def shards(self) -> int:
        """Number of files."""
        return -(-self.size // self.shard_size)

    def shard_stacks(self, shard: int) -> int:
        """Number of stacks in a file."""
        return min(self.shard_size, self.size - shard * self.shard_size)

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
        facts = ("split", "agent_version", "native", "frameskip", "sticky", "labels", "mode", "difficulty", "format")
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
            f"{folder / META}: expected format {FORMAT}, got {found!r}. It was written by another version of "
            "spacetime_env: record the split again into another folder."
        )
    try:
        return from_dict(SplitMeta, tree, str(folder / META))
    except ConfigError as error:
        raise DatasetError(f"{error} Record the split again into another folder.") from None


def write_meta(folder: Path, meta: SplitMeta) -> None:
    """Write ``meta.yaml``. A mode or difficulty that is the game's default is left out."""
    tree = {key: value for key, value in to_dict(meta).items() if value is not None}
    save(folder / META, yaml.safe_dump(tree, sort_keys=False).encode())


def read_yaml(path: Path, missing: str, damaged: str) -> Any:
    """Parse a YAML file; every failure is a :class:`DatasetError` that ends with what to do."""
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise DatasetError(f"no file {path}. {missing}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} is damaged: {error}. {damaged}") from None


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
    first = screens[parts[0].name]
    for name, found in screens.items():
        if found != first:
            raise DatasetError(
                f"{name} plays another game than {parts[0].name}: height and width, frames a step, probability of "
                f"repeated actions, mode and difficulty are {tuple(found)} and {tuple(first)}. Record them in splits "
                "of their own."
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
        native=first.native,
        frameskip=first.frameskip,
        sticky=first.sticky,
        mode=first.mode,
        difficulty=first.difficulty,
        trail=f"{motion.background} of {motion.trail}" if motion.extent == "trail" else "",
        labels=labels,
        window=motion.rarity.window if motion.foreground == "rarity" else 0,
        subframes=config.subframes,
        package=__version__,
        ale=ale_py.__version__,
    )


class Console(NamedTuple):
    """What an environment plays on; see :class:`SplitMeta`."""

    native: tuple[int, int]
    frameskip: int
    sticky: float
    mode: int | None
    difficulty: int | None


def _screen(policy: Policy, game: str) -> Console:
    """What a policy's environment plays on."""
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
    found = Console((height, width), frameskip, round(sticky, 6), *variant(env))
    env.close()
    return found


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
