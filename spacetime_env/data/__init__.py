"""First part of training: frames of a game, recorded to disk, and what moves in them.

In: a game and a :class:`Policy` that plays it. Out: a split on disk. Opened as a :class:`Split` it has frames, a
background, labels if there are any, and motion targets (:mod:`spacetime_env.data.motion`).

>>> folder = record("Pong", "train", RandomPolicy(), DataConfig(size=64))          # doctest: +SKIP
>>> split = open_split(folder)                                                      # doctest: +SKIP
>>> frames = split.small((128, 128))              # (stacks, T, 128, 128, 3) uint8  # doctest: +SKIP
>>> z_pres, z_where = split.targets(16)           # (stacks, T, 256, 1 or 4)        # doctest: +SKIP

A split consists of stacks, each of T consecutive frames. By default a random number of steps is played between two
stacks, each shard starts at a random step, and its stacks are shuffled. :mod:`spacetime_env.data.shards` describes the
files. Of an environment that is no Atari game, :func:`record_env` makes a folder of pictures.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

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
    "record_env": "env_recording",
    "seed_for": "playing",
    "split_folder": "recorder",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
