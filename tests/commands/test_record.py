"""The command create_dataset.py: its flags, its pictures, its messages, and that it may be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from spacetime_env.commands import record
from spacetime_env.commands.record import main, parser
from spacetime_env.config import Config, ConfigError
from spacetime_env.data import labels
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.split import open_split
from spacetime_env.data.stage_pictures import CELL, MOTION, TRUTH
from tests.helpers.tiny import write_split

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "create_dataset.py"


def config_of(*words: str) -> Config:
    return record._config(parser().parse_args(words))


def test_the_script_only_calls_the_package() -> None:
    assert len(SCRIPT.read_text().splitlines()) < 30
    found = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, cwd="/")
    assert found.returncode == 0 and "--plot-boxes" in found.stdout


def test_flags_and_those_of_the_old_command() -> None:
    args = parser().parse_args(["-f", "validation", "-g", "Tennis", "--random", "--plot_bb"])
    assert (args.split, args.game, args.order, args.plot_boxes) == ("validation", "Tennis", "random", slice(16))
    assert parser().parse_args(["--folder", "test"]).split == "test"
    median = config_of("--rootmedian")
    assert (median.motion.background, median.motion.extent) == ("median", "set")
    other = config_of("--split", "test", "--size", "7", "--seed", "3", "--sequential", "--extent", "trail")
    assert (other.data.size, other.data.eval_size, other.data.seed) == (1024, 7, 3)
    assert (other.data.order, other.motion.extent) == ("sequential", "trail")


def test_flags_go_over_words_and_words_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tennis.yaml"
    file.write_text("game: Tennis\ndata: {gap: 40, length: 6, shard_size: 8}\n")
    config = config_of("--config", str(file), "data.length=5", "data.gap=41", "--length", "3")
    assert (config.game, config.data.shard_size, config.data.gap, config.data.length) == ("Tennis", 8, 41, 3)
    with pytest.raises(ConfigError, match=r"'data.gap=1' override a config file: give --config"):
        config_of("data.gap=1")


def test_record_and_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "data" / "Pong" / "test-random", tmp_path / "Pong" / "test-random")
    asked = ["-g", "pong", "-f", "test", "--size", "150", "--data-root", str(tmp_path), "--plot-boxes", "2"]
    assert main(asked) == 0
    folder = tmp_path / "Pong" / "test-random"
    assert f"{folder}: 150 stacks of 4 frames" in capsys.readouterr().out
    assert [path.name for path in sorted((folder / "plots").iterdir())] == [
        "stack-00000.png",
        "stack-00001.png",
    ]
    picture = np.asarray(cv2.imread(str(folder / "plots" / "stack-00000.png")))[..., ::-1]
    # A row a frame: frame, background, mask, cells; all twice as large.
    assert picture.shape == (4 * 210 * 2, 4 * 160 * 2, 3)
    colors = [
        (picture[:, 320 * k : 320 * (k + 1)] == color).all(-1).sum()
        for k, color in ((0, MOTION), (0, TRUTH), (1, TRUTH), (3, CELL))
    ]
    assert colors[0] > 100 and colors[1] > 50 and colors[2] == 0 and colors[3] > 100
    assert set(np.unique(picture[:, 640:960])) == {0, 255}


@pytest.mark.parametrize(
    ("word", "stacks"),
    [("2", [0, 1]), ("3:5", [3, 4]), ("-2:", [4, 5]), ("::4", [0, 4]), ("99", [0, 1, 2, 3, 4, 5]), (":", [*range(6)])],
)
def test_any_part_of_a_split_is_drawn(
    word: str, stacks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path, "train")
    split = open_split(tmp_path / "Pong" / "train-random")
    drawn: list[int] = []
    picture = np.zeros((2, 3, 3), np.uint8)
    monkeypatch.setattr(record, "stack_picture", lambda split, i: drawn.append(i) or picture)
    asked = parser().parse_args([f"--plot-boxes={word}"]).plot_boxes
    assert record.plot_boxes(split, tmp_path / "plots", asked) == len(stacks) and drawn == stacks
    assert [path.name for path in sorted((tmp_path / "plots").iterdir())] == [f"stack-{i:05d}.png" for i in stacks]


@pytest.mark.parametrize("word", ["0", "-3", "x", "", "1:2:3:4", "::0", "1.5", "1:x"])
def test_what_is_no_part(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([f"--plot-boxes={word}"])
    assert "expected a number of stacks, such as 16, or a part, such as 40:50, got" in capsys.readouterr().err


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    write_split(tmp_path, "train")
    with pytest.raises(DatasetError, match="has the stacks 0 to 5, and none of those asked"):
        record.plot_boxes(open_split(tmp_path / "Pong" / "train-random"), tmp_path / "plots", slice(6, 9))
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-g", "Pongg"], "Did you mean Pong"),
        (["-g", "Pong", "--size", "0"], "size of 1 stack or more"),
        (["-g", "Pong", "--agent", ""], "--agent: expected the name of a policy, got an empty one"),
        (["-g", "Pong", "--agent", "random+random"], "--agent: the mix 'random+random' has 'random' twice"),
        (["-g", "Pong", "--agent", "nobody"], "--agent: no agent 'nobody'"),
        (["-g", "Pong", "--config", "configs/none.yaml"], "no config file"),
    ],
)
def test_errors_are_sentences(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--data-root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("create_dataset.py: ") and message in said and "Traceback" not in said


def test_who_plays_which_split(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("game: Pong\ndata: {agent: sticky-random, eval_agent: random+sticky-random}\n")

    def player(*words: str) -> str:
        args = parser().parse_args(["--config", str(file), *words])
        return record._policy(args, record._config(args)).name

    assert player() == player("-f", "test") == "sticky-random"
    assert player("-f", "validation") == "random+sticky-random"  # where pretraining looks for it
    assert player("-f", "validation", "--agent", "random") == player("--agent", "random") == "random"


def test_a_mix_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("game: Pong\ndata: {size: 2, shard_size: 1, length: 2, warmup: 5, workers: 1}\n")
    words = ["--config", str(file), "--data-root", str(tmp_path), "--agent", "random+sticky-random"]
    assert main(words) == 0
    assert f"{tmp_path / 'Pong' / 'train-random+sticky-random'}: 2 stacks" in capsys.readouterr().out


def test_labels_without_ocatari(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels.importlib.util, "find_spec", lambda _: None)
    asked = ["-g", "Pong", "-f", "test", "--size", "1", "--data-root", str(tmp_path), "--workers", "1"]
    assert main(asked) == 2
    assert "pip install --no-deps ocatari" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.*"))  # nothing begun
    assert main([*asked, "--no-labels"]) == 0


def test_killed_and_interrupted_it_goes_on(tmp_path: Path) -> None:
    """kill -9, then Ctrl-C, then to the end: the same files as without; no process stays behind."""
    file = tmp_path / "small.yaml"
    file.write_text("game: Pong\ndata: {size: 12, shard_size: 2, gap: 12, warmup: 9, workers: 2}\n")
    words = ["--config", str(file), "--data-root", str(tmp_path / "cut")]
    folder = tmp_path / "cut" / "Pong" / "train-random"

    def start_and_stop(shards: int, number: int) -> int:
        command = [sys.executable, str(SCRIPT), *words]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list(folder.glob("frames-*.npz"))) < shards and time.monotonic() < deadline:
            time.sleep(0.005)
        if number == signal.SIGKILL:
            os.kill(process.pid, number)  # the parent alone
        else:
            os.killpg(process.pid, number)  # as a terminal does: all of them
        process.wait(60)
        while time.monotonic() < deadline and _alive(process.pid):
            time.sleep(0.05)
        assert not _alive(process.pid)
        return process.returncode

    assert start_and_stop(1, signal.SIGKILL) == -signal.SIGKILL
    killed = {path: path.stat().st_mtime_ns for path in folder.glob("frames-*.npz")}
    assert 1 <= len(killed) < 6
    assert start_and_stop(len(killed) + 1, signal.SIGINT) == 130
    assert main([*words, "--workers", "1"]) == 0
    assert main([*words[:-1], str(tmp_path / "whole"), "--workers", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in killed} == killed  # kept, not recorded again
    whole = tmp_path / "whole" / "Pong" / "train-random"
    names = sorted(path.name for path in whole.iterdir())
    assert len(names) == 6 + 6 + 3
    assert all((folder / name).read_bytes() == (whole / name).read_bytes() for name in names)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_config_of_several_games_needs_one_of_them(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text("games: {Pong: {}, Boxing: {}}\ndata: {gap: 41}\n")
    config = config_of("--config", str(file), "--game", "boxing")
    assert (config.game, config.games, config.data.gap) == ("boxing", {}, 41)
    with pytest.raises(ConfigError, match=r"both\.yaml is of several games \(Pong, Boxing\): say with --game which"):
        config_of("--config", str(file))


def test_rooms(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def make(*args: object) -> dict[str, int]:
        asked.append(args)
        return {"train": 9, "test": 2}

    monkeypatch.setattr(record, "make_rooms", make)
    out = str(tmp_path / "rooms")
    assert main(["--rooms", "small", "--size", "9", "--out", out, "--seed", "4"]) == 0
    assert asked == [(Path(out), "small", 9, 4)]
    said = capsys.readouterr().out
    assert "9 pictures in train, 2 pictures in test" in said and f"configs/room-small.yaml data.pictures={out}" in said
    for words, message in (
        (["--rooms", "small", "--size", "9"], "--rooms needs --size N, pictures to train on, and --out FOLDER"),
        (["--rooms", "small", "--out", out], "--rooms needs --size N"),
        (["--rooms", "small", "--size", "9", "--out", out, "-g", "Pong", "--length", "2"], "leave game, length out"),
        (["-g", "Pong", "--out", out], "--out goes with --rooms or --env-id; a game's frames go to --data-root"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
    assert len(asked) == 1


def test_any_env_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "squares"
    words = ["--env-id", "tests.helpers.squares_env:toy/Squares-v0", "--env-kwargs", "actions:several", "length:7"]
    words += ["--size", "3", "--length", "2", "--seed", "4", "--agent", "sticky-random-2", "--warmup", "5"]
    words += ["--frame-size", "38", "32", "--boxes", "tests.helpers.squares_env:boxes", "--boxes-in", "validation"]
    assert main([*words, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 3 clips of 2 frames in train, 16 clips of 2 frames in validation, 16 clips of 2 frames in t" in said
    assert f"--config configs/balls.yaml name=squares data.pictures={out}" in said
    about = yaml.safe_load((out / "recording.yaml").read_text())
    assert about["env_kwargs"] == {"actions": "several", "length": 7} and about["agent"] == "sticky-random-2"
    assert (about["warmup"], about["seed"], about["frame_size"]) == (5, 4, [38, 32])
    assert (out / "validation" / "boxes.csv").is_file() and not (out / "test" / "boxes.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env-id", "toy/Squares-v0"], "--env-id needs --out FOLDER"),
        (["--env-id", "toy/Squares-v0", "--labels"], "RAM is not known: give a function with --boxes. Leave labels"),
        (["--env-id", "CartPole-v1", "--game", "Pong", "--root"], "no Atari game: Leave game, root out"),
        (["--env-id", "CartPole-v1", "--out", "a", "--boxes-in", "test"], "give their function with --boxes"),
        (["--env-id", "CartPole-v1", "--out", "a", "--boxes", "x"], "expected module:function, got 'x'"),
        (["--env-id", "CartPole-v1", "--out", "a", "--env-kwargs", "x"], "expected name:value"),
        (["--env-id", "CartPol-v1", "--out", "a"], "there is no env 'CartPol-v1'"),
        (["--env-id", "CartPole-v1", "--out", "a", "--agent", "random+sticky-random"], "names several"),
        (["--env-kwargs", "a:1"], "--env-kwargs goes with --env-id; a game's frames go to --data-root"),
        (["--out", "a"], "--out goes with --rooms or --env-id"),
        (["--rooms", "large", "--env-id", "CartPole-v1"], "leave env_id out"),
    ],
    ids=str,
)
def test_what_does_not_go_with_any_env(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "a").exists()
