"""The policies that play while data are recorded: one policy, or several in turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import ale_py
import gymnasium as gym
import numpy as np

from spacetime_env import shipped
from spacetime_env.config import ConfigError
from spacetime_env.files import did_you_mean, shown

# Mean number of steps for which sticky-random holds an action. A random walk that holds each action for m steps on
# average goes sqrt(2 m - 1) times as far as one that draws a new action in each step: about 4 times for m = 8. 8 steps
# are half a second at 4 frames a step, enough to cross a screen, and a third of the data.gap (24) steps between two
# stacks, so that stacks still differ.
HOLD = 8.0

HELD = (4, 30)  # fewest and most steps for which `held` holds an action

PLUS = "+"  # joins the parts of a mix, in settings and in names


class Policy(Protocol):
    """A policy that plays while data are recorded. It is sent to other processes, so it must be picklable.

    It may have a ``fingerprint``: text that changes when the policy changes. A split is continued only by a policy of
    the same fingerprint.
    """

    @property
    def name(self) -> str:
        """A part of the name of the split's folder; without ``+``."""

    def make_env(self, game: str) -> gym.Env:
        """An environment of the game (CamelCase name) that has ``env.unwrapped.ale``."""

    def reset(self, seed: int) -> None:
        """Start a shard. The same seed and the same observations give the same actions."""

    def act(self, env: gym.Env, observation: Any) -> int | np.ndarray:
        """The action to take; an array in an env of continuous actions."""


class RandomPolicy:
    """Every action of the game's minimal set, equally likely."""

    name = "random"

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def make_env(self, game: str) -> gym.Env:
        """``ALE/<game>-v5`` with its defaults, but it observes RAM, which is cheaper: observations are not used."""
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
        return gym.make(f"ALE/{game}-v5", obs_type="ram", disable_env_checker=True)

    def reset(self, seed: int) -> None:
        """Seed the choice of actions."""
        self._rng = np.random.default_rng(seed)

    def act(self, env: gym.Env, observation: Any) -> int:
        """A random action."""
        return int(self._rng.integers(cast(gym.spaces.Discrete, env.action_space).n))


class HoldingPolicy(RandomPolicy):
    """An action of the minimal set that is held for some steps; which and for how many is drawn by :meth:`choose`."""

    def __init__(self) -> None:
        super().__init__()
        self._action, self._left = 0, 0

    def reset(self, seed: int) -> None:
        """Seed the choice of actions and of their lengths."""
        super().reset(seed)
        self._left = 0

    def act(self, env: gym.Env, observation: Any) -> int:
        """The action that is held, or a new one."""
        if not self._left:
            self._action, self._left = self.choose(env)
        self._left -= 1
        return self._action

    def choose(self, env: gym.Env) -> tuple[int, int]:
        """Draw an action, and for how many steps it is held."""
        raise NotImplementedError


class StickyRandomPolicy(HoldingPolicy):
    """A random action of the minimal set, held for a random number of steps. It gets further than random play.

    Its name is ``sticky-random``; with another ``hold`` than the default, for example 3, ``sticky-random-3``.

    Args:
        hold: mean number of steps, 1 or more, of a geometric distribution.

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

    def choose(self, env: gym.Env) -> tuple[int, int]:
        """Any action, and a length of a geometric distribution."""
        return RandomPolicy.act(self, env, None), int(self._rng.geometric(1 / self.hold))


class HeldPolicy(HoldingPolicy):
    """Play for tests alone: an action of the minimal set, held for 4 to 30 steps, each as likely; half of them FIRE.

    It gets further than ``sticky-random``, and to other places. No training split can be recorded with it, so that
    frames of it are of a policy that no model learned from.
    """

    name = "held"
    fingerprint = f"{HELD[0]} to {HELD[1]} steps"
    tests_only = True

    def choose(self, env: gym.Env) -> tuple[int, int]:
        """In half of the cases an action with FIRE, and any length from the fewest steps to the most."""
        names = cast(Any, env.unwrapped).get_action_meanings()
        firing = [i for i, name in enumerate(names) if "FIRE" in name]
        some = firing if firing and self._rng.random() < 0.5 else range(len(names))
        return int(self._rng.choice(some)), int(self._rng.integers(HELD[0], HELD[1] + 1))


class MixedPolicy:
    """Several policies that take turns, a shard each: of k parts, part ``i % k`` plays shard i.

    So each part plays as many shards as the others, or one more, and the player of a shard depends only on its number.

    Attributes:
        parts: the policies, two or more.
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
                    f"the mix {shown(PLUS.join(names))} has {shown(name)} twice. Name each policy once; of two agents "
                    "whose folders have the same name, rename one."
                )
        self.name = PLUS.join(names)
        self.fingerprint = "; ".join(f"{part.name} {getattr(part, 'fingerprint', '')}".strip() for part in self.parts)


Player: TypeAlias = Policy | MixedPolicy  # what can record a split


def parts_of(player: Player) -> tuple[Policy, ...]:
    """The policies of a player: itself, or the parts of a mix."""
    return player.parts if isinstance(player, MixedPolicy) else (player,)


def part_for(player: Player, shard: int) -> Policy:
    """The policy that plays a shard."""
    parts = parts_of(player)
    return parts[shard % len(parts)]


def shares(agent: str, stacks: Sequence[int]) -> dict[str, tuple[int, int]]:
    """The part of a split that each policy played.

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
            f"the policy {shown(name)} has a {PLUS} in its name, which joins the parts of a mix: rename it (of an "
            "agent, rename the folder)."
        )


def policy_for(agent: str, key: str = "data.agent") -> Player:
    """The policy, or the mix of policies, that ``data.agent`` names. An agent imports Stable-Baselines3.

    Args:
        agent: ``random``, ``sticky-random``, ``sticky-random-3`` (actions held for 3 steps on average), ``held``
            (for tests), the name of a bundled agent, the folder of one, or several of these joined by ``+``, such as
            ``random+sticky-random+agents/pong-ppo``.
        key: the setting, for messages.

    Raises:
        ConfigError: no such policy, an empty part, or one that is given twice.
        AgentError: the agent's folder is damaged.
    """
    names = [agent] if shipped.is_folder(Path(agent)) else agent.split(PLUS)  # a path may have a + in it
    try:
        found = [_single_policy(name.strip()) for name in names]
        return MixedPolicy(found) if len(found) > 1 else found[0]
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


def _single_policy(name: str) -> Policy:
    """The policy of a name that is no mix."""
    plain: dict[str, type[RandomPolicy]] = {cls.name: cls for cls in (RandomPolicy, StickyRandomPolicy, HeldPolicy)}
    if name in plain:
        return plain[name]()
    held = re.fullmatch(rf"{StickyRandomPolicy.name}-(\d{{1,9}})", name)
    if held:
        return StickyRandomPolicy(int(held[1]))
    first, second, _ = plain
    others = f"{', '.join(plain)} are policies too, and {PLUS} joins several, such as {first}{PLUS}{second}."
    if not name:
        raise ConfigError(f"expected the name of a policy, got an empty one. {others}")
    try:
        shipped.find("agents", name, "agent.yaml")
    except shipped.UnknownModelError as error:
        raise ConfigError(f"{error} {others} {did_you_mean(name, plain)}".rstrip()) from None
    from spacetime_env.agent import as_policy

    return as_policy(name)
