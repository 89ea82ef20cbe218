"""Files that lie about what they are."""

from __future__ import annotations

import io
import os
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spacetime_env.files import FileError, load_arrays, read_bytes, read_zip


def test_the_content_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    (tmp_path / "link").symlink_to(path)
    assert read_bytes(path, 3) == b"abc" == read_bytes(tmp_path / "link", 3)
    with pytest.raises(FileError, match=r"/a has 3 bytes; expected at most 2\."):
        read_bytes(path, 2)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "b", 3)


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


SPECIAL = {
    "fifo": (lambda folder: fifo(folder / "fifo"), r"is a pipe or a device; expected a file\."),
    "zero": (lambda folder: Path("/dev/zero"), r"/dev/zero is a pipe or a device; expected a file\."),
    "directory": (lambda folder: folder, r"cannot read .*: Is a directory\."),
    "loop": (lambda folder: loop(folder / "loop"), r"cannot read .*: Too many levels of symbolic links\."),
    "long": (lambda folder: folder / ("x" * 9000), r"cannot read .{1,220}: File name too long\."),
    "NUL": (lambda folder: folder / "a\0b", r"cannot read .*null"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    make, message = SPECIAL[kind]
    with pytest.raises(FileError, match=message):
        read_bytes(make(tmp_path), 1000)


def zipped(entries: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_entries_of_a_zip_file() -> None:
    entries = {"a": b"1" * 50, "b": b"2" * 50}
    assert read_zip(zipped(entries), "x.zip", 100) == entries
    for limit, most in ((99, 2), (100, 1)):
        with pytest.raises(FileError, match=rf"x.zip has 2 entries of 100 bytes.*at most {most} entries and {limit} b"):
            read_zip(zipped(entries), "x.zip", limit, most)
    with pytest.raises(FileError, match=r"another method than deflate"):
        read_zip(zipped(entries, zipfile.ZIP_LZMA), "x.zip", 100)
    with pytest.raises(FileError, match=r"x.zip is damaged: it is no zip file"):
        read_zip(b"PK", "x.zip", 100)


def test_a_directory_that_claims_less_than_there_is() -> None:
    data = zipped({"a": bytes(10_000_000)})
    small = data.replace((10_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(FileError, match=r"x.zip is damaged"):
        read_zip(small, "x.zip", 100)


def test_two_entries_of_one_name() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    with pytest.raises(FileError, match=r"x.zip is damaged: it has two entries of one name\."):
        read_zip(buffer.getvalue(), "x.zip", 100)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_arrays() -> None:
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array(["x", "yz"]), "c": np.float64(1.5)}
    found = load_arrays(npz(**arrays), "x.npz", 1000)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == np.asarray(array).dtype and (found[name] == array).all()
    found["a"][0] = 0  # they can be written to
    with pytest.raises(FileError, match=r"at most 1,000 entries and 500 bytes"):
        load_arrays(npz(a=np.zeros(500)), "x.npz", 500)


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HEADERS = {
    "claims a terabyte": header("(10**12,)".replace("10**12", str(10**12))) + bytes(5),
    "claims less": header("(4,)") + bytes(5),
    "no elements, many sides": header("(0, 10000000000000000000000)") + bytes(5),
    "negative": header("(-1, -5)") + bytes(5),
    "objects": header("(1,)", "'|O'") + bytes(8),
    "nested": header("(" * 4000 + ")" * 4000),
    "no header": b"abc",
    "version 9": b"\x93NUMPY\x09\x00" + bytes(100),
    "empty": b"",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_lie_are_refused_before_anything_is_allocated(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(np.lib.format, "read_array", lambda *given, **more: read.append(given))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match=r"x.npz is damaged: a.npy"):
        load_arrays(zipped({"a.npy": HEADERS[kind]}), "x.npz", 100_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert not read  # numpy is not asked, which would allocate what is claimed


def test_one_array_is_no_npz() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    with pytest.raises(FileError, match=r"x.npz is damaged: it is no zip file"):
        load_arrays(buffer.getvalue(), "x.npz", 1000)
