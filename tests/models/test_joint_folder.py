"""Model folders of several games: each game loads as a model of its own, and what is damaged is refused."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from spacetime_env import shipped
from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.games import UnknownGameError
from spacetime_env.models.folder import available_models, load_model, model_games, save_joint
from spacetime_env.models.model import Model
from spacetime_env.models.settings import JointSettings, Settings, SeveralGamesError, read_settings
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space
from tests.helpers.tiny import MODEL, NATIVE, make_classifier, make_frames, make_space
from tests.models.test_folder import change_weights, change_yaml, same_detections

OTHER = (46, 38)  # H, W of the second game
COLORS = {"Boxing": 0.25, "Pong": 0.75}  # of the backgrounds


def model(game: str, space: Space, native: tuple[int, int], names: tuple[str, ...], subframes: int = 1) -> Model:
    """A model of one game, with a classifier and a scene that no other has."""
    space = deepcopy(space)
    if "background.image" in space.state_dict():
        space.background.image.fill_(COLORS.get(game, 0.0))  # type: ignore[operator,union-attr]
    scene = SceneConfig(classes=names, slots=dict.fromkeys(names, 2), threshold=0.3 if game == "Pong" else 0.2)
    config = replace(space.config, subframes=subframes)
    return Model(space, make_classifier(names, len(names)), Settings(game, native, names, config, scene, "", ""))


def models(config: ModelConfig = MODEL) -> list[Model]:
    space = make_space(config=config)
    return [model("Boxing", space, OTHER, ("Enemy", "Player", "Rope"), 2), model("Pong", space, NATIVE, ("A", "B"))]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_joint(tmp_path / "both", models(), trained={"seed": 3}, card="# Both\n", extras={"x.txt": b"x"})


def test_each_game_is_what_was_saved(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["CARD.md", "model.safetensors", "model.yaml", "x.txt"]
    assert model_games(saved) == ("Boxing", "Pong")
    for one in models():
        again = load_model(saved, one.game)
        assert replace(again.settings, sha256="", version="", trained={}) == one.settings
        assert again.settings.trained == {"seed": "3"} and again.config.subframes == one.settings.model.subframes
        frames = np.random.default_rng(0).integers(0, 256, (3, *one.native, 3), np.uint8)
        same_detections(one, again, frames)
        assert np.array_equal(one.reconstruct(frames)["background"], again.reconstruct(frames)["background"])
        assert (again.space.background.image == COLORS[one.game]).all()
    assert load_model(saved, "boxing").settings.sha256 == load_model(saved, "ALE/Pong-v5").settings.sha256


def test_what_the_files_hold(saved: Path) -> None:
    tree = yaml.safe_load((saved / "model.yaml").read_text())
    assert list(tree) == ["games", "model", "sha256", "version", "trained"]
    assert tree["games"]["Boxing"]["native"] == [46, 38] and tree["games"]["Boxing"]["subframes"] == 2
    names = set(load_file(saved / "model.safetensors"))
    assert {"background.Boxing", "background.Pong", "classifier.Boxing.coef", "classifier.Pong.intercept"} < names
    assert len([name for name in names if not name.startswith("space.")]) == 6
    assert "space.background.image" not in names
    described = read_settings(saved)
    assert isinstance(described, JointSettings) and described.names == ("Boxing", "Pong")


def test_a_background_that_learns_is_shared(tmp_path: Path) -> None:
    config = replace(
        MODEL,
        frame_size=(64, 64),
        grid=8,
        encoder=replace(MODEL.encoder, layers=((6, 8, 8, 0, 0),)),
        background=replace(MODEL.background, kind="components", components=2),
    )
    folder = save_joint(tmp_path / "both", models(config))
    loaded = load_model(folder, "Pong")
    assert loaded.reconstruct(make_frames(1))["background"].shape == (1, 44, 36, 3)
    assert not [name for name in load_file(folder / "model.safetensors") if name.startswith("background.")]


def test_which_game_has_to_be_said(saved: Path) -> None:
    with pytest.raises(SeveralGamesError, match=r"several games \(Boxing, Pong\): say which, such as load_model"):
        load_model(saved)
    with pytest.raises(BundleError, match=r"does not know Carnival; it knows Boxing, Pong\."):
        load_model(saved, game="Carnival")
    with pytest.raises(UnknownGameError, match="Did you mean Pong"):
        load_model(saved, game="Pongg")


def test_one_game_alone_needs_no_name(tmp_path: Path) -> None:
    folder = save_joint(tmp_path / "one", models()[:1])
    assert load_model(folder).game == load_model(folder, "boxing").game == "Boxing"


def test_a_model_of_one_game_may_be_asked_for_by_its_game() -> None:
    assert load_model("pong", game="ALE/Pong-v5").game == "Pong" and model_games("pong") == ("Pong",)
    with pytest.raises(BundleError, match=r"the model 'pong' is of Pong, and Boxing is asked for"):
        load_model("pong", game="Boxing")


def test_by_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "folders", lambda kind: [saved.parent] if kind == "models" else [])
    monkeypatch.chdir(saved.parent)
    assert list(available_models()) == ["both"]
    with pytest.raises(SeveralGamesError, match=r"load_model\('both', game='Boxing'\), or --game on a command line"):
        load_model("both")


def test_models_that_do_not_belong_together(tmp_path: Path) -> None:
    one, _ = models()
    for wrong, message in (
        (model("Boxing", one.space, OTHER, ("A",)), "expected one model a game, and Boxing has two"),
        (model("Pong", make_space(1), NATIVE, ("A",)), "Pong has other weights than that of Boxing"),
        (model("Pong", make_space(config=replace(MODEL, z_what_dim=4)), NATIVE, ("A",)), "built in another way"),
    ):
        with pytest.raises(BundleError, match=message):
            save_joint(tmp_path / "wrong", [one, wrong])
        assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("classifier.Pong.coef"), "the weights lack 'classifier.coef'"),
        (lambda t: t.pop("background.Pong"), "missing background.image"),
        (lambda t: t.update({"classifier.Skiing.coef": torch.zeros(1, 3)}), "unknown classifier.Skiing.coef"),
        (lambda t: t.update({"background.Pong": torch.zeros(3, 2, 2)}), "another shape background.image"),
        (lambda t: t.update({"classifier.Pong.coef": torch.zeros(3, 3)}), r"2 classes needs coef \(2, D\)"),
    ],
)
def test_weights_that_do_not_fit(saved: Path, change: Callable[[Any], Any], message: str) -> None:
    change_weights(saved, change)
    with pytest.raises(BundleError, match=message):
        load_model(saved, "Pong")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(game="Pong"), "unknown key 'game'. Did you mean 'games'"),
        (lambda t: t["games"]["Pong"].update(nativ=[1, 2]), "games.Pong: unknown key 'nativ'. Did you mean 'native'"),
        (lambda t: t["games"]["Pong"].pop("scene"), "games.Pong: 'scene' is missing"),
        (lambda t: t["games"].clear(), "games: expected one or more, got none"),
        (lambda t: t.update(games=[1]), "games: expected name: value pairs"),
    ],
)
def test_settings_that_do_not_fit(saved: Path, change: Callable[[Any], Any], message: str) -> None:
    change_yaml(saved, change)
    with pytest.raises(BundleError, match=message):
        load_model(saved, "Pong")


def test_a_model_of_thousands_of_games(saved: Path) -> None:
    change_yaml(saved, lambda t: t["games"].update({f"Game{i}": t["games"]["Pong"] for i in range(300)}))
    for game in (None, "Breakout"):
        with pytest.raises(BundleError, match=r"of several games|does not know Breakout") as caught:
            load_model(saved, game)
        assert len(str(caught.value)) < 1500
