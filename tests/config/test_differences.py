"""Which settings count for what. The table is that of the lists which there were before settings had scopes."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from spacetime_env.config import Config, MotionConfig, SceneConfig, Schedule, Scope, differences, to_dict
from spacetime_env.config.differences import settings_of
from spacetime_env.config.games import each_game
from spacetime_env.config.scope import declared, setting
from spacetime_env.data import new_split
from spacetime_env.data.meta import DatasetError, SplitMeta
from spacetime_env.data.new_split import settings_for
from spacetime_env.data.players import policy_for
from spacetime_env.training.game_data import data_key
from spacetime_env.training.splits import require_same
from spacetime_env.training.sweep_plan import data_settings

CHECKPOINT, EXAMPLES, ROOT = "a checkpoint", "the examples of a sweep", "the data root of a sweep"
TRAIN, VALIDATION, TEST = "train", "validation", "test"  # a split that is to be continued ...
TRAIN_DONE, VALIDATION_DONE, TEST_DONE = "finished train", "finished validation", "finished test"
BEGUN, DONE = (TRAIN, VALIDATION, TEST), (TRAIN_DONE, VALIDATION_DONE, TEST_DONE)

# Who treats another value as a difference -> settings; "section.*": all of it that no other row names. Where a trail or
# a steadiness is recorded, RECORDED has what counts too.
TABLE: list[tuple[tuple[str, ...], str]] = [
    ((), "name train.eval_every train.save_every train.log_every train.picture_every train.clusters"),
    ((), "train.keep train.threads train.device"),
    ((CHECKPOINT,), "seed loss.* train.* model.*"),
    ((CHECKPOINT, EXAMPLES), "scene.* games motion.*"),
    ((CHECKPOINT, EXAMPLES), "model.frame_size model.rows model.color_order model.subframes model.grid"),
    ((), "model.centers"),
    ((CHECKPOINT, EXAMPLES), "data.pictures"),
    ((EXAMPLES,), "data.root data.workers"),
    ((CHECKPOINT, EXAMPLES, *BEGUN), "game"),
    ((CHECKPOINT, EXAMPLES, TRAIN), "data.agent"),
    ((EXAMPLES, VALIDATION), "data.eval_agent"),
    ((EXAMPLES, TEST), "data.test_agent"),
    ((CHECKPOINT, EXAMPLES, ROOT, TRAIN, TRAIN_DONE), "data.size"),
    ((EXAMPLES, ROOT, VALIDATION, TEST, VALIDATION_DONE, TEST_DONE), "data.eval_size"),
    ((CHECKPOINT, EXAMPLES, ROOT, *BEGUN, *DONE), "data.length data.shard_size data.seed"),
    ((CHECKPOINT, EXAMPLES, ROOT, *BEGUN), "data.order data.gap data.warmup data.subframes"),
    ((CHECKPOINT, EXAMPLES, ROOT, *BEGUN), "motion.extent motion.foreground"),
]
RECORDED: dict[str, tuple[str, ...]] = {
    "motion.background": (ROOT, *BEGUN),
    "motion.trail": (ROOT, *BEGUN),
    "motion.rarity.window": (ROOT, *BEGUN),
}
PLAIN = Config()
RICH = replace(PLAIN, motion=MotionConfig(foreground="rarity", extent="trail"))


@pytest.fixture(autouse=True)
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an environment looks like is not asked for, a thousand times."""
    console = new_split.Console((210, 160), 4, 0.25, None, None)
    monkeypatch.setattr(new_split, "_console", lambda policy, game: console)


def expected(name: str) -> set[str]:
    named = {one: who for who, names in TABLE for one in names.split()}
    found = named.get(name)
    return set(named[f"{name.partition('.')[0]}.*"] if found is None else found)


