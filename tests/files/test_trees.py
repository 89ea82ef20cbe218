"""YAML and JSON that cannot be built, or would be too large."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from spacetime_env.files import FileError, parse_json, parse_yaml, read_json, read_yaml

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_trees(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &x [1, 2.5, é]\nb: *x\nc: *x\n", encoding="utf-8")
    both = [1, 2.5, "é"]
    assert read_yaml(tmp_path / "a.yaml") == {"a": both, "b": both, "c": both}
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": both}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: !!bool foo", r"x.yaml is not YAML \(line 2: 'foo' is no bool"),
        ("!!bool ''", "line 1: .* is no bool"),
        ("!!int x", "is no int"),
        ("!!int ''", "is no int"),
        ("!!int _", "is no int"),
        ("!!float x", "is no float"),
        ("!!float ''", "is no float"),
        ("a: 2001-99-99", "is no timestamp"),
        ("!!timestamp '2001-02-30'", "is no timestamp"),
        ("!!timestamp x", "is no timestamp"),
        ("a: " + "9" * 5000, r"is no int \(over 400 digits\)"),
        ("a: 1" + ":10" * 100_000, r"is no int \(over 400 digits\)"),
        ("[" * 10_000, "over 50 levels"),
        ("- " * 10_000, "over 50 levels"),
        (ALIASES, "is not YAML .line [5-7]: over 20000 values"),
        ("&a [*a]", "an alias for what it is in"),
        ("a: [1, 2", "is not YAML .line 1: "),
        ("a: *b", "undefined alias"),
        ("!!python/object:os.system x", "could not determine a constructor"),
        ("a: \x00", r"x.yaml is not YAML"),
        ("? [1, 2]\n: 3", "unhashable key"),
        ("<<: 5", "is not YAML .line 1: "),
        ("a: 1\n---\nb: 2", "is not YAML .line 2: "),
    ],
)
def test_yaml_that_cannot_be_built(text: str, says: str) -> None:
    began = time.perf_counter()
    with pytest.raises(FileError, match=says) as caught:
        parse_yaml(text, "x.yaml")
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)
    assert time.perf_counter() - began < 5


def test_bounds_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 11)
    for read in (read_yaml, read_json):
        with pytest.raises(FileError, match="expected at most 10"):
            read(tmp_path / "a", 10)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "b", 10)
    (tmp_path / "a").write_bytes(b"a: \xff")
    with pytest.raises(FileError, match=r"/a is not YAML \(byte 3 is no UTF-8\)\."):
        read_yaml(tmp_path / "a")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "9" * 5000, ""])
def test_json_that_cannot_be_built(text: str) -> None:
    with pytest.raises(FileError, match=r"x.json is not JSON"):
        parse_json(text.encode(), "x.json")
