"""Training, first part: recorded frames, and what moves in them.

In: a game and who plays it. Out: a split on disk, which :func:`open_split` opens as a :class:`Split`: frames,
background, labels, and motion targets (:mod:`spacetime_env.data.motion`).

>>> folder = record("Pong", "train", RandomPolicy(), DataConfig(size=64))          # doctest: +SKIP
>>> split = open_split(folder)                                                      # doctest: +SKIP
>>> frames = split.small((128, 128))              # (stacks, T, 128, 128, 3) uint8  # doctest: +SKIP
>>> z_pres, z_where = split.targets(16)           # (stacks, T, 256, 1 or 4)        # doctest: +SKIP

A split consists of stacks, each of T consecutive frames. By default a random number of steps is played between two
stacks, each shard starts at a random step, and its stacks are shuffled. :mod:`spacetime_env.data.shards` describes the
files.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

_CONTENTS = {
    "SPLITS": "playing",
    "DatasetError": "meta",
    "FrameBoxes": "shards",
    "LabelsError": "labels",
    "MixedPolicy": "players",
    "Policy": "players",
    "RandomPolicy": "players",
    "Recording": "recording",
    "Shard": "shards",
    "Split": "split",
    "SplitMeta": "meta",
    "StickyRandomPolicy": "players",
    "open_split": "split",
    "policy_for": "players",
    "read_meta": "meta",
    "record": "recorder",
    "seed_for": "playing",
    "split_folder": "recorder",
}

__all__ = [*_CONTENTS]


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
