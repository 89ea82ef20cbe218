"""Folders of rooms: made longer, continued, and never of two kinds. The rooms are painted by a fake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spacetime_env.data import new_rooms
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.new_rooms import make_rooms, room_rng
from spacetime_env.data.pictures import open_pictures
from spacetime_env.data.rooms import Room
from spacetime_env.locks import hold


class Painter:
    """Draws a grey of a random shade with one box; ``left`` counts down to an interruption."""

    left = 10**6

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> Painter:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def draw(self, rng: np.random.Generator) -> Room:
        type(self).left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        shade, x = rng.integers(1, 256), int(rng.integers(0, 4))
        return Room(np.full((8, 10, 3), shade, np.uint8), np.array([[x, 1, 2, 3]]), ("ball",))


@pytest.fixture(autouse=True)
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    Painter.left = 10**6
    monkeypatch.setattr(new_rooms, "RoomPainter", Painter)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_three_splits_that_are_read_as_pictures(tmp_path: Path) -> None:
    assert make_rooms(tmp_path / "a", "large", 3, 7, progress=False) == {"train": 3, "validation": 16, "test": 16}
    split = open_pictures(tmp_path / "a" / "test")
    assert len(split) == 16 and split.native == (8, 10) and split.meta.classes == ("ball",)
    rng = room_rng(7, "test", 5)
    shade, x = rng.integers(1, 256), int(rng.integers(0, 4))
    assert (split.frames([5]) == shade).all() and split.labels[5].tolist() == [[x, 1, 2, 3]]
    assert len({room_rng(seed, split, 0).integers(2**60) for seed in (0, 1) for split in ("train", "test")}) == 4


def test_a_longer_folder_has_the_same_pictures(tmp_path: Path) -> None:
    make_rooms(tmp_path / "a", "large", 2, progress=False)
    before = content(tmp_path / "a")
    assert make_rooms(tmp_path / "a", "large", 200, progress=False) == {"train": 200, "validation": 25, "test": 25}
    after = content(tmp_path / "a")
    assert all(after[name] == data for name, data in before.items() if name.endswith(".png"))
    make_rooms(tmp_path / "b", "large", 200, progress=False)
    assert content(tmp_path / "b") == after
    assert make_rooms(tmp_path / "a", "large", 2, progress=False)["train"] == 200  # nothing is taken away
    assert content(tmp_path / "a") == after


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rooms(tmp_path / "whole", "small", 9, progress=False)
    Painter.left = 5
    with pytest.raises(KeyboardInterrupt):
        make_rooms(tmp_path / "cut", "small", 9, progress=False)
    assert len((tmp_path / "cut" / "train" / "boxes.csv").read_text().splitlines()) == 6  # what was drawn is kept
    (tmp_path / "cut" / "train" / "00003.png").unlink()
    Painter.left = 10**6
    make_rooms(tmp_path / "cut", "small", 9, progress=False)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert 10**6 - Painter.left == 9 - 4 + 32
    # killed before boxes.csv was written: the pictures are drawn again
    (tmp_path / "cut" / "train" / "boxes.csv").unlink()
    make_rooms(tmp_path / "cut", "small", 9, progress=False)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected rooms of the kind large or small, got 'huge'"):
        make_rooms(tmp_path / "a", "huge", 3)
    for size, seed in ((0, 0), (10**6 + 1, 0), (3, -1)):
        with pytest.raises(DatasetError, match=r"expected a size of 1 to 1,000,000 and a seed of 0 or more"):
            make_rooms(tmp_path / "a", "large", size, seed)
    assert not (tmp_path / "a").exists()
    make_rooms(tmp_path / "a", "large", 3, progress=False)
    with pytest.raises(DatasetError, match=r"was made with other settings: .*'seed': 0.* then, .*'seed': 1"):
        make_rooms(tmp_path / "a", "large", 3, 1)
    with pytest.raises(DatasetError, match=r"'rooms': 'large'.* then, .*'rooms': 'small'"):
        make_rooms(tmp_path / "a", "small", 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(DatasetError, match=r"mine holds letter.txt and no rooms.yaml: give a new or an empty folder"):
        make_rooms(tmp_path / "mine", "large", 3)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatasetError, match=r"cannot make the folder .*file"):
        make_rooms(tmp_path / "file", "large", 3)
    (tmp_path / "a" / "test" / "boxes.csv").write_text("nonsense")
    with pytest.raises(DatasetError, match=r"boxes.csv, line 1: expected picture,x,y,w,h"):
        make_rooms(tmp_path / "a", "large", 3, progress=False)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with hold(tmp_path / "a"), pytest.raises(DatasetError, match=r"Wait for it, or give another folder with --out"):
        make_rooms(tmp_path / "a", "large", 3, progress=False)
