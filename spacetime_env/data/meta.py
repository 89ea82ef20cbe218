"""What a split shall hold: the settings that go into its ``meta.yaml``, checked before anything is played."""

from __future__ import annotations

import copy
from pathlib import Path

import ale_py

from spacetime_env import __version__
from spacetime_env.config import DataConfig, MotionConfig
from spacetime_env.data import shards as store
from spacetime_env.data.players import MixedPolicy, Player, Policy, parts_of, require_name
from spacetime_env.data.shards import DatasetError, SplitMeta


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
    there = store.read_meta(folder)
    differences = there.differences(asked)
    if differences:
        raise DatasetError(
            f"{folder} was recorded with other settings: {'; '.join(differences)}. Ask for the same, delete "
            "the folder, or give another one with --data-root (data.root)."
        )
    return there
