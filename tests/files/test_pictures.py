"""Pictures: grey of 16 bits, transparency, and what is no picture."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from spacetime_env.files import FileError
from spacetime_env.files.pictures import read_picture


def picture(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_grey_of_16_bits_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535], [256, 128 * 257, 255 * 257]], np.uint16)
    found = read_picture(picture(tmp_path / "a.png", Image.fromarray(values)))
    assert found.tolist() == [[[v] * 3 for v in row] for row in ((0, 1, 255), (1, 128, 255))]
    found[:] = 0  # it can be written to: torch warns of arrays that cannot


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    values = np.array([[[200, 100, 50, 255], [200, 100, 50, 0]]], np.uint8)
    assert read_picture(picture(tmp_path / "a.png", Image.fromarray(values))).tolist() == [[[200, 100, 50], [0, 0, 0]]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_of_an_unknown_range_is_refused(tmp_path: Path, dtype: Any) -> None:
    path = picture(tmp_path / "a.tiff", Image.fromarray(np.full((4, 4), 3, dtype)))
    with pytest.raises(FileError, match="grey values of 32 bits"):
        read_picture(path)


def test_pictures_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    text = PngInfo()
    text.add_text("bomb", "x" * 3_000_000, zip=True)
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    large = picture(tmp_path / "large.png", Image.new("L", (5000, 5000)))
    bomb = picture(tmp_path / "bomb.png", Image.new("L", (4, 4)), pnginfo=text)
    for path, message in (
        (tmp_path / "fifo", "is a pipe or a device"),
        (Path("/dev/zero"), "is a pipe or a device"),
        (tmp_path, "Is a directory"),
        (tmp_path / "a.eps", "is not a picture that can be read"),
        (large, "has 5000 x 5000 pixels; expected at most 16,777,216"),
        (bomb, "bomb.png is not a picture that can be read"),
    ):
        with pytest.raises(FileError, match=message):
            read_picture(path)


def test_a_palette_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """A PNG of colour type 3 without its PLTE: Pillow has an assertion there."""
    buffer = io.BytesIO()
    Image.new("P", (160, 210)).save(buffer, "PNG")
    data = buffer.getvalue()
    start = data.index(b"PLTE") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    (tmp_path / "look.png").write_bytes(data[:start] + data[start + 12 + length :])
    try:
        assert read_picture(tmp_path / "look.png").shape == (210, 160, 3)  # Pillow may show it all the same
    except FileError as error:
        assert "is not a picture that can be read" in str(error)
