"""Two made-up games trained together: what a run leaves, that it is resumed, and that its model plays both."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import spacetime_env  # noqa: F401  (registers the envs)
from spacetime_env import load_model, viewer
from spacetime_env.commands import evaluate
from spacetime_env.commands.pretrain import main
from spacetime_env.config import Config, ConfigError, MotionConfig, RarityConfig, from_dict, load_config, to_dict
from spacetime_env.config.games import each_game
from spacetime_env.data.split import Split
from spacetime_env.envs.wrapper import SpaceTimeObservation
from spacetime_env.evaluation import figures_json
from spacetime_env.frames import resize
from spacetime_env.models.classifier_file import read_classifiers
from spacetime_env.models.folder import model_games
from spacetime_env.models.settings import SeveralGamesError
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space
from spacetime_env.training import loop as training_loop
from spacetime_env.training import naming, pretrain, splits
from spacetime_env.training.checkpoint import read_checkpoint
from spacetime_env.training.step import train_step
from spacetime_env.training.sweep_data import share_data
from spacetime_env.training.sweep_plan import SweepRun, plan
from spacetime_env.training.validation import mean_scores
from tests.helpers.tiny import JOINT_NATIVES, write_joint_data, write_split

GAMES = ("Carnival", "Pong")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Splits of both games with labels, and the config of both."""
    return write_joint_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def file(data: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "both.yaml"
    path.write_text(yaml.safe_dump(to_dict(data)))
    return path


@pytest.fixture(scope="module")
def whole(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption, by the command: ``run`` and ``model``."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["--config", str(file), "--out", str(folder / "model"), "--run", str(folder / "run")]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is just long enough to find some of what moves, by the command."""
    folder = tmp_path_factory.mktemp("trained")
    words = ["--out", str(folder / "model"), "--run", str(folder / "run"), "--export-classifier"]
    often = ["train.eval_every=60", "train.save_every=60", "train.learning_rate=1e-2", "train.log_every=60"]
    assert main(["--config", str(file), *words, "train.steps=120", "train.decay={start: 1, end: 0.1}", *often]) == 0
    return folder


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_what_a_run_leaves(trained: Path, data: Config, file: Path) -> None:
    run, model = trained / "run", trained / "model"
    assert sorted(p.name for p in model.iterdir()) == [
        "CARD.md",
        "config.yaml",
        "errors-Carnival.png",
        "errors-Pong.png",
        "example-Carnival.png",
        "example-Pong.png",
        "model.safetensors",
        "model.yaml",
    ]
    assert load_config(file) == data
    assert each_game(load_config(model / "config.yaml"))["Pong"].scene == data.games["Pong"]
    tree = yaml.safe_load((model / "model.yaml").read_text())
    assert list(tree) == ["games", "model", "sha256", "version", "trained"]
    assert list(tree["games"]["Carnival"]) == ["native", "class_names", "subframes", "scene"]
    for game in GAMES:
        assert sorted(path.name for path in (run / game).iterdir()) == [
            "z_what-classifier_1.joblib.pkl",
            "z_what-classifier_4.joblib.pkl",
        ]
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "best.classifiers.safetensors",
        "best.pt",
        "step-0000060.classifiers.safetensors",
        "step-0000060.pt",
        "step-0000120.classifiers.safetensors",
        "step-0000120.pt",
    ]
    found = read_classifiers(run / "checkpoints" / "best.classifiers.safetensors")
    assert sorted(found) == [f"{game}.{count}" for game in GAMES for count in (1, 4)]
    for game in GAMES:
        assert np.array_equal(found[f"{game}.4"].coef, load_model(model, game=game).classifier.coef)


def test_figures_are_of_each_game_and_their_mean(trained: Path) -> None:
    found = figures_json.read(trained / "run")
    assert found is not None
    assert list(found) == [figures_json.ALL_GAMES, "Carnival/test-random", "Pong/test-random"]
    one, other = found["Carnival/test-random"], found["Pong/test-random"]
    assert one["detection.frames"] == other["detection.frames"] == 12
    assert found[figures_json.ALL_GAMES]["target_f1"] == pytest.approx((one["target_f1"] + other["target_f1"]) / 2)
    assert "detection.frames" not in found[figures_json.ALL_GAMES]
    ap = (one["evaluation.ap"] + other["evaluation.ap"]) / 2
    assert found[figures_json.ALL_GAMES]["evaluation.ap"] == pytest.approx(ap)
    card = (trained / "model" / "CARD.md").read_text()
    assert card.startswith("# Carnival, Pong: one space+motion model\n")
    for part in (
        "6 stacks of 3 frames of each game, policy 'random'",
        f"| Pong | {other['detection.f1']:.4f} |",
        f"| mean of 2 | {(one['detection.f1'] + other['detection.f1']) / 2:.4f} |",
        "### Carnival, test-random: 12 frames, policy 'random', seed 0",
        "- Pong: nothing is reported in [(0, 200, 160, 10)] (x, y, w, h).",
    ):
        assert part in card, part


def test_scores_during_training_are_means(whole: Path) -> None:
    events = EventAccumulator(str(whole / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("validation/motion_f1")] == [3, 6]
    for name in ("motion_f1", "f1", "center_f1", "ap"):
        mean, *each = (events.Scalars(f"validation/{key}{name}")[1].value for key in ("", "Carnival/", "Pong/"))
        assert mean == pytest.approx(np.mean(each))
    scalars = events.Tags()["scalars"]
    assert "validation/Pong/recall_Ball" in scalars and "validation/recall_Ball" not in scalars
    best = read_checkpoint(whole / "run" / "checkpoints" / "best.pt")["best"]
    assert best == pytest.approx(max(event.value for event in events.Scalars("validation/motion_f1")))


def test_scores_during_training_are_on_each_games_background(
    data: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that sees the difference from it could not be judged before another."""
    real, seen = mean_scores, {}

    def watched(config: Config, spaces: dict[str, Space], validation: dict[str, Split]) -> dict[str, float]:
        seen.update({game: space.image.clone() for game, space in spaces.items()})
        return real(config, spaces, validation)

    monkeypatch.setattr(pretrain, "mean_scores", watched)
    encoder = replace(data.model.encoder, input="both")
    asked = replace(data, model=replace(data.model, encoder=encoder), train=replace(data.train, steps=1))
    folder = pretrain.pretrain(asked, tmp_path / "model", tmp_path / "run")
    assert list(seen) == list(GAMES) and not torch.equal(*seen.values())
    for game in GAMES:
        assert torch.equal(seen[game], load_model(folder, game).space.image)


def test_the_complete_evaluation_has_a_row_a_game(trained: Path, data: Config, tmp_path: Path) -> None:
    with open(trained / "run" / "games.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["game"] for row in rows] == [*GAMES, "mean"]
    f1 = [float(row["moving/f1"]) for row in rows]
    assert f1[2] == pytest.approx((f1[0] + f1[1]) / 2) and rows[0]["frames"] == "12"
    assert (trained / "run" / "evaluation" / "Pong" / "evaluation.csv").is_file()
    words = ["--model", str(trained / "model"), "--data-root", data.data.root, "--no-plots", "--out"]
    assert evaluate.main([*words, str(tmp_path / "all")]) == 0
    assert (tmp_path / "all" / "games.csv").read_text() == (trained / "run" / "games.csv").read_text()
    assert evaluate.main([*words, str(tmp_path / "one"), "--game", "pong"]) == 0
    with open(tmp_path / "one" / "evaluation.csv", newline="") as file:
        (alone,) = csv.DictReader(file)
    assert alone["moving/f1"] == rows[1]["moving/f1"]
    split = str(Path(data.data.root) / "Pong" / "test-random")
    assert evaluate.main([*words, str(tmp_path / "split"), "--split", split]) == 0
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == ["Pong", "games.csv", "games.md"]
    assert f"| Pong | 12 | {f1[1]:.4f} |" in (tmp_path / "split" / "games.md").read_text()


def test_splits_that_do_not_fit(
    trained: Path, data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(trained / "model"), "--out", str(tmp_path / "out"), "--data-root"]
    split = write_split(tmp_path / "other", "test", labels=True, game="Boxing")
    for more, message in (
        ([str(tmp_path)], "none of the model's games has a labelled test split. no labelled test split in "),
        ([data.data.root, "--split", str(split)], "model does not know Boxing; it knows Carnival, Pong."),
        ([data.data.root, "--game", "Boxing"], "does not know Boxing; it knows Carnival, Pong."),
        ([data.data.root, "--few-shot-from", str(split)], "--few-shot-from is of one game: say with --game"),
    ):
        assert evaluate.main([*words, *more]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_each_game_loads_as_a_model_of_its_own(trained: Path, data: Config) -> None:
    model = str(trained / "model")
    assert model_games(model) == GAMES
    with pytest.raises(SeveralGamesError, match=r"is of several games \(Carnival, Pong\): say which, such as"):
        load_model(model)
    with pytest.raises(BundleError, match=r"does not know Breakout; it knows Carnival, Pong\."):
        load_model(model, game="Breakout")
    loaded = {game: load_model(model, game=game.lower()) for game in GAMES}
    best = read_checkpoint(trained / "run" / "checkpoints" / "best.pt")["space"]
    for game, one in loaded.items():
        own = each_game(data)[game]
        assert (one.game, one.native, one.class_names) == (game, JOINT_NATIVES[game], ("Player", "Ball"))
        assert one.scene == replace(own.scene, slots={"Player": 2, "Ball": one.scene.slots["Ball"]})
        assert one.config == one.settings.model == data.model
        train = splits.prepare_split(own, "train")
        background = resize(train.background, (38, 32))[0].transpose(2, 0, 1)
        state = one.space.state_dict()
        assert torch.equal(state["background.image"], torch.from_numpy(background.copy()).float() / 255)
        assert all(torch.equal(state[name], best[name]) for name in best if name != "background.image")
    drawn = [one.reconstruct(np.zeros((1, *one.native, 3), np.uint8))["background"][0, 0, 0] for one in loaded.values()]
    assert [colour.tolist() for colour in drawn] == [[0, 0, 60], [80, 0, 60]]
    coefs = [one.classifier.coef for one in loaded.values()]
    assert not np.array_equal(*coefs)  # each game has its own


@pytest.mark.parametrize("game", GAMES)
def test_it_plays(trained: Path, game: str) -> None:
    model = str(trained / "model")
    made = gym.make(f"SpaceTime/{game}-v5", model=model)
    wrapped = SpaceTimeObservation(gym.make(f"ALE/{game}-v5"), model=model)
    again = gym.make(made.spec)  # type: ignore[arg-type]  # what a worker does
    seen = []
    for one in (made, wrapped, again):
        observation, info = one.reset(seed=1)
        assert list(info["scene"]) == ["Player", "Ball"] and observation in one.observation_space
        assert one.get_wrapper_attr("model").game == game
        seen.append(observation)
    assert np.array_equal(seen[0], seen[1]) and np.array_equal(seen[0], seen[2])
    envs = gym.make_vec(f"SpaceTime/{game}-v5", 2, model=model, workers=0)
    assert np.allclose(envs.reset(seed=1)[0][0], seen[0], atol=1e-4)
    for one in (made, wrapped, again, envs):
        one.close()


def test_what_goes_to_a_worker_knows_its_game(trained: Path) -> None:
    env = SpaceTimeObservation(gym.make("ALE/Carnival-v5"), model=str(trained / "model"))
    state = env.__getstate__()
    assert "model" not in state
    other = SpaceTimeObservation.__new__(SpaceTimeObservation)
    other.__setstate__(state)
    assert other.model.game == "Carnival" and other.model.native == (214, 160)


def test_an_environment_that_does_not_say_its_game(trained: Path) -> None:
    env = gym.make("ALE/Pong-v5")
    env.unwrapped.spec = None
    with pytest.raises(SeveralGamesError, match=r"of several games \(Carnival, Pong\)"):
        SpaceTimeObservation(env, model=str(trained / "model"))


def test_look_at_it(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", str(trained / "model"), "--steps", "2", "--out", str(tmp_path / "look")]
    assert viewer.main(words) == 1
    assert "is of several games (Carnival, Pong): say which" in capsys.readouterr().err
    assert viewer.main([*words, "--game", "carnival"]) == 0
    assert "Carnival: Player, Ball." in capsys.readouterr().out
    with Image.open(tmp_path / "look" / "frame-00000.png") as picture:
        assert picture.size == (3 * 160, 3 * 214)
    image = ["--model", str(trained / "model"), "--out", str(tmp_path / "image"), "--image"]
    assert viewer.main([*image, str(tmp_path / "look" / "frame-00000.png"), "--game", "Pong"]) == 0
    assert "the model reads 210 x 160" in capsys.readouterr().out
    assert viewer.main([*words, "--game", "Pong", "--agent", "pong-ppo"]) == 1
    assert "--game is for random play" in capsys.readouterr().err


def test_it_does_not_play_another_game(trained: Path) -> None:
    for options in ({}, {"allow_game_mismatch": True}):
        with pytest.raises(BundleError, match=r"does not know Breakout; it knows Carnival, Pong\."):
            gym.make("SpaceTime/Breakout-v5", model=str(trained / "model"), **options)


# Interruptions


def test_kill_9_and_the_same_command_again(whole: Path, file: Path, tmp_path: Path) -> None:
    command = ["--config", str(file), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "model")]
    code = """
import os, signal, sys
from spacetime_env.training import loop as training_loop
from spacetime_env.commands import pretrain as pretrain_cli
real, calls = training_loop.train_step, []
def dying(*args, **kwargs):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
training_loop.train_step = dying
pretrain_cli.main(sys.argv[1:])
"""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, env=env)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "model").exists()
    assert main(command) == 0
    assert weights(tmp_path / "model") == weights(whole / "model")


def test_ctrl_c(
    file: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["--config", str(file), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "model")]
    real = train_step

    def pressed(*args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "train_step", pressed)
        assert main(command) == 130
    assert "interrupted at step 1 of 6" in capsys.readouterr().err
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"resuming {tmp_path / 'run'} at step 1 of 6" in said
    assert "look at it with: python load_model.py --model" in said and "--game Carnival" in said
    assert weights(tmp_path / "model") == weights(whole / "model")


def test_a_run_is_not_gone_on_with_for_other_games(whole: Path, data: Config, tmp_path: Path) -> None:
    fewer = replace(data, games={"Pong": data.games["Pong"]})
    with pytest.raises(ConfigError, match=r"started with other settings: games\.Carnival"):
        pretrain.pretrain(fewer, tmp_path / "model", whole / "run")


def test_a_sweep(data: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump(to_dict(replace(data, train=replace(data.train, steps=1)))))
    assert main(["--config", str(path), "--run", str(tmp_path / "sweep"), "--sweep", "seed=0,1"]) == 0
    text = (tmp_path / "sweep" / "table.md").read_text()
    assert text.startswith("# joint: 2 of 2 runs")
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [f"## {figures_json.ALL_GAMES}", "## Carnival/test-random", "## Pong/test-random"]
    assert model_games(tmp_path / "sweep" / "seed=1" / "model") == GAMES
    monkeypatch.chdir(tmp_path)
    assert plan(path, [], ["seed=0,1"]).folder == Path("runs/sweep/joint")
    # Runs of other data have a root each; what they can use of the one that was asked for is copied, of each game.
    other = replace(data, data=replace(data.data, root=str(tmp_path / "own")))
    share_data(SweepRun({}, other, tmp_path, data.data.root))
    for game in GAMES:
        assert sorted(one.name for one in (tmp_path / "own" / game).iterdir()) == ["test-random", "validation-random"]


# Games that differ


def test_a_game_without_labels_is_named_by_clusters(tmp_path: Path) -> None:
    config = write_joint_data(tmp_path / "data", unlabelled=["Carnival"])
    config = replace(config, train=replace(config.train, steps=1))
    folder = pretrain.pretrain(config, tmp_path / "model", tmp_path / "run")
    assert load_model(folder, "Carnival").class_names == ("object0", "object1")
    found = figures_json.read(tmp_path / "run")
    assert found is not None and list(found) == [figures_json.ALL_GAMES, "Pong/test-random"]
    assert found[figures_json.ALL_GAMES]["detection.f1"] == found["Pong/test-random"]["detection.f1"]
    card = (folder / "CARD.md").read_text()
    assert "| Carnival | - | - | - | - | - |" in card and "| mean of 1 | " in card
    assert "No test split with ground truth was there of Carnival." in card
    with open(tmp_path / "run" / "games.csv", newline="") as file:
        assert [row["game"] for row in csv.DictReader(file)] == ["Pong", "mean"]
    # Nothing found in a game that has no labels: the other one is worth keeping.
    blind = {**config.games, "Carnival": replace(config.games["Carnival"], threshold=1.0)}
    folder = pretrain.pretrain(replace(config, games=blind), tmp_path / "blind", tmp_path / "run2")
    assert load_model(folder, "Carnival").class_names == ("object0",)
    with pytest.raises(naming.NothingFoundError):
        alone = each_game(replace(config, games=blind))["Carnival"]
        pretrain.pretrain(alone, tmp_path / "alone", tmp_path / "run3")


def test_subframes_are_chosen_for_each_game(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settled from the training data where 0 is asked for: in Carnival the ball flickers, in Pong it does not."""
    config = write_joint_data(tmp_path / "data", window=5, subframes=2, flickering=["Carnival"])
    rarity = RarityConfig(window=5, share=0.7, part_area=0.1, group_width=0.4, gap=1)
    asked = replace(
        config,
        data=replace(config.data, subframes=2),
        motion=MotionConfig(foreground="rarity", rarity=rarity),
        model=replace(config.model, subframes=0),
        train=replace(config.train, steps=1),
    )
    folder = pretrain.pretrain(asked, tmp_path / "model", tmp_path / "run")
    said = capsys.readouterr().out
    assert "16.7% of what moves" in said and "0.0% of what moves" in said
    assert {game: load_model(folder, game).config.subframes for game in GAMES} == {"Carnival": 2, "Pong": 1}
    assert pretrain.pretrain(asked, tmp_path / "model", tmp_path / "run") == folder  # settled again, and resumed


def test_mistakes_name_the_game(data: Config, tmp_path: Path) -> None:
    wrong = replace(data.games["Pong"], classes=("Player", "Bal"))
    with pytest.raises(ConfigError, match="the ground truth of Pong has no 'Bal'"):
        pretrain.pretrain(replace(data, games={**data.games, "Pong": wrong}), tmp_path / "m", tmp_path / "r")
    unknown = replace(data, games={**data.games, "Pongg": wrong})
    with pytest.raises(ValueError, match=r"no game 'Pongg'.*Did you mean Pong"):
        pretrain.pretrain(unknown, tmp_path / "m", tmp_path / "r")
    assert from_dict(Config, to_dict(unknown)) == unknown
