"""Recorded data: :func:`record` makes a split, :func:`open_split` reads it.

>>> folder = record("Pong", "train", RandomPolicy(), DataConfig(size=64))          # doctest: +SKIP
>>> split = open_split(folder)                                                      # doctest: +SKIP
>>> frames = split.small((128, 128))              # (stacks, T, 128, 128, 3) uint8  # doctest: +SKIP
>>> z_pres, z_where = split.targets(16)           # (stacks, T, 256, 1 or 4)        # doctest: +SKIP

Stacks come in random order. Each is T consecutive frames; between two of them a random number of steps is
played; each shard starts at a random step and shuffles its stacks. :mod:`spacetime_env.data.shards` has the files.
"""

from __future__ import annotations

from pathlib import Path

from spacetime_env.config import DataConfig, MotionConfig
from spacetime_env.data import shards
from spacetime_env.data.players import MixedPolicy, Player, Policy, RandomPolicy, StickyRandomPolicy, policy_for
from spacetime_env.data.recorder import SPLITS, record_frames, seed_for, split_folder
from spacetime_env.data.shards import DatasetError, FrameBoxes, SplitMeta
from spacetime_env.data.split import Split
from spacetime_env.games import canonical

__all__ = [
    "SPLITS",
    "DatasetError",
    "FrameBoxes",
    "MixedPolicy",
    "Policy",
    "RandomPolicy",
    "Split",
    "SplitMeta",
    "StickyRandomPolicy",
    "open_split",
    "policy_for",
    "record",
    "seed_for",
    "split_folder",
]


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
) -> Path:
    """Record a split, or what is missing of it, and its motion; does nothing if all is there.

    Args:
        game: any name of a game that :func:`spacetime_env.games.canonical` knows.
        split: ``"train"`` (``config.size`` stacks), ``"validation"`` or ``"test"`` (``config.eval_size``).
        policy: what plays; :func:`policy_for` makes one of ``data.agent``.
        motion: the published targets where ``None``.
        labels: store ground-truth boxes (needs OCAtari); ``None``: for validation and test.
        progress: show a bar.
        subframes: of the motion that is prepared, see :func:`open_split`.
        prepare: make the motion too; else it is made when it is first asked for.

    Returns:
        The split's folder, ``<root>/<Game>/<split>-<policy name>``.

    Raises:
        UnknownGameError: no such game.
        LabelsError: OCAtari is missing or does not know the game.
        DatasetError: the folder has other settings or damaged files, the disk is full, or ``subframes`` is more than
            ``config.subframes`` records.
    """
    motion = motion or MotionConfig()
    if subframes > 1 and config.subframes == 1:  # say so before anything is played
        raise DatasetError(
            f"model.subframes={subframes} needs the emulator's frame before each, and data.subframes is 1: "
            "set data.subframes=2."
        )
    folder = record_frames(
        game, split, policy, config, motion, split != "train" if labels is None else labels, progress
    )
    if prepare:
        open_split(folder, motion=motion, subframes=subframes).prepare()
    return folder


def open_split(
    path: str | Path, game: str | None = None, motion: MotionConfig | None = None, subframes: int = 1
) -> Split:
    """Open a complete split; its frames are read, and checked, when they are asked for.

    Args:
        path: the folder.
        game: the game it must be of; ``None``: any.
        motion: how motion becomes targets; the published way where ``None``.
        subframes: 2: frames, and what moves in them, of the last two frames of the emulator, as a model with
            ``model.subframes: 2`` sees them.

    Raises:
        DatasetError: no split there, not complete, of another game, or without the trail, the steadiness or the
            frames before that are asked for.
    """
    path, motion = Path(path), motion or MotionConfig()
    meta = shards.read_meta(path)
    if game is not None and canonical(game) != meta.game:
        raise DatasetError(f"{path} holds {meta.game}, and {canonical(game)} is asked for.")
    index = shards.read_index(path)
    names = [meta.shard_name(i) for i in range(meta.shards)]
    there = sum((path / name).exists() for name in names)
    if set(index) != set(names) or there < len(names):
        raise DatasetError(
            f"{path} is not complete: {there} of {meta.shards} files are there. "
            "Run create_dataset.py again with the same settings; it records only what is missing."
        )
    wanted = f"{motion.background} of {motion.trail}"
    if motion.extent == "trail" and meta.trail != wanted:
        raise DatasetError(
            f"motion.extent=trail needs the {wanted} frames before each stack, and {path} has "
            f"{meta.trail or 'none'}: record it again into another folder, or use motion.extent=set."
        )
    if motion.foreground == "rarity" and meta.window != motion.rarity.window:
        raise DatasetError(
            f"motion.foreground=rarity needs what {motion.rarity.window} steps before and after each frame showed, "
            f"and {path} was recorded with {meta.window or 'none'}: delete it or give another folder with data.root, "
            "and record it again."
        )
    if subframes > meta.subframes:
        raise DatasetError(
            f"model.subframes={subframes} needs the emulator's frame before each, and {path} was recorded without: "
            "delete it or give another folder with data.root, and record it again with data.subframes=2."
        )
    return Split(path, meta, index, motion, subframes)