def leaves(cls: type = Config, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and type of each setting, found without its scope."""
    hints = typing.get_type_hints(cls)
    for one in fields(cls):
        name, hint = f"{path}.{one.name}".lstrip("."), hints[one.name]
        if is_dataclass(hint) and hint is not Schedule:
            yield from leaves(typing.cast(type, hint), name)
        else:
            yield name, hint


def changed(config: Any, name: str, hint: Any) -> Any:
    """The config with another value of one setting."""
    head, _, rest = name.partition(".")
    value = getattr(config, head)
    return replace(config, **{head: changed(value, rest, hint) if rest else other(head, hint, value)})


def other(name: str, hint: Any, value: Any) -> Any:
    if name == "game" or name.endswith("agent"):
        return {"game": "Boxing"}.get(name, "sticky-random")
    if value is None:
        return "x"
    if typing.get_origin(hint) is Literal:
        return next(choice for choice in typing.get_args(hint) if choice != value)
    if isinstance(value, (tuple, dict)):
        return value[:-1] if value else (("A",) if isinstance(value, tuple) else {"A": 1})  # type: ignore[index]
    if isinstance(value, Schedule):
        return replace(value, end=value.end + 1)
    if isinstance(value, float) and value:
        return value / 2  # some lie in [0, 1]
    return value + "x" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1


def meta(config: Config, split: str) -> SplitMeta:
    """What a recording of ``split`` writes down."""
    agent = {TRAIN: config.data.agent, VALIDATION: config.data.eval_agent, TEST: config.data.test_agent or "random"}
    return settings_for(config.game, split, policy_for(agent[split]), config.data, config.motion, labels=False)


def keys(config: Config) -> list[str]:
    """Of each game: what runs that share its examples have in common."""
    return [data_key(own, policy_for(own.data.agent)) for own in each_game(config).values()]


def sees_a_difference(one: Config, two: Config) -> set[str]:
    """Which of the five comparisons do."""
    found = {CHECKPOINT} if differences(to_dict(one), two, Scope.CHECKPOINT) else set()
    found |= {EXAMPLES} if keys(one) != keys(two) else set()
    found |= {ROOT} if data_settings(one) != data_settings(two) else set()
    for split in BEGUN if one.game else ():
        there = meta(one, split)
        found |= {split} if there.differences(meta(two, split)) else set()
        try:
            require_same(SimpleNamespace(meta=there, path="there"), two)  # type: ignore[arg-type]
        except DatasetError:
            found.add(f"finished {split}")
    return found


@pytest.mark.parametrize(("name", "hint"), [pytest.param(*one, id=one[0]) for one in leaves() if one[0] != "games"])
def test_each_setting_counts_where_it_always_did(name: str, hint: Any) -> None:
    assert sees_a_difference(PLAIN, changed(PLAIN, name, hint)) == expected(name)
    rich = expected(name) | set(RECORDED.get(name, ()))
    assert sees_a_difference(RICH, changed(RICH, name, hint)) == rich


def test_scenes_of_several_games_count_as_that_of_one() -> None:
    one = Config(game="", games={"Pong": SceneConfig()})
    assert sees_a_difference(one, replace(one, games={"Pong": SceneConfig(threshold=0.1)})) == expected("games")


def test_the_table_names_no_setting_that_is_not_there() -> None:
    known = {name for name, _ in leaves()} | {f"{name.partition('.')[0]}.*" for name, _ in leaves() if "." in name}
    assert {name for _, names in TABLE for name in names.split()} | set(RECORDED) <= known


@dataclass(frozen=True)
class Part:
    kept: int = setting(1, Scope.CHECKPOINT)
    new: int = 2


@dataclass(frozen=True)
class Whole:
    part: Part = field(default_factory=Part)


def test_every_setting_has_a_scope() -> None:
    """One that is declared without fails here, and in every comparison."""
    assert set(declared(Config)) == {name for name, _ in leaves()}
    with pytest.raises(TypeError, match=r"part\.new has no scope: declare it with setting\(default, scope\)"):
        declared(Whole)


def test_a_dict_is_a_default_of_its_own() -> None:
    one, two = SceneConfig(), SceneConfig()
    assert one.slots == {} and one.slots is not two.slots


def test_a_recording_writes_down_every_setting_that_it_depends_on() -> None:
    recorded: set[str] = set()
    for split in BEGUN:
        recorded |= set(settings_of(meta(RICH, split).settings(), Scope.RECORDING))
    assert recorded == set(settings_of(RICH, Scope.RECORDING))


def test_a_difference_is_named_as_in_yaml() -> None:
    one = Config(motion=MotionConfig(extent="trail"), scene=SceneConfig(slots={"Ball": 1}))
    two = replace(one, data=replace(one.data, size=8, gap=3), scene=SceneConfig(slots={"Ball": 1, "Player": 2}))
    assert differences(one, two, Scope.SPLIT) == ["data.size: 1024 then, 8 now"]
    assert differences(one, two, Scope.RECORDING) == ["data.gap: 24 then, 3 now", "data.size: 1024 then, 8 now"]
    assert "scene.slots.Player: None then, 2 now" in differences(one, two, Scope.CHECKPOINT)
    assert differences(one, PLAIN, Scope.RECORDING) == [
        "motion.background: 'mode' then, None now",
        "motion.extent: 'trail' then, 'set' now",
        "motion.trail: 64 then, None now",
    ]


def test_trees_of_other_versions() -> None:
    """A key that came later and is empty is no difference; one that is gone is."""
    before = {key: value for key, value in to_dict(PLAIN).items() if key != "games"}
    assert differences(before, PLAIN, Scope.CHECKPOINT) == []
    gone = before | {"train": {**before["train"], "warm": 3}}
    assert differences(gone, PLAIN, Scope.CHECKPOINT) == ["train.warm: 3 then, None now"]
    assert differences({**before, "name": "other"}, PLAIN, Scope.CHECKPOINT) == []


def test_a_split_names_what_was_recorded_otherwise() -> None:
    there = meta(RICH, VALIDATION)
    asked = meta(replace(PLAIN, data=replace(PLAIN.data, eval_size=7, eval_agent="sticky-random")), VALIDATION)
    assert there.differences(replace(asked, native=(250, 160))) == [
        "agent_version: '' then, 'hold 8' now",
        "data.eval_agent: 'random' then, 'sticky-random' now",
        "data.eval_size: 256 then, 7 now",
        "motion.background: 'mode' then, None now",
        "motion.extent: 'trail' then, 'set' now",
        "motion.foreground: 'rarity' then, 'difference' now",
        "motion.rarity.window: 48 then, None now",
        "motion.trail: 64 then, None now",
        "native: (210, 160) then, (250, 160) now",
    ]
    assert there.differences(replace(there, package="0", ale="0", classes=("Ball",))) == []
