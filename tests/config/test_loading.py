"""Settings: what is read is checked to the last key, and a typo gets the nearest name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spacetime_env.config import (
    Config,
    ConfigError,
    DataConfig,
    ModelConfig,
    SceneConfig,
    Schedule,
    from_dict,
    load_config,
    to_dict,
)
from spacetime_env.config.games import each_game, run_name
from spacetime_env.space import Space
from spacetime_env.training.step import require_settings
from tests.helpers.tiny import CONFIG

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "game.yaml"
    path.write_text(text)
    return path


def test_a_file_names_what_differs(tmp_path: Path) -> None:
    path = write(tmp_path, "game: Boxing\ntrain: {steps: 7, learning_rate: 1e-4}\nscene: {slots: {Ball: 2}}\n")
    found = load_config(path)
    assert (found.game, found.train.steps, found.train.learning_rate) == ("Boxing", 7, 1e-4)
    assert found.scene.slots == {"Ball": 2}
    assert found == replace(
        Config(),
        game="Boxing",
        train=replace(Config().train, steps=7, learning_rate=1e-4),
        scene=SceneConfig(slots={"Ball": 2}),
    )
    assert load_config(write(tmp_path, "")) == Config()


def test_words_go_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 3\ntrain: {steps: 7, batch_size: 2}\n")
    words = [
        "train.steps=9",
        "model.encoder.layers=[[8, 4, 2, 1, 0]]",
        "scene.slots.Ball=2",
        "loss.hint={start: 0.5, end: 0}",
        "name=a=b",
    ]
    found = load_config(path, words)
    assert (found.seed, found.train.steps, found.train.batch_size) == (3, 9, 2)
    assert found.model.encoder.layers == ((8, 4, 2, 1, 0),) and found.model.encoder.lateral is True
    assert found.scene.slots == {"Ball": 2} and found.loss.hint == Schedule(0.5, 0.0) and found.name == "a=b"
    assert load_config(write(tmp_path, "train:\n"), ["train.steps=4"]).train.steps == 4


@pytest.mark.parametrize("config", [Config(), CONFIG])
def test_there_and_back(config: Config) -> None:
    assert from_dict(Config, to_dict(config)) == config
    text = yaml.safe_dump(to_dict(config), sort_keys=False)
    assert from_dict(Config, yaml.safe_load(text)) == config
    assert not {"!!", "tuple"} & set(text.split())


def test_a_base_goes_below_the_file(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("seed: 5\ntrain: {steps: 7, batch_size: 2, threads: 1}\n")
    (tmp_path / "shared.yaml").write_text(
        "base: deep.yaml\ntrain: {steps: 8}\nloss: {hint: {start: 0.5, end: 0.25, until: 0.75}}\n"
        "scene: {classes: [Player, Ball], slots: {Player: 3}}\n"
    )
    path = write(
        tmp_path,
        "base: shared.yaml\ngame: Boxing\ntrain: {batch_size: 9}\nloss: {hint: {start: 1, end: 0}}\n"
        "scene: {classes: [Ball], slots: {Ball: 2}}\n",
    )
    found = load_config(path)
    assert (found.game, found.seed) == ("Boxing", 5)
    assert (found.train.steps, found.train.batch_size, found.train.threads) == (8, 9, 1)  # shared, own, deep
    # Keys are merged at every depth, lists are replaced.
    assert found.loss.hint == Schedule(1.0, 0.0, 0.0, 0.75)
    assert found.scene.classes == ("Ball",) and found.scene.slots == {"Player": 3, "Ball": 2}
    assert found.loss == replace(Config().loss, hint=found.loss.hint)
    assert load_config(path, ["train.steps=3"]).train.steps == 3
    # A base lies beside the file that names it, not where the command is run.
    folder = tmp_path / "games"
    folder.mkdir()
    (folder / "own.yaml").write_text("base: ../shared.yaml\n")
    assert load_config(folder / "own.yaml") == load_config(tmp_path / "shared.yaml")
    (tmp_path / "nothing.yaml").write_text("")
    assert load_config(write(tmp_path, "base: nothing.yaml\nseed: 4\n")) == replace(Config(), seed=4)


@pytest.mark.parametrize(
    ("text", "other", "message"),
    [
        ("base: game.yaml", "", r"game.yaml: base: game.yaml leads back to itself"),
        ("base: ./other.yaml", "base: game.yaml", r"other.yaml: base: game.yaml leads back to itself"),
        ("base: others.yaml", "", r"no config file .*others.yaml. Files beside it: game.yaml, other.yaml"),
        ("base:", "", r"game.yaml: base: expected the name of a file, such as default.yaml, got None"),
        ("base: [other.yaml]", "", r"base: expected the name of a file, .*got \['other.yaml'\]"),
        ("base: 3", "", r"base: expected the name of a file, .*got 3"),
        (
            "base: other.yaml",
            "- 1",
            r"other.yaml: expected keys of Config, since .*game.yaml is based on it\.",
        ),
        ("base: other.yaml", "a: [", r"other.yaml is not YAML"),
        ("base: other.yaml", "trian: {}", r"game.yaml: unknown key 'trian'. Did you mean 'train'"),
        ("base: other.yaml\ntrain: {steps: many}", "train: {steps: 3}", r"train: steps: expected int, got 'many'"),
        ("base: other.yaml\ntrain: 3", "train: {steps: 3}", r"train: expected keys of TrainConfig, got 3"),
    ],
)
def test_what_is_wrong_with_a_base_is_named(tmp_path: Path, text: str, other: str, message: str) -> None:
    (tmp_path / "other.yaml").write_text(other)
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_a_base_is_not_a_setting(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("")
    with pytest.raises(ConfigError, match="unknown key 'base'"):
        load_config(write(tmp_path, "base: other.yaml"), ["base=other.yaml"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_load_and_build_their_network(path: Path) -> None:
    config = load_config(path)
    if path.stem in ("default", "native"):  # for any game: they name none
        assert "game" not in yaml.safe_load(path.read_text()) and not config.scene.classes
    else:
        assert run_name(config) == path.stem
    require_settings(config)
    # What a model may look at has to be recorded.
    assert config.model.subframes in (0, 1, 2) and (config.model.subframes == 1 or config.data.subframes == 2)
    assert Space(config.model).config == config.model
    for one in each_game(config).values():
        assert set(one.scene.slots) | set(one.scene.still) <= set(one.scene.classes)


def test_there_are_shipped_files() -> None:
    assert "pong" in [path.stem for path in SHIPPED]


def test_the_defaults_are_the_published_network() -> None:
    config = Space(ModelConfig()).config
    assert (config.frame_size, config.grid, config.z_what_dim) == ((128, 128), 16, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trian: {}", r"game.yaml: unknown key 'trian'. Did you mean 'train'\?"),
        ("train: {step: 3}", r"game.yaml: train: unknown key 'step'. Did you mean 'steps'\?"),
        ("model: {encoder: {layer: []}}", r"model: encoder: unknown key 'layer'. Did you mean 'layers'\?"),
        ("xyz: 1", "unknown key 'xyz'. Keys: game, name, seed"),
        ("3: 1", "unknown key 3"),
        ("train: {steps: many}", "train: steps: expected int, got 'many'"),
        ("train: {steps: 1.5}", "train: steps: expected int, got 1.5"),
        ("train: {steps: true}", "train: steps: expected int, got True"),
        ("train: {steps: }", "train: steps: expected int, got None"),
        ("train: {learning_rate: fast}", "train: learning_rate: expected float, got 'fast'"),
        ("train: {learning_rate: true}", "train: learning_rate: expected float, got True"),
        ("game: 7", "game: expected str, got 7"),
        ("model: {encoder: {lateral: 1}}", "lateral: expected bool, got 1"),
        ("model: {variant: space2}", "variant: expected one of 'space', 'space.motion', .* got 'space2'"),
        ("model: {variant: [space]}", r"variant: expected one of .* got \['space'\]"),
        ("model: {frame_size: 128}", "frame_size: expected a list, got 128"),
        ("model: {frame_size: [128]}", r"frame_size: expected 2 values, got \[128\]"),
        ("model: {encoder: {layers: [[1, 2, 3, 4, x]]}}", r"layers\[0\]\[4\]: expected int, got 'x'"),
        ("scene: {slots: [1]}", r"slots: expected name: value pairs, got \[1\]"),
        ("scene: {slots: {Ball: two}}", "slots.Ball: expected int, got 'two'"),
        ("loss: {hint: 3}", "hint: expected keys of Schedule, got 3"),
        ("loss: {hint: {start: 1}}", "hint: 'end' is missing"),
        ("train: 3", "train: expected keys of TrainConfig, got 3"),
        ("- 1", r"expected keys of Config, got \[1\]"),
        ("a: [", "game.yaml is not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("train.steps", "expected key=value, such as train.steps=100, and got 'train.steps'"),
        ("train.stepz=3", "unknown key 'stepz'. Did you mean 'steps'"),
        ("train.steps=[", r"the value in 'train.steps=\[' is not YAML"),
        ("game.name=3", "'game.name=3': 'name' is set inside a value that has no keys"),
        ("=3", "unknown key ''"),
    ],
)
def test_what_is_wrong_with_a_word_is_named(tmp_path: Path, word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, "game: Pong"), [word])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(ConfigError, match=r"no config file .*pongg.yaml. Files beside it: game.yaml"):
        load_config(tmp_path / "pongg.yaml")
    with pytest.raises(ConfigError, match=r"no config file .*Files beside it: none"):
        load_config(tmp_path / "none" / "pong.yaml")
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match=r"binary.yaml is not YAML"):
        load_config(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.grid=8", "layers turn a 128x128 frame into 16x16 cells, but model.grid is 8"),
        ("model.glimpse.size=64", "draws glimpses of size 32, but model.glimpse.size is 64"),
        ("model.background.components=1", "expected 2 or more; for one image, kind: fixed"),
    ],
)
def test_networks_that_cannot_be_built(tmp_path: Path, change: str, message: str) -> None:
    config = load_config(write(tmp_path, ""), [change])
    with pytest.raises(ConfigError, match=message):
        Space(config.model)


@pytest.mark.parametrize(("word", "amp"), [("on", "on"), ("off", "off"), ("auto", "auto"), ("'off'", "off")])
def test_on_and_off_may_be_written_without_quotes(tmp_path: Path, word: str, amp: str) -> None:
    assert load_config(write(tmp_path, f"train: {{amp: {word}}}")).train.amp == amp  # to YAML 1.1, off is false
    assert load_config(write(tmp_path, ""), [f"train.amp={word}"]).train.amp == amp


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert from_dict(DataConfig, {"size": 64.0}).size == 64


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIASES, r"game.yaml is not YAML \(line \d: over 20000 values"),
        ("x: &a [1, 2, 3]\nscene: {ignore: [*a, *a]}", "game.yaml: unknown key 'x'"),
        ("seed: !!bool foo", "game.yaml is not YAML .line 1: 'foo' is no bool"),
        ("seed: " + "9" * 5000, "is no int"),
        ("[" * 10_000, "over 50 levels"),
        ("[]", r"expected keys of Config, got \[\]"),
        ("0", "expected keys of Config, got 0"),
        ("false", "expected keys of Config, got False"),
        ("base: /etc/passwd", "base: expected the name of a config file, NAME.yaml, got '/etc/passwd'"),
        ("games: {Pong: ../../x}", "games: expected the name of a config file, NAME.yaml"),
        ("model: {z_what_dim: 1000000000}", "model: z_what_dim: expected 1 to 16384, got 1000000000"),
        ("model: {glimpse: {size: 16000000}}", "glimpse: size: expected 1 to 512, got 16000000"),
        ("model: {glimpse: {encoder: [[16777216, 3, 1, 1, 4]]}}", "encoder: expected 0 to 16384, got 16777216"),
        ("model: {background: {hidden_dim: 100000000}}", "hidden_dim: expected 1 to 16384"),
        ("data: {size: 1000000000000}", "data: size: expected at most 10000000, got 1000000000000"),
        ("train: {learning_rate: .nan}", "learning_rate: expected float that is finite, got nan"),
        ("train: {learning_rate: .inf}", "learning_rate: expected float that is finite, got inf"),
        (f"train: {{learning_rate: {'9' * 390}}}", "expected float that is finite, got <a number of 1296 bits>"),
        ("scene: {max_speed: 0}", r"scene: max_speed: expected 0.01 to 1000000, got 0\.0"),
        ("scene: {keep: 1000000000000000000000000000000}", "scene: keep: expected 0 to 1000000"),
        ("scene: {threshold: 1.5}", r"scene: threshold: expected 0 to 1, got 1\.5"),
        ("scene: {overlap: -1}", "scene: overlap: expected 0 to 1"),
        ("scene: {slots: {Ball: 1000000000000}}", "scene: slots: expected 0 to 1000, got 1000000000000"),
        ("scene: {slots: {Ball: -1}}", "scene: slots: expected 0 to 1000, got -1"),
        ("scene: {slots: {Ball: 999, Player: 999}}", "slots: expected at most 1000 of all classes together, got 1998"),
    ],
)
def test_numbers_and_trees_that_would_take_all_memory(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))
    assert len(str(caught.value)) < 800


def test_values_of_settings_that_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'seed=!!bool foo' is not YAML; put quotes around it\. seed is not YAML"):
        load_config(write(tmp_path, ""), ["seed=!!bool foo"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_speed": float("nan")}, "max_speed: expected 0.01 to 1000000, got nan"),
        ({"threshold": float("nan")}, "threshold: expected 0 to 1, got nan"),
        ({"keep": -1}, "keep: expected 0 to 1000000, got -1"),
        ({"ignore": ((0, 0, 10**9, 1),)}, "ignore: expected -4096 to 4096"),
    ],
)
def test_a_scene_made_in_python_has_the_same_ranges(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SceneConfig(**values)


@pytest.mark.parametrize("name", ["../../x", "/x", "a/b", "..", ".x", "a\\b", "a\nb", "x" * 300])
def test_the_name_of_a_run_is_no_path(name: str) -> None:
    with pytest.raises(ConfigError, match="name: expected a name of letters, digits"):
        run_name(Config(name=name))


def test_a_key_has_a_depth(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a key of at most 32 parts, got 5000"):
        load_config(write(tmp_path, "seed: 4"), [".".join("a" * 5000) + "=1"])
