"""The settings that a new split gets: those of the config, and what the environments of its policies play on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import ale_py

from spacetime_env import __version__
from spacetime_env.config import ConfigError, DataConfig, MotionConfig
from spacetime_env.config.tree import require_ranges
from spacetime_env.data.meta import DatasetError, SplitMeta, trail_of
from spacetime_env.data.players import MixedPolicy, Player, Policy, parts_of, require_name
from spacetime_env.envs.choose_model import variant
from spacetime_env.envs.noop import noop


def settings_for(
    game: str, split: str, policy: Player, config: DataConfig, motion: MotionConfig, labels: bool
) -> SplitMeta:
    """The ``meta.yaml`` of a split that is asked for, without the classes of the labels.

    Args:
        game: as in ``ALE/<Game>-v5``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        policy: the player. Its environment is made once, to ask for the size of the frames.
        labels: with ground-truth boxes.

    Raises:
        DatasetError: a setting out of range, a policy without ALE, or a mix that cannot be recorded as one split.
        ConfigError: a policy whose name reads as a mix.
    """
    size = config.size if split == "train" else config.eval_size
    _require_ranges(config, motion, size)
    parts = parts_of(policy)
    shards = -(-size // config.shard_size)
    if len(parts) > shards:
        raise DatasetError(
            f"the mix {policy.name} has {len(parts)} parts and plays a shard each, but {size} stacks in files of "
            f"{config.shard_size} are {shards}. Lower data.shard_size, or ask for more stacks."
        )
    for part in parts:
        if split == "train" and getattr(part, "tests_only", False):
            raise ConfigError(f"the policy {part.name} plays for tests alone: record a training split with another.")
    if not isinstance(policy, MixedPolicy):
        require_name(policy.name)
    console = _common_console(parts, game)
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
        native=console.native,
        frameskip=console.frameskip,
        sticky=console.sticky,
        mode=console.mode,
        difficulty=console.difficulty,
        trail=trail_of(motion),
        labels=labels,
        window=motion.rarity.window if motion.foreground == "rarity" else 0,
        subframes=config.subframes,
        package=__version__,
        ale=ale_py.__version__,
    )


def _require_ranges(config: DataConfig, motion: MotionConfig, size: int) -> None:
    """Refuse settings out of range; ``size``: stacks of the split."""
    for name, settings in (("data", config), ("motion.rarity", motion.rarity)):
        try:
            require_ranges(settings)
        except ConfigError as error:
            raise DatasetError(f"{name}.{error}") from None
    if size < 1:
        raise DatasetError(f"expected a size of 1 stack or more, got {size}.")


class Console(NamedTuple):
    """What an environment plays on; see :class:`SplitMeta`."""

    native: tuple[int, int]
    frameskip: int
    sticky: float
    mode: int | None
    difficulty: int | None


def _common_console(parts: Sequence[Policy], game: str) -> Console:
    """:func:`_console` of several policies, which must be the same."""
    consoles = {part.name: _console(part, game) for part in parts}
    first = consoles[parts[0].name]
    for name, found in consoles.items():
        if found != first:
            raise DatasetError(
                f"{name} plays another game than {parts[0].name}: height and width, frames a step, probability of "
                f"repeated actions, mode and difficulty are {tuple(found)} and {tuple(first)}. Record them in splits "
                "of their own."
            )
    return first


def _console(policy: Policy, game: str) -> Console:
    """What a policy's environment plays on."""
    # A copy of the policy: what it loads here, such as an agent, is not sent to the recording processes.
    env = copy.copy(policy).make_env(game)
    ale = getattr(env.unwrapped, "ale", None)
    if ale is None:
        raise DatasetError(f"the environment of {policy.name} has no ALE under it; only Atari is recorded.")
    env.reset()
    before = ale.getEpisodeFrameNumber()
    env.step(noop(env.action_space))
    height, width = ale.getScreenDims()
    frameskip, sticky = ale.getEpisodeFrameNumber() - before, ale.getFloat("repeat_action_probability")
    found = Console((height, width), frameskip, round(sticky, 6), *variant(env))
    env.close()
    return found
