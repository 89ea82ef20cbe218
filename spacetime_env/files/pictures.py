"""Pictures of files that nobody vouches for."""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from spacetime_env.files.reading import FileError, open_now, read_bytes
from spacetime_env.files.shown import shown_path, shown_text

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")  # others, such as EPS, start a program
PICTURE_BYTES, PICTURE_PIXELS = 1 << 26, 1 << 24


# What Pillow raises for a damaged file.
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, struct.error, LookupError, TypeError, ArithmeticError, EOFError),
    *(AssertionError, AttributeError, RuntimeError),
)


def picture_size(path: Path) -> tuple[int, int]:
    """H, W of a picture file, from its header.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it cannot be read, or is not a picture.
    """
    try:
        with open(path, "rb", opener=open_now) as file, warnings.catch_warnings():
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileError(f"{shown_path(path)} is a pipe or a device; expected a file.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
            width, height = Image.open(file, formats=FORMATS).size
            return height, width
    except (FileError, FileNotFoundError):
        raise
    except _DAMAGED as error:
        raise FileError(f"{shown_path(path)} is not a picture that can be read: {shown_text(str(error))}.") from None
    except (Image.DecompressionBombError, MemoryError) as error:
        raise FileError(f"{shown_path(path)} is too large a picture: {shown_text(str(error))}.") from None


def read_picture(path: Path) -> np.ndarray:
    """A picture file as (H, W, 3) uint8 RGB. Grey of 16 bits is scaled to 8; what is transparent is black.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it cannot be read, is not a picture, has too many pixels, or has grey values whose range is
            not known.
    """
    data = read_bytes(path, PICTURE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a bound of our own
            picture: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > PICTURE_PIXELS:
            raise FileError(
                f"{shown_path(path)} has {picture.width} x {picture.height} pixels; expected at most "
                f"{PICTURE_PIXELS:,}. A screen of an Atari has 160 x 210."
            )
        if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
            grey = np.asarray(picture).astype(np.float64) / 257  # 65535 -> 255
            return np.repeat(grey.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=-1)
        if picture.mode in ("I", "F"):
            raise FileError(
                f"{shown_path(path)} has grey values of 32 bits, whose range is not known. Save it as a PNG of 8 bits "
                "a channel."
            )
        if picture.has_transparency_data:
            whole = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", whole.size, (0, 0, 0, 255)), whole)
        return np.array(picture.convert("RGB"))
    except FileError:
        raise
    except _DAMAGED as error:
        raise FileError(f"{shown_path(path)} is not a picture that can be read: {shown_text(str(error))}.") from None
    except (Image.DecompressionBombError, MemoryError) as error:
        raise FileError(f"{shown_path(path)} is too large a picture: {shown_text(str(error))}.") from None
