"""boxes.csv: read beside its pictures, and every fault named with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spacetime_env.data.box_table import boxes_text, read_boxes
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.shards import FrameBoxes

NATIVE = (20, 30)  # H, W


def read(folder: Path, text: str | bytes) -> FrameBoxes | None:
    (folder / "boxes.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    files = [folder / "a.png", folder / "walk" / "0.png", folder / "b.png"]
    return read_boxes(folder, files, [*files, folder / "walk" / "1.png"], NATIVE)


def test_boxes_of_each_picture_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    assert read_boxes(tmp_path, [], [], NATIVE) is None
    found = read(
        tmp_path,
        "picture,x,y,w,h,class\nb.png,0,0,30,20,wall\n\nwalk/0.png,1.5,2,3,4,ball\nb.png,5,6,7,8,ball\n"
        "walk/1.png,1,1,1,1,ball\n",  # a frame that is in no stack
    )
    assert found is not None and len(found) == 3
    assert found[0].tolist() == [] and found.names_of(1) == ["ball"] and found[1].tolist() == [[1.5, 2, 3, 4]]
    assert found.names_of(2) == ["wall", "ball"] and found[2].tolist() == [[0, 0, 30, 20], [5, 6, 7, 8]]
    assert found.boxes.dtype == np.float32


def test_without_classes_each_is_an_object(tmp_path: Path) -> None:
    found = read(tmp_path, b"\xef\xbb\xbfpicture,x,y,w,h\r\na.png,1,2,3,4\r\n")  # as a spreadsheet writes it
    assert found is not None and found.names.tolist() == ["object"]
    nothing = read(tmp_path, "picture,x,y,w,h\n")
    assert nothing is not None and nothing.boxes.shape == (0, 4) and len(nothing) == 3


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [("a.png", 1.0, 2.0, 3.0, 4.5, 'a "b", c'), ("b.png", 0.0, 0.0, 30.0, 20.0, "ball")]
    found = read(tmp_path, boxes_text(rows))
    assert found is not None and found.names.tolist() == ['a "b", c', "ball"] and found[0].tolist() == [[1, 2, 3, 4.5]]


HEAD = "picture,x,y,w,h\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"boxes.csv, line 1: expected picture,x,y,w,h or picture,x,y,w,h,class, got ''"),
        ("file,x,y,w,h\n", r"line 1: expected picture,x,y,w,h .* got 'file,x,y,w,h'"),
        (HEAD + "c.png,1,1,1,1\n", r"line 2: there is no picture 'c.png' in "),
        (HEAD + "a.png,1,1,1,1\na.png,1,1,1\n", r"line 3: expected 5 values, got 4"),
        (HEAD + "a.png,1,1,one,1\n", r"line 2: w: expected a number, got 'one'"),
        (HEAD + "a.png,nan,1,1,1\n", r"line 2: x: expected a number, got 'nan'"),
        (HEAD + "a.png,1,1,1e999,1\n", r"line 2: w: expected a number"),
        (HEAD + "a.png,28,1,3,1\n", r"line 2: the box x 28, y 1, w 3, h 1 does not lie in its picture of 30 x 20"),
        (HEAD + "a.png,1,18,1,2.5\n", r"does not lie in its picture"),
        (HEAD + "a.png,-1,1,1,1\n", r"does not lie in its picture"),
        (HEAD + "a.png,1,1,0,1\n", r"does not lie in its picture"),
        ("picture,x,y,w,h,class\na.png,1,1,1,1,\n", r"line 2: class: expected a name of at most 64 letters, got ''"),
        ("picture,x,y,w,h,class\na.png,1,1,1,1," + "x" * 65, r"line 2: class: expected a name"),
        (HEAD + 'a.png,"1,1,1,1\n', r"boxes.csv is not a table of comma-separated values: "),
        (b"picture,x,y,w,h\n\xff", r"boxes.csv is not text in UTF-8"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(tmp_path, text)


def test_a_table_that_is_a_folder_or_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").mkdir()
    with pytest.raises(DatasetError, match=r"boxes.csv"):
        read_boxes(tmp_path, [], [], NATIVE)
    (tmp_path / "boxes.csv").rmdir()
    (tmp_path / "boxes.csv").symlink_to("nothing")
    with pytest.raises(DatasetError, match=r"boxes.csv leads nowhere"):
        read_boxes(tmp_path, [], [], NATIVE)
