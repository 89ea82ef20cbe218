"""Who plays: random, sticky-random, agents and mixes; what a mix records, and what is refused."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.config import ConfigError, DataConfig
from spacetime_env.data.meta import DatasetError, read_meta
from spacetime_env.data.players import (
    MixedPolicy,
    Player,
    RandomPolicy,
    StickyRandomPolicy,
    part_for,
    parts_of,
    policy_for,
    shares,
)
from spacetime_env.data.playing import record_shard
from spacetime_env.data.recorder import record
from spacetime_env.data.split import open_split

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "agents" / "pong-ppo"
# 5 stacks of 2 frames, in files of 1.
TINY = DataConfig(size=5, eval_size=5, length=2, shard_size=1, gap=3, warmup=20, workers=1)


def mix() -> MixedPolicy:
    return MixedPolicy([RandomPolicy(), StickyRandomPolicy()])


def written(root: Path, player: Player, **changes: Any) -> Path:
    config = dataclasses.replace(TINY, root=str(root), **changes)
    return record("Pong", "train", player, config, labels=False, progress=False)


def actions(policy: RandomPolicy, seed: int, steps: int, count: int = 3) -> np.ndarray:
    env: Any = SimpleNamespace(action_space=gym.spaces.Discrete(count))
    policy.reset(seed)
    return np.array([policy.act(env, None) for _ in range(steps)])


# Sticky-random


def test_sticky_random_holds_an_action_for_eight_steps_on_average() -> None:
    found = actions(StickyRandomPolicy(), 0, 40_000, 6)
    changes = np.mean(found[1:] != found[:-1])
    assert 0.09 < changes < 0.12  # a draw each 8 steps, which gives another action in 5 of 6 cases: 0.104
    assert np.bincount(found).min() > 40_000 / 6 * 0.85 and found.max() == 5
    assert np.mean(np.diff(actions(StickyRandomPolicy(1), 0, 6000, 6)) != 0) > 0.8  # a hold of 1 is random: 5 of 6


def test_sticky_random_travels_further() -> None:
    """The squared way of a walk (left, stay, right) grows by 2 * 8 - 1 = 15 times; less at the start."""

    def squared(policy: RandomPolicy) -> float:
        return float(np.mean([(actions(policy, seed, 200) - 1).sum() ** 2 for seed in range(300)]))

    random, sticky = squared(RandomPolicy()), squared(StickyRandomPolicy())
    assert 100 < random < 170  # 200 * 2 / 3 = 133
    assert 9 < sticky / random < 20


def test_sticky_random_starts_anew_with_each_shard() -> None:
    policy = StickyRandomPolicy()
    first = actions(policy, 3, 50)
    assert (actions(policy, 3, 50) == first).all() and (actions(policy, 4, 50) != first).any()
    assert policy.fingerprint == "hold 8" != StickyRandomPolicy(4.5).fingerprint
    with pytest.raises(ConfigError, match=r"expected a mean of 1 step or more, got 0\.5"):
        StickyRandomPolicy(0.5)


# Mixes


def test_parts_take_turns() -> None:
    player = mix()
    assert [part_for(player, shard).name for shard in range(5)] == ["random", "sticky-random"] * 2 + ["random"]
    alone = RandomPolicy()
    assert parts_of(alone) == (alone,) and part_for(alone, 7) is alone
    assert (player.name, player.fingerprint) == ("random+sticky-random", "random; sticky-random hold 8")
    assert shares("a+b+c", [64, 64, 64, 8]) == {"a": (2, 72), "b": (1, 64), "c": (1, 64)}
    assert shares("random", [64, 8]) == {"random": (2, 72)}


def test_a_mix_is_recorded_by_its_parts(tmp_path: Path) -> None:
    folder = written(tmp_path, mix())
    assert folder.name == "train-random+sticky-random"
    split = open_split(folder)
    assert (split.meta.agent, split.meta.agent_version) == ("random+sticky-random", "random; sticky-random hold 8")
    parts = [RandomPolicy(), StickyRandomPolicy()]
    for i, shard in enumerate(split.shards()):
        mine, other = (record_shard(split.meta, i, parts[(i + turn) % 2]) for turn in (0, 1))
        assert (shard.ids == mine.ids).all() and (shard.steps == mine.steps).all()
        assert (mine.ids != other.ids).any()


def test_a_mix_depends_on_neither_workers_nor_interruption(tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    folder = written(tmp_path / "one", mix())
    assert contents(written(tmp_path / "two", mix(), workers=2)) == contents(folder)
    cut = Path(shutil.copytree(folder, tmp_path / "cut" / "Pong" / folder.name))
    for name in ("frames-00002.npz", "frames-00003.npz", "index.yaml", "motion-00002.npz"):
        (cut / name).unlink()
    assert contents(written(tmp_path / "cut", mix())) == contents(folder)
    faster = StickyRandomPolicy(5)
    faster.name = StickyRandomPolicy.name  # else it has a folder of its own
    other = MixedPolicy([RandomPolicy(), faster])
    with pytest.raises(DatasetError, match=r"agent_version: '.*sticky-random hold 8' then, '.*hold 5' now"):
        written(tmp_path / "cut", other)


def test_an_agent_in_a_mix(tmp_path: Path) -> None:
    player = policy_for(f"sticky-random+{AGENT}")
    assert player.name == "sticky-random+pong-ppo"
    agent = parts_of(player)[1]
    sha256: str = agent.fingerprint  # type: ignore[attr-defined]
    assert len(sha256) == 64 and player.fingerprint == f"sticky-random hold 8; pong-ppo {sha256}"  # type: ignore[union-attr]
    folder = written(tmp_path, player, size=2)
    found = [open_split(folder).shard(i).ids for i in (0, 1)]
    meta = read_meta(folder)
    assert (found[0] == record_shard(meta, 0, StickyRandomPolicy()).ids).all()
    assert (found[1] == record_shard(meta, 1, policy_for("pong-ppo")).ids).all()
    assert pickle.loads(pickle.dumps(player)).name == player.name  # as it goes to a worker process


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([RandomPolicy()], "two policies or more to mix, got 1"),
        ([RandomPolicy(), RandomPolicy()], r"'random\+random' has 'random' twice"),
        ([RandomPolicy(), mix()], r"'random\+sticky-random' has a \+ in its name"),
    ],
)
def test_mixes_that_are_none(parts: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MixedPolicy(parts)


def test_a_name_that_reads_as_a_mix(tmp_path: Path) -> None:
    class Joined(RandomPolicy):
        name = "a+b"

    with pytest.raises(ConfigError, match=r"'a\+b' has a \+ in its name, .*rename"):
        written(tmp_path, Joined())


def test_a_mix_of_more_parts_than_shards(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has 2 parts .*5 stacks in files of 5 are 1\. Lower data\.shard_size"):
        written(tmp_path, mix(), shard_size=5)
    assert not list(tmp_path.rglob("*.npz"))


def test_parts_of_another_game(tmp_path: Path) -> None:
    class Quick(RandomPolicy):
        name = "quick"

        def make_env(self, game: str) -> gym.Env:
            return gym.make(f"ALE/{game}-v5", obs_type="ram", frameskip=2, disable_env_checker=True)

    with pytest.raises(DatasetError, match=r"quick plays another game.*\(210, 160\), 2, 0\.25, None, None\)"):
        written(tmp_path, MixedPolicy([RandomPolicy(), Quick()]))


# data.agent


def test_what_data_agent_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(policy_for("random")) is RandomPolicy
    assert type(policy_for("sticky-random")) is StickyRandomPolicy
    found = policy_for("sticky-random + random")
    assert [type(part) for part in parts_of(found)] == [StickyRandomPolicy, RandomPolicy]
    assert policy_for("pong-ppo").name == policy_for(str(AGENT)).name == "pong-ppo"
    c = tmp_path / "c++"  # a folder that is there is not taken for a mix
    shutil.copytree(AGENT, c / "pong-ppo")
    assert policy_for(str(c / "pong-ppo")).name == "pong-ppo"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("stcky-random", r"no agent 'stcky-random': .*pong-ppo\). random, sticky-random, held are .*'sticky-random'\?"),
        ("random+pong-ppoo", r"no agent 'pong-ppoo': .*Did you mean 'pong-ppo'\?"),
        ("random+random", "has 'random' twice"),
        (f"pong-ppo+{AGENT}", "has 'pong-ppo' twice"),
        ("", "name of a policy, got an empty one"),
        ("random+", "name of a policy, got an empty one"),
        (f"sticky-random-{'9' * 5000}", "no agent 'sticky-random-9"),
        ("+".join(["random"] * 1000), "the mix 'random.* has 'random' twice"),
        ("random++sticky-random", "name of a policy, got an empty one"),
    ],
)
def test_what_it_cannot_ask_for(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.eval_agent: .*{message}") as caught:
        policy_for(word, "data.eval_agent")
    assert len(str(caught.value)) < 700


def test_sticky_random_says_for_how_long() -> None:
    policy = policy_for("sticky-random-3")
    assert isinstance(policy, StickyRandomPolicy) and (policy.hold, policy.name) == (3, "sticky-random-3")
    assert policy_for("sticky-random").name == "sticky-random"
    assert policy_for("sticky-random-2+sticky-random").name == "sticky-random-2+sticky-random"
    with pytest.raises(ConfigError, match="1 step or more"):
        policy_for("sticky-random-0")
    with pytest.raises(ConfigError, match="twice"):
        policy_for("sticky-random-8+sticky-random")


def test_held_is_for_tests_alone(tmp_path: Path) -> None:
    """An action is held for 4 to 30 steps, and half of the time FIRE is in it."""
    policy = policy_for("held")
    env = policy.make_env("Boxing")
    policy.reset(3)
    actions = [int(policy.act(env, None)) for _ in range(20_000)]
    changes = np.flatnonzero(np.diff(actions)) + 1
    lengths = np.diff(changes)
    assert lengths.min() >= 4 and 15 < lengths.mean() < 21
    names = env.unwrapped.get_action_meanings()
    assert sum("FIRE" in name for name in names) == 9  # of 18
    firing = np.mean(["FIRE" in names[action] for action in actions])
    assert 0.7 < firing < 0.8  # a half, and a half of the rest
    policy.reset(3)
    assert [int(policy.act(env, None)) for _ in range(50)] == actions[:50]
    config = DataConfig(root=str(tmp_path))
    for agent in ("held", "random+held"):
        with pytest.raises(ConfigError, match="the policy held plays for tests alone: record a training split"):
            record("Boxing", "train", policy_for(agent), config)
    assert not (tmp_path / "Boxing").exists()
