"""Recording an env that is no Atari game: its frames and boxes, splits that differ, and what stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env.data import env_recording
from spacetime_env.data.env_players import RandomActions
from spacetime_env.data.env_recording import EnvRecording, record_env, recorded_env
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.pictures import PictureSplit, open_pictures
from spacetime_env.data.true_boxes import TrueBoxes
from spacetime_env.envs.frames import FrameError
from spacetime_env.locks import hold
from tests.helpers.squares_env import COLORS, NATIVE, SIDES, Squares

ASKED = EnvRecording("toy/Squares-v0", size=5, length=3, warmup=12, frame_size=NATIVE)
BOXES = "tests.helpers.squares_env:boxes"


def record(folder: Path, asked: EnvRecording = ASKED, boxes: str = BOXES, hold_for: float = 1.0) -> dict[str, int]:
    return record_env(folder, asked, RandomActions(hold_for), TrueBoxes(boxes) if boxes else None, progress=False)


def opened(folder: Path, split: str = "test") -> PictureSplit:
    return open_pictures(folder / split, 3)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.*")) if file.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "squares"
    assert record(folder) == {"train": 5, "validation": 16, "test": 16}
    return folder


def test_frames_and_boxes_of_three_splits(whole: Path) -> None:
    """The frames are the env's at half the size, an object is where its colour is, and it moves within a clip."""
    test = opened(whole)
    assert test.native == NATIVE and len(test) == 16 and test.meta.classes == ("Ball", "Hero")
    frames = test.frames().reshape(-1, *NATIVE, 3)
    for f, frame in enumerate(frames):
        assert test.labels.names_of(f) == ["Hero", "Ball"]
        for name, (x, y, w, h) in zip(COLORS, test.labels[f], strict=True):
            assert (w, h) == SIDES[name]
            found = (frame == COLORS[name]).all(-1)
            assert found[int(y) : int(y + h), int(x) : int(x + w)].mean() > 0.7 or name == "Hero"  # one may hide it
    ball = test.labels.boxes[1::2, 0].reshape(16, 3)
    assert (np.diff(ball) % 28 == 2).all()  # a step of the env between two frames, within one episode
    assert not (whole / "train" / "boxes.csv").exists() and not opened(whole, "validation").meta.labels
    clips = [opened(whole, split).frames()[:, 0].tobytes() for split in ("train", "validation", "test")]
    assert len(set(clips)) == 3


def test_what_moves_is_found_in_it(whole: Path) -> None:
    from spacetime_env.config import MotionConfig

    train = open_pictures(whole / "test", 3, MotionConfig(background="median"))
    found = sum(len(train.motion_boxes[f]) for f in range(48))
    assert found > 48  # the ball always, and the hero where it walked


def test_it_says_what_it_is_of(whole: Path) -> None:
    about = yaml.safe_load((whole / "recording.yaml").read_text())
    assert about["env_id"] == "toy/Squares-v0" and about["frame_size"] == [38, 32] and about["rendered"] == [76, 64]
    assert about["agent"] == "random" and about["boxes"] == BOXES and about["boxes_in"] == ["test"]
    assert {"spacetime_env", "gymnasium"} <= set(about["versions"])
    assert recorded_env(whole) == "toy/Squares-v0" and recorded_env(whole / "train") == ""


def test_a_clip_depends_on_its_number_alone(whole: Path, tmp_path: Path) -> None:
    """A longer recording has the same clips, and another seed has others; the versions may be others by then."""
    record(tmp_path / "a", replace(ASKED, size=2))
    file = tmp_path / "a" / "recording.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "versions": {"gymnasium": "0"}}))
    assert record(tmp_path / "a")["train"] == 5
    same, other = content(tmp_path / "a"), content(whole)
    assert {name: same[name] for name in other if "yaml" not in name} == {
        name: data for name, data in other.items() if "yaml" not in name
    }
    record(tmp_path / "b", replace(ASKED, seed=1, size=1))
    assert content(tmp_path / "b")["train/00000/000.png"] != other["train/00000/000.png"]


def test_it_goes_on_where_it_was_stopped(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, left = env_recording.save, [25]

    def stops(path: Path, data: bytes) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        saved(path, data)

    monkeypatch.setattr(env_recording, "save", stops)
    for _ in range(3):  # in the middle of clips of several splits
        left[0] = 25
        with pytest.raises(KeyboardInterrupt):
            record(tmp_path / "cut")
    left[0] = -1
    record(tmp_path / "cut")
    assert content(tmp_path / "cut") == content(whole)


def test_boxes_in_validation_and_none(tmp_path: Path) -> None:
    record(tmp_path / "a", replace(ASKED, size=1, boxes_in=("validation", "test")))
    assert opened(tmp_path / "a", "validation").meta.classes == ("Ball", "Hero")
    record(tmp_path / "b", replace(ASKED, size=1, frame_size=None), boxes="")
    assert opened(tmp_path / "b").native == (76, 64) and not opened(tmp_path / "b").meta.labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size: expected 1 to 1,000,000, got 0"),
        ({"length": 0}, "length: expected 1 to 1,000, got 0"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"warmup": -1}, "warmup: expected 0 to"),
        ({"frame_size": (38, 4000)}, "frame_size: expected 1 to 2,048, got 4000"),
        ({"boxes_in": ("train",)}, "true boxes are for validation and test.*got 'train'"),
        ({"length": 11}, r"no clip of 11 frames in 1000 tries: the episodes of toy/Squares-v0 end before"),
        ({"kwargs": {"render_mode": object()}}, "expected plain options"),
    ],
)
def test_what_cannot_be_recorded(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        record(tmp_path / "a", replace(ASKED, **change))
    assert not (tmp_path / "a" / "train" / "00000").exists()


def test_folders_of_other_things(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"was made with other settings: .*'length': 3.* then, .*'length': 4"):
        record(whole, replace(ASKED, length=4))
    with pytest.raises(DatasetError, match=r"'agent': 'random'.* then, .*'agent': 'sticky-random'"):
        record(whole, hold_for=8.0)
    (tmp_path / "letter.txt").write_text("x")
    with pytest.raises(DatasetError, match=r"holds letter.txt and no recording.yaml"):
        record(tmp_path)
    (tmp_path / "held").mkdir()
    with hold(tmp_path / "held"), pytest.raises(DatasetError, match="Wait for it, or give another folder with --out"):
        record(tmp_path / "held")


def test_an_env_that_shows_nothing_or_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Squares, "render", lambda self: None)
    with pytest.raises(FrameError, match="to give a picture, uint8 RGB of shape"):
        record(tmp_path / "a")
    monkeypatch.setattr(Squares, "render", lambda self: np.zeros((5, 2049, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"renders 5 x 2049 pixels .*at most 2048 a side. Record it smaller"):
        record(tmp_path / "a", replace(ASKED, frame_size=None))
    assert not (tmp_path / "a").exists()
