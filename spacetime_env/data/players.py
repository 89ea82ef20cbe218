"""What plays while data are recorded: one policy, or several in turn."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env import shipped
from spacetime_env.config import ConfigError

# Mean number of steps for which sticky-random holds an action. Holding m steps on average, a walk travels
# sqrt(2 m - 1) times as far as one that draws anew at each step: about 4 times for 8. That is half a second of play at
# 4 frames a step, time enough to cross a screen; and of the data.gap (24) steps between two stacks it is a third,
# so that stacks still differ.
HOLD = 8.0

PLUS = "+"  # joins the parts of a mix, in settings and in names


class Policy(Protocol):
    """What plays while data are recorded. It goes to other processes, so it can be pickled.

    It may have a ``fingerprint``, text that changes when the policy does: a split is not continued with
    another one.
    """

    @property
    def name(self) -> str:
        """Stands in the name of the split's folder; has no ``+``."""

    def make_env(self, game: str) -> gym.Env:
        """An environment of the game (CamelCase) with ALE underneath: ``env.unwrapped.ale``."""

    def reset(self, seed: int) -> None:
        """Start a shard: from here on the same seed and observations give the same actions."""

    def act(self, env: gym.Env, observation: Any) -> int | np.ndarray:
        """The action to take; an array in an env of continuous actions."""


class RandomPolicy:
    """Every action of the game's minimal set, equally likely."""

    name = "random"

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def make_env(self, game: str) -> gym.Env:
        """``ALE/<game>-v5`` with its defaults; it observes RAM, since no one looks."""
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
        return gym.make(f"ALE/{game}-v5", obs_type="ram", disable_env_checker=True)

    def reset(self, seed: int) -> None:
        """Seed the choice of actions."""
        self._rng = np.random.default_rng(seed)

    def act(self, env: gym.Env, observation: Any) -> int:
        """A random action."""
        return int(self._rng.integers(cast(gym.spaces.Discrete, env.action_space).n))


class StickyRandomPolicy(RandomPolicy):
    """A random action of the minimal set, held for a random number of steps: it gets further than random play.

    Its name is ``sticky-random``, or ``sticky-random-3`` where ``hold`` is 3 and not the usual number.

    Args:
        hold: mean number of steps, 1 or more; the numbers are geometric.

    Raises:
        ConfigError: ``hold`` is less than 1.
    """

    name = "sticky-random"

    def __init__(self, hold: float = HOLD) -> None:
        super().__init__()
        if not hold >= 1:
            raise ConfigError(f"hold: expected a mean of 1 step or more, got {hold}.")
        self.hold = hold
        if hold != HOLD:
            self.name = f"{type(self).name}-{hold:g}"
        self.fingerprint = f"hold {hold:g}"
        self._action, self._left = 0, 0

    def reset(self, seed: int) -> None:
        """Seed the choice of actions and of their lengths."""
        super().reset(seed)
        self._left = 0

    def act(self, env: gym.Env, observation: Any) -> int:
        """The action that is held, or a new one."""
        if not self._left:
            self._action = super().act(env, observation)
            self._left = int(self._rng.geometric(1 / self.hold))
        self._left -= 1
        return self._action


class MixedPolicy:
    """Several policies that take turns, a shard each: shard i is played by part i modulo their number.

    So each part plays as many shards as the others, or one more; and who plays a shard depends on nothing but its
    number, as everything about a shard.

    Attributes:
        parts: two policies or more.
        name: the parts' names, joined by ``+``.
        fingerprint: each part's name and fingerprint.

    Raises:
        ConfigError: fewer than two parts, two of the same name, or a name with ``+`` in it.
    """

    def __init__(self, parts: Sequence[Policy]) -> None:
        self.parts = tuple(parts)
        names = [part.name for part in self.parts]
        if len(names) < 2:
            raise ConfigError(f"expected two policies or more to mix, got {len(names)}.")
        for name in names:
            require_name(name)
            if names.count(name) > 1:
                raise ConfigError(
                    f"the mix {PLUS.join(names)!r} has {name!r} twice. Name each policy once; of two agents whose "
                    "folders have the same name, rename one."
                )
        self.name = PLUS.join(names)
        self.fingerprint = "; ".join(f"{part.name} {getattr(part, 'fingerprint', '')}".strip() for part in self.parts)


Player: TypeAlias = Policy | MixedPolicy  # what a split may be recorded with


def parts_of(player: Player) -> tuple[Policy, ...]:
    """The policies that play: one, or the parts of a mix."""
    return player.parts if isinstance(player, MixedPolicy) else (player,)


def part_for(player: Player, shard: int) -> Policy:
    """The policy that plays a shard."""
    parts = parts_of(player)
    return parts[shard % len(parts)]


def shares(agent: str, stacks: Sequence[int]) -> dict[str, tuple[int, int]]:
    """How much each policy played of a split.

    Args:
        agent: the name of the policy or the mix (``SplitMeta.agent``).
        stacks: number of stacks in each shard.

    Returns:
        name -> shards, stacks.
    """
    names = agent.split(PLUS)
    mine = {name: stacks[turn :: len(names)] for turn, name in enumerate(names)}
    return {name: (len(counts), sum(counts)) for name, counts in mine.items()}


def require_name(name: str) -> None:
    """Refuse the name of a single policy that reads as a mix.

    Raises:
        ConfigError: it has a ``+``.
    """
    if PLUS in name:
        raise ConfigError(
            f"the policy {name!r} has a {PLUS} in its name, which joins the parts of a mix: rename it (of an agent, "
            "rename the folder)."
        )


def policy_for(agent: str, key: str = "data.agent") -> Player:
    """The policy that ``data.agent`` asks for. An agent imports Stable-Baselines3.

    Args:
        agent: ``random``, ``sticky-random``, ``sticky-random-3`` (actions held for 3 steps on average), the name of
            a bundled agent, the folder of one, or several of these joined by ``+``, such as
            ``random+sticky-random+agents/pong-ppo``.
        key: the setting, for messages.

    Raises:
        ConfigError: no such policy, an empty part, or one that is given twice.
        AgentError: the agent's folder is damaged.
    """
    words = [agent] if Path(agent).is_dir() else agent.split(PLUS)  # a path may have a + in it
    try:
        found = [_one(word.strip()) for word in words]
        return MixedPolicy(found) if len(found) > 1 else found[0]
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


def _one(word: str) -> Policy:
    """A policy that is no mix."""
    plain: dict[str, type[RandomPolicy]] = {cls.name: cls for cls in (RandomPolicy, StickyRandomPolicy)}
    if word in plain:
        return plain[word]()
    held = re.fullmatch(rf"{StickyRandomPolicy.name}-(\d+)", word)
    if held:
        return StickyRandomPolicy(int(held[1]))
    others = f"{' and '.join(plain)} are policies too, and {PLUS} joins several, such as {PLUS.join(plain)}."
    if not word:
        raise ConfigError(f"expected the name of a policy, got an empty one. {others}")
    try:
        shipped.find("agents", word, "agent.yaml")
    except shipped.UnknownModelError as error:
        near = difflib.get_close_matches(word, plain, n=1)
        raise ConfigError(f"{error} {others}" + (f" Did you mean {near[0]!r}?" if near else "")) from None
    from spacetime_env.agent import as_policy

    return as_policy(word)
