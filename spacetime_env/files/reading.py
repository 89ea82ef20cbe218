"""Reading files that nobody vouches for.

Such a file may be anything: a pipe, a device, or a few bytes that say that they are gigabytes. So each function here
takes the most that the caller expects, and looks at what is claimed before it allocates. What it refuses is a
:class:`FileError`. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from spacetime_env.files.shown import shown, shown_path, shown_text


class FileError(ValueError):
    """A file that cannot be read, or is not what it should be; the message names it, and a line where there is one."""


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a regular file.

    Args:
        path: of the file; a link to one will do. Pipes and devices are refused, and never waited for.
        limit: the most bytes that it may have.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it is no regular file, is larger, or cannot be read.
    """
    try:
        with open(path, "rb", opener=open_now) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise FileError(f"{shown_path(path)} is a pipe or a device; expected a file.")
            if found.st_size > limit:
                raise FileError(f"{shown_path(path)} has {found.st_size:,} bytes; expected at most {limit:,}.")
            return file.read(found.st_size)
    except FileNotFoundError:
        raise
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise FileError(f"cannot read {shown_path(path)}: {getattr(error, 'strerror', None) or error}.") from None


def open_now(path: str, flags: int) -> int:
    """``os.open`` that does not wait until somebody writes into a pipe. A system without pipes has no O_NONBLOCK."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# What zipfile, numpy and json raise on bytes that are cut off or changed. RuntimeError includes RecursionError.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, MemoryError, OverflowError),
    *(ValueError, TypeError, LookupError, SyntaxError, AttributeError, AssertionError, tokenize.TokenError),
)


def open_zip(data: bytes, name: str | Path, limit: int, entries: int = 1000) -> zipfile.ZipFile:
    """A zip file whose directory was looked at: whoever reads its entries gets at most ``limit`` bytes in all.

    Args:
        data: the file.
        name: of the file, for messages.
        limit: the most bytes that its entries may have together, unpacked.
        entries: the most entries that it may have.

    Raises:
        FileError: it is no zip file, is larger, has two entries of one name, or is encrypted or packed with another
            method than deflate. (The others unpack without a limit.)
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGED as error:
        raise FileError(f"{shown_path(name)} is damaged: it is no zip file ({shown_text(str(error))}).") from None
    found = archive.infolist()
    size = sum(info.file_size for info in found)
    if len(found) > entries or size > limit:
        raise FileError(
            f"{shown_path(name)} has {len(found):,} entries of {size:,} bytes when unpacked; expected at most "
            f"{entries:,} entries and {limit:,} bytes."
        )
    if len({info.filename for info in found}) < len(found):
        raise FileError(f"{shown_path(name)} is damaged: it has two entries of one name.")
    if any(
        info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1 for info in found
    ):
        raise FileError(f"{shown_path(name)} is encrypted, or packed with another method than deflate.")
    return archive


def read_zip(data: bytes, name: str | Path, limit: int, entries: int = 1000) -> dict[str, bytes]:
    """All entries of a zip file, by their names, with their checksums compared.

    Args and errors are those of :func:`open_zip`; it is also an error if an entry is damaged.
    """
    archive = open_zip(data, name, limit, entries)
    try:
        return {info.filename: archive.read(info) for info in archive.infolist()}
    except _DAMAGED as error:
        raise FileError(f"{shown_path(name)} is damaged ({shown_text(str(error))}).") from None


def load_arrays(data: bytes, name: str | Path, limit: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by their names.

    Args:
        data: the file.
        name: of the file, for messages.
        limit: the most bytes that its arrays may have together, with their headers.

    Raises:
        FileError: it is no .npz file, is larger or damaged, or has an array of Python objects.
    """
    archive = open_zip(data, name, limit)
    arrays = {}
    for info in archive.infolist():
        try:
            _check_header(archive, info)
            with archive.open(info) as entry:
                arrays[info.filename.removesuffix(".npy")] = np.lib.format.read_array(entry, allow_pickle=False)
                if entry.read(1):  # also compares the checksum
                    raise ValueError("there are bytes after an array")
        except _DAMAGED as error:
            why = shown_text(str(error))
            raise FileError(f"{shown_path(name)} is damaged: {shown_text(info.filename)} ({why}).") from None
    return arrays


def _check_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Compare the size that an array's header claims with the size of the entry. NumPy allocates what it claims.

    Raises:
        ValueError: they differ, or it is no header of an array of numbers or text.
    """
    with archive.open(info) as entry:
        version = np.lib.format.read_magic(entry)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"expected version 1.0 or 2.0 of the .npy format, got {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(entry)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are never unpickled")
        there = info.file_size - entry.tell()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != there:
            raise ValueError(f"its header claims {shown(shape)} of {shown_text(str(dtype))}, and has {there} bytes")
