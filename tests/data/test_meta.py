"""``meta.yaml``, the index, shards, motion and backgrounds that are not what they should be."""

from __future__ import annotations

import io
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from spacetime_env.data.meta import DatasetError, read_meta
from spacetime_env.data.shards import read_shard
from spacetime_env.data.split import open_split
from tests.helpers.tiny import write_split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_split(tmp_path, "train")


def change(folder: Path, **values: Any) -> None:
    tree = yaml.safe_load((folder / "meta.yaml").read_text())
    (folder / "meta.yaml").write_text(yaml.safe_dump(tree | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 10**12}, "size: expected 1 to 10000000, got 1000000000000"),
        ({"size": 0}, "size: expected 1 to 10000000"),
        ({"size": 10**7, "shard_size": 1}, "is not complete"),
        ({"length": 10**30}, "length: expected 1 to 10000"),
        ({"shard_size": 0}, "shard_size: expected 1 to 1000000, got 0"),
        ({"shard_size": -5}, "shard_size: expected 1 to 1000000, got -5"),
        ({"native": [10**6, 10**6]}, "native: expected 1 to 2048"),
        ({"native": [2048, 2048], "shard_size": 10**6, "size": 10**6}, "a file has at most 2,147,483,648"),
        ({"game": "../../x"}, "game: expected a name of letters"),
        ({"split": "a/b"}, "split: expected a name of letters"),
        ({"agent": "../.."}, "agent: expected a name of letters"),
        ({"trail": f"mode of {'9' * 5000}"}, "trail: expected such as 'mode of 64', or '' for none, got 'mode of 9"),
        ({"trail": "mode"}, "trail: expected such as"),
        ({"format": ["x" * 10**6] * 3}, "expected at most 1,048,576"),
        ({"format": [["x"] * 900] * 9}, "expected format 1, got "),
    ],
)
def test_numbers_and_names_out_of_range(folder: Path, values: dict[str, Any], message: str) -> None:
    change(folder, **values)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DatasetError, match=message) as caught:
        open_split(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000 and len(str(caught.value)) < 900  # kB


def test_an_index_of_names_that_no_file_has(folder: Path) -> None:
    (folder / "index.yaml").write_text(yaml.safe_dump({"x" * 5000: "0" * 64}))
    with pytest.raises(DatasetError, match="is not complete: 1 of "):
        open_split(folder)


@pytest.mark.parametrize("name", ["meta.yaml", "index.yaml", "frames-00000.npz"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "directory", "loop"])
def test_files_that_are_no_files(folder: Path, name: str, kind: str) -> None:
    meta = read_meta(folder)
    spoil(folder / name, kind)
    with pytest.raises(DatasetError, match=r"is a pipe or a device|Is a directory|Too many levels"):
        if name.startswith("frames"):
            read_shard(folder, meta, 0)
        else:
            open_split(folder)


def spoil(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else kind)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ids=np.zeros(5_000_000, np.uint8))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "message"), [(npy, "it is no zip file"), (bomb, "bytes when unpacked; expected at most")]
)
def test_shards_that_are_something_else(folder: Path, make: Callable[[], bytes], message: str) -> None:
    (folder / "frames-00000.npz").write_bytes(make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DatasetError, match=rf"frames-00000.npz .*{message}.*Delete it and run"):
        read_shard(folder, read_meta(folder), 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


SPOILED = ["empty", "junk", "npy", "huge", "fifo", "/dev/zero", "directory", "loop"]


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("name", ["background-mode.png", "motion-00000.npz"])
def test_what_is_made_of_the_frames_is_made_again(folder: Path, name: str, kind: str) -> None:
    split = open_split(folder)
    split.prepare()
    background, boxes = split.background, split.motion_boxes.boxes
    path = folder / name
    if kind in ("empty", "junk", "npy", "huge"):
        picture = cv2.imencode(".png", np.zeros((3000, 3000), np.uint8))[1].tobytes()
        path.write_bytes({"empty": b"", "junk": b"junk" * 9, "npy": npy(), "huge": picture}[kind])
    else:
        spoil(path, kind)
    again = open_split(folder)
    assert (again.background == background).all() and (again.motion_boxes.boxes == boxes).all()


@pytest.mark.parametrize("name", ["x" * 8000, "x/" * 4000])
def test_a_path_of_many_letters_is_cut(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError) as raised:
        read_meta(tmp_path / name)
    assert len(str(raised.value)) < 2000
