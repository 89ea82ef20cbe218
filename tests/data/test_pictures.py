"""Folders of pictures and clips as splits, and what is wrong with a folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from spacetime_env.config import ConfigError, MotionConfig
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.pictures import open_pictures
from tests.helpers.pictures import NATIVE, write_clip, write_split

MOTION = MotionConfig(closing=1)


def test_single_pictures_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "test", 5)
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    split = open_pictures(folder, name="squares")
    assert len(split) == 5 and split.native == NATIVE and split.clips == 0
    meta = split.meta
    assert (meta.game, meta.split, meta.length, meta.labels) == ("squares", "test", 1, True)
    assert meta.classes == ("bright", "dark")
    frames = split.frames([3, 0, -1])
    assert frames.shape == (3, 1, *NATIVE, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[0, 0], cv2.imread(str(folder / "003.png"))[..., ::-1])
    np.testing.assert_array_equal(frames[2], split.frames([4])[0])
    assert split.frames().shape == (5, 1, *NATIVE, 3)
    assert split.labels.names_of(3) == ["bright", "dark"] and split.labels.names_of(4) == ["bright"]
    with pytest.raises(IndexError):
        split.frames([5])


def test_at_another_size_and_some_rows(tmp_path: Path) -> None:
    split = open_pictures(write_split(tmp_path / "test", 2))
    assert split.small((19, 16)).shape == (2, 1, 19, 16, 3)
    np.testing.assert_array_equal(split.small((10, 32), rows=(4, 14))[1, 0], split.frames([1])[0, 0, 4:14])


def test_single_pictures_do_not_move(tmp_path: Path) -> None:
    split = open_pictures(write_split(tmp_path / "test", 3), motion=MOTION)
    split.prepare()
    assert len(split.motion_boxes) == 3 and not len(split.motion_boxes.boxes)
    assert split.motion_masks((7, 5)).shape == (3, 1, 7, 5) and not split.motion_masks().any()
    assert not split.targets(4)[0].any()


def test_a_clip_gives_stacks_of_frames_that_move(tmp_path: Path) -> None:
    write_clip(tmp_path / "train" / "walk", 10, boxes=True)
    write_clip(tmp_path / "train" / "short", 2)
    split = open_pictures(tmp_path / "train", 3, MOTION)
    assert len(split) == 3 and split.clips == 3  # frame 9, and the clip of two frames, are left over
    assert [split.labels[f].tolist() for f in (0, 8)] == [[[2, 10, 6, 7]], [[18, 10, 6, 7]]]
    assert split.frames([1])[0, 2, 10, 12].tolist() == [250, 250, 250]  # frame 5: from 2 + 2 * 5 on
    boxes = [split.motion_boxes[f].tolist() for f in range(9)]
    assert boxes[0] == [[2, 10, 6, 7]] and boxes[8] == [[18, 10, 6, 7]]
    mask = split.motion_masks(stacks=[2])[0, 2]
    assert mask.shape == NATIVE and mask[10:17, 18:24].all() and mask.sum() == 255 * 42
    assert split.motion_masks((19, 16), [0, 2]).shape == (2, 3, 19, 16)
    z_pres, z_where = split.targets(4)
    assert z_pres.shape == (3, 3, 16, 1) and z_pres.sum() == 9 and z_where.shape == (3, 3, 16, 4)
    assert not open_pictures(tmp_path / "train", 3).motion_masks().any()  # not looked for


def test_a_clip_is_compared_with_itself_if_asked(tmp_path: Path) -> None:
    """Two clips before two backgrounds: the median of both is neither."""
    for name, shade in (("a", 0), ("b", 200)):
        write_clip(tmp_path / "train" / name, 8)
        for file in (tmp_path / "train" / name).iterdir():
            image = cv2.imread(str(file))
            image[image == 60] = shade
            cv2.imwrite(str(file), image)
    own = open_pictures(tmp_path / "train", 2, replace(MOTION, extent="trail"))
    assert all(own.motion_boxes[f].shape == (1, 4) for f in range(16))
    common = open_pictures(tmp_path / "train", 2, MOTION)
    assert not all(common.motion_boxes[f].tolist() == own.motion_boxes[f].tolist() for f in range(16))


def test_the_background_is_the_median(tmp_path: Path) -> None:
    write_clip(tmp_path / "train" / "walk", 9)
    assert (open_pictures(tmp_path / "train").background == 60).all()


def test_without_boxes(tmp_path: Path) -> None:
    split = open_pictures(write_split(tmp_path / "test", 2, boxes=False))
    assert not split.meta.labels and split.meta.classes == ()
    with pytest.raises(DatasetError, match=r"test has no boxes.csv, so there are no true boxes"):
        split.labels  # noqa: B018
    plain = open_pictures(write_split(tmp_path / "plain", 2, classes=False))
    assert plain.meta.classes == ("object",) and plain.labels.names_of(1) == ["object", "object"]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no folder .*none. data.pictures=FOLDER has the subfolders"):
        open_pictures(tmp_path / "none")
    (tmp_path / "empty" / "clip").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"empty holds no picture: expected .png, .jpg, .jpeg, or subfolders"):
        open_pictures(tmp_path / "empty")
    write_clip(tmp_path / "clips" / "walk", 3)
    with pytest.raises(DatasetError, match=r"clips has no clip of 4 frames or more: lower data.length"):
        open_pictures(tmp_path / "clips", 4)
    folder = write_split(tmp_path / "test", 4)
    with pytest.raises(DatasetError, match=r"test has pictures that are no clips, such as 000.jpg, .* data.length=1"):
        open_pictures(folder, 2)
    with pytest.raises(DatasetError, match=r"data.length: expected 1 or more, got 0"):
        open_pictures(folder, 0)
    with pytest.raises(ConfigError, match=r"game: expected a name of letters"):
        open_pictures(folder, name="../x")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(DatasetError, match=r"cannot read the folder .*file: Not a directory"):
        open_pictures(file)


def test_pictures_that_cannot_be_used(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "test", 3)
    split = open_pictures(folder)
    whole = (folder / "001.png").read_bytes()
    (folder / "001.png").write_bytes(whole[:-40])
    with pytest.raises(DatasetError, match=r"001.png is not a picture that can be read.*Take it out of the folder"):
        split.frames()
    cv2.imwrite(str(folder / "001.png"), np.zeros((38, 31, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"001.png has \(38, 31\) pixels \(H x W\), and had \(38, 32\) before"):
        split.frames()
    with pytest.raises(DatasetError, match=r"differ in size: .*000.jpg has 38 x 32 pixels .*001.png has 38 x 31"):
        open_pictures(folder)
    (folder / "001.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"001.png is not a picture that can be read"):
        open_pictures(folder)
    (folder / "001.png").unlink()
    with pytest.raises(DatasetError, match=r"001.png is not there any more"):
        split.frames()
    with pytest.raises(DatasetError, match=r"line 3: there is no picture '001.png' in"):
        open_pictures(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    cv2.imwrite(str(folder / "wide.png"), np.zeros((2, 2049, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"wide.png has 2 x 2049 pixels; expected at most 2048 a side"):
        open_pictures(folder)
