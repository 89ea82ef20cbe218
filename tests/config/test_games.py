"""Configurations of several games: what is read, what is refused, and what each game's own run is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spacetime_env.config import Config, ConfigError, SceneConfig, from_dict, load_config, to_dict
from spacetime_env.config.games import each_game, run_name
from spacetime_env.games import UnknownGameError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base, the files of two games, and one that asks for both and a third."""
    (tmp_path / "base.yaml").write_text("seed: 3\nscene: {threshold: 0.25}\n")
    (tmp_path / "pong.yaml").write_text(
        "base: base.yaml\ngame: Pong\nseed: 4\nscene: {classes: [Ball], ignore: [[0, 1, 2, 3]]}\n"
    )
    (tmp_path / "qbert.yaml").write_text("game: Qbert\n")
    (tmp_path / "both.yaml").write_text(
        "base: base.yaml\nname: three\nscene: {keep: 7}\n"
        "games: {Qbert: qbert.yaml, Pong: pong.yaml, Boxing: {classes: [Enemy], keep: 8}}\n"
    )
    return tmp_path


def test_scenes_come_from_files_or_stand_there(folder: Path) -> None:
    found = load_config(folder / "both.yaml")
    assert (found.game, found.name, found.seed, found.scene) == ("", "three", 3, SceneConfig())
    assert found.games == {
        "Qbert": SceneConfig(threshold=0.25, keep=7),
        "Pong": SceneConfig(classes=("Ball",), ignore=((0, 1, 2, 3),), threshold=0.25, keep=7),
        "Boxing": SceneConfig(classes=("Enemy",), threshold=0.25, keep=8),
    }
    assert from_dict(Config, to_dict(found)) == found
    # A word on the command line is for all games, or for one.
    asked = load_config(folder / "both.yaml", ["scene.overlap=0.75", "games.Pong.keep=9", "games.Skiing={keep: 1}"])
    assert {name: (one.overlap, one.keep) for name, one in asked.games.items()} == {
        "Qbert": (0.75, 7),
        "Pong": (0.75, 9),
        "Boxing": (0.75, 8),
        "Skiing": (0.75, 1),
    }
    assert load_config(folder / "base.yaml", ["games.Pong=pong.yaml"]).games["Pong"].classes == ("Ball",)


def test_each_game_is_a_run_of_its_own(folder: Path) -> None:
    joint = load_config(folder / "both.yaml")
    found = each_game(joint)
    assert list(found) == ["Boxing", "Pong", "Qbert"]  # whatever the order in the file
    assert found["Pong"] == replace(joint, game="Pong", games={}, scene=joint.games["Pong"])
    assert run_name(joint) == "three" and run_name(replace(joint, name="")) == "joint"
    alone = replace(Config(), game="ALE/Pong-v5")
    assert each_game(alone) == {"Pong": alone} and each_game(alone)["Pong"] is alone
    assert run_name(alone) == "pong"


def test_games_by_other_names() -> None:
    scene = SceneConfig()
    assert list(each_game(Config(game="", games={"space_invaders": scene}))) == ["SpaceInvaders"]
    with pytest.raises(ConfigError, match=r"games: 'pong' is Pong, which is given already"):
        each_game(Config(game="", games={"Pong": scene, "pong": scene}))
    with pytest.raises(UnknownGameError, match=r"no game 'Pongg'.*Did you mean Pong"):
        each_game(Config(game="", games={"Pongg": scene}))


def test_messages_are_cut_where_names_are_long_or_many() -> None:
    scene, long = SceneConfig(), f"po{'_' * 100_000}ng"
    with pytest.raises(ConfigError, match="is Pong, which is given already") as caught:
        each_game(Config(game="", games={"Pong": scene, long: scene}))
    with pytest.raises(ConfigError, match="give one or the other") as many:
        Config(game=long, games={str(i): scene for i in range(10_000)})
    assert len(str(caught.value)) < 300 and len(str(many.value)) < 1500


def test_no_game_is_taken_for_the_game() -> None:
    """Config.game is Pong where nothing is said; of several games it must not be."""
    with pytest.raises(ConfigError, match=r"game is 'Pong', and games are Boxing: give one or the other"):
        Config(games={"Boxing": SceneConfig()})
    with pytest.raises(ConfigError, match="scene: each of several games has a scene of its own"):
        Config(game="", scene=SceneConfig(keep=3), games={"Boxing": SceneConfig()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("game: Pong\ngames: {Boxing: {}}", "game is 'Pong', and games are Boxing"),
        ("games: {Pong: qbert.yaml}", r"games: Pong: qbert\.yaml is not of the game 'Pong'"),
        ("games: {Pong: boxing.yaml}", r"no config file .*boxing\.yaml\. Files beside it: .*pong\.yaml"),
        ("games: {Pong: wrong.yaml}", r"games: wrong\.yaml leads back to itself"),
        ("games: {Pong: both.yaml}", r"games: Pong: both\.yaml is not of the game 'Pong'"),
        ("games: {Pong: {clases: []}}", r"games\.Pong: unknown key 'clases'\. Did you mean 'classes'"),
        ("games: {Pong: 3}", r"games\.Pong: expected keys of SceneConfig, got 3"),
        ("games: [Pong]", r"games: expected name: value pairs, got \['Pong'\]"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, text: str, message: str) -> None:
    path = folder / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_the_shipped_joint_config() -> None:
    config = load_config(CONFIGS / "joint.yaml")
    games = each_game(config)
    assert len(games) == 10 and run_name(config) == "joint"
    for game, one in games.items():
        alone = load_config(CONFIGS / f"{game.lower()}.yaml")
        assert one.scene == alone.scene and one.scene.classes
        # Both can use the same recordings, but for the players and the size of those of `native.yaml`.
        assert one.data == replace(alone.data, agent=one.data.agent, size=one.data.size) and one.motion == alone.motion
        # A model of one game may see its own rows of the screen, and some are of before the default's `both`.
        seen = {key: getattr(one.model, key) for key in ("rows", "frame_size", "encoder")}
        assert one.model == replace(alone.model, **seen)
    # Each batch has the same mixture, and each game is seen as often as in a run of its own.
    assert config.train.batch_size % len(games) == 0
    alone = load_config(CONFIGS / "qbert.yaml")
    seen = config.train.batch_size * config.train.steps / len(games)
    assert seen == alone.train.batch_size * alone.train.steps
