"""Model folders of checkpoints of the published code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmarks.fuzz.seed_published import upstream_state
from spacetime_env import load_model
from spacetime_env.commands import evaluate
from spacetime_env.commands.pretrain import main
from spacetime_env.config import Config, ConfigError, SceneConfig, to_dict
from spacetime_env.training import published
from spacetime_env.viewer import main as look
from tests.helpers import pictures as squares
from tests.helpers.tiny import CONFIG, NATIVE, write_split


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network of 8 x 8 cells, each with a box of the size of a Player; so some boxes match."""
    state = upstream_state() | {"fg_module.img_encoder.offset": torch.zeros(2, 8, 8)}
    state["fg_module.img_encoder.z_scale_net.weight"].zero_()
    logits = torch.logit(torch.tensor([7 / 36, 12 / 44]))
    state["fg_module.img_encoder.z_scale_net.bias"].copy_(torch.cat((logits, torch.zeros(2))))
    path = tmp_path_factory.mktemp("published") / "atari_pong.pth"
    torch.save({"model": {f"space.{name}": value for name, value in state.items()}, "epoch": 3}, path)
    return path


def config_in(root: Path, labels: bool = True, **scene: object) -> Config:
    """A validation and a test split of two frames."""
    config = replace(
        CONFIG,
        data=replace(CONFIG.data, root=str(root), eval_size=1, length=2, shard_size=1),
        scene=SceneConfig(threshold=0.0, overlap=1.0, slots={"Ball": 3}, **scene),  # type: ignore[arg-type]
    )
    for split in ("validation", "test"):
        write_split(root, split, config, labels)
    return config


def words_of(config: Config, checkpoint: Path, folder: Path) -> list[str]:
    (folder / "c.yaml").write_text(yaml.safe_dump(to_dict(config)))
    return ["--config", "c.yaml", "--import-upstream", str(checkpoint)]


@pytest.mark.parametrize("labels", [True, False])
def test_a_folder_is_made_loads_and_is_measured(
    labels: bool,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Names are those of a few labels, or clusters; the network and its BGR are the published ones."""
    monkeypatch.chdir(tmp_path)
    config = config_in(tmp_path / "data", labels)
    assert main(words_of(config, checkpoint, tmp_path)) == 0
    assert "load_model.py --model models/pong-upstream" in capsys.readouterr().out
    model = load_model("models/pong-upstream")
    assert (model.game, model.native, model.config.color_order) == ("Pong", NATIVE, "bgr")
    if labels:
        assert model.class_names == ("Ball", "Player") and model.scene.slots["Ball"] == 3
    else:
        assert model.class_names == tuple(f"object{i}" for i in range(8))
    frame = np.zeros((*NATIVE, 3), np.uint8)
    frame[..., 0] = 255  # red
    assert model.tensor(frame)[0, :, 5, 7].tolist() == [0, 0, 1]  # is last
    first = upstream_state()["fg_module.img_encoder.enc.0.weight"]
    assert torch.equal(model.space.foreground.encoder.layers[0].weight, first)  # type: ignore[union-attr]
    card = (tmp_path / "models" / "pong-upstream" / "CARD.md").read_text()
    assert "The weights are those in path/to/atari_pong.pth (SHA-256 " in card and "sees BGR frames" in card
    assert "Nothing was trained. Its objects were named on 1 stacks of 2 frames, policy 'random'" in card
    assert card.startswith("# Pong: a space+motion model\n") and model.config.variant == "space+motion"
    assert ("| F1 at IoU 0.5 |" in card) == labels and "Trained for" not in card
    assert model.settings.trained["steps"] == "0"
    run = yaml.safe_load((tmp_path / "runs" / "pong-upstream" / "run.yaml").read_text())
    assert run["start"] in card and run["config"]["model"]["color_order"] == "bgr"
    if labels:
        words = ["--model", "models/pong-upstream", "--data-root", str(tmp_path / "data"), "--no-plots"]
        assert evaluate.main([*words, "--out", "measured"]) == 0
        assert "pong-upstream" in (tmp_path / "measured" / "evaluation.csv").read_text()
        import cv2

        cv2.imwrite("red.png", frame[..., ::-1])
        assert look(["--model", "models/pong-upstream", "--image", "red.png", "--out", "look"]) == 0
        assert (tmp_path / "look" / "red-frame.png").is_file()


def test_a_folder_of_pictures_names_and_measures_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = squares.write_pictures(tmp_path / "squares")
    assert main(words_of(config, checkpoint, tmp_path)) == 0
    model = load_model("models/squares-upstream")
    assert (model.game, model.native) == ("squares", squares.NATIVE) and {*model.class_names} <= {"bright", "dark"}
    assert model.config.color_order == "bgr"
    card = (tmp_path / "models" / "squares-upstream" / "CARD.md").read_text()
    assert "Nothing was trained. Its objects were named on 6 stacks of 1 pictures.\n" in card
    assert "### test: 5 pictures with 7 objects" in card and "ELBO" not in card and "policy" not in card


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--import-upstream", "x.pt"], "expected a checkpoint of the published code, FILE.pth, got x.pt"),
        (["--import-upstream", "none.pth"], "no checkpoint file none.pth"),
        (["--import-upstream", "x.pth", "--from", "pong"], "--from is of a training"),
        (["--import-upstream", "x.pth", "--restart"], "--restart is of a training"),
        (["--import-upstream", "x.pth", "--sweep", "seed=0,1"], "--sweep is of a training"),
    ],
)
def test_what_is_refused(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--game", "Pong", *words]) == 1
    said = capsys.readouterr().err
    assert message in said and said.startswith("pretrain_space.py: ") and [*tmp_path.iterdir()] == []


def test_of_several_games_there_is_none(tmp_path: Path) -> None:
    config = Config(game="", games={"Boxing": SceneConfig(), "Pong": SceneConfig()})
    with pytest.raises(ConfigError, match="is of one game: say with --game which"):
        published.import_upstream(config, "x.pth", tmp_path / "model", tmp_path / "run")


def test_a_network_that_finds_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = config_in(tmp_path / "data", labels=False)
    config = replace(config, scene=replace(config.scene, threshold=1.0))
    assert main(words_of(config, checkpoint, tmp_path)) == 1
    said = capsys.readouterr().err
    assert "atari_pong.pth" in said and "finds no object in" in said and "Is it of Pong?" in said
    assert not (tmp_path / "models").exists()
