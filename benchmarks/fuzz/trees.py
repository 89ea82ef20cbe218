"""Trees of dicts and lists with a change in them, and what such a tree is as YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from benchmarks.fuzz.values import Raw, Rng, value

Place = tuple[Any, ...]  # keys and indices that lead to a place in a tree


def places(tree: Any, at: Place = ()) -> list[Place]:
    """The way to each value of a tree, containers too, but for the root."""
    found = [at] if at else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, item in items:
        found += places(item, (*at, key))
    return found


def copied(tree: Any) -> Any:
    """A tree of its own; tensors and arrays in it are shared."""
    if isinstance(tree, dict):
        return {key: copied(item) for key, item in tree.items()}
    return [copied(item) for item in tree] if isinstance(tree, list) else tree


def mutate_tree(
    rng: Rng, tree: Any, draw: Callable[[Rng, Any], Any] = value, only: Callable[[Place], bool] | None = None
) -> tuple[Any, str]:
    """A copy of a tree with one change, and the change in words.

    Args:
        draw: gives a new value for an old one.
        only: places to choose from; None: all.
    """
    tree = copied(tree)
    chosen = [at for at in places(tree) if only is None or only(at)]
    if not chosen or rng.random() < 0.01:
        new = draw(rng, tree)
        return new, f"all = {brief(new)}"
    at = chosen[rng.integers(len(chosen))]
    above = tree
    for key in at[:-1]:
        above = above[key]
    what, name = rng.random(), ".".join(map(str, at))
    if what < 0.1:
        del above[at[-1]]
        return tree, f"{name} left out"
    if what < 0.17 and isinstance(above, dict):
        key = value(rng, at[-1], raws=False)
        key = key if isinstance(key, (str, int, float, bool, type(None))) else "other"
        above[key] = above.pop(at[-1]) if rng.random() < 0.5 else draw(rng, None)
        return tree, f"beside or in place of {name}: key {brief(key)}"
    if what < 0.22 and len(chosen) > 1:
        other = tree
        for key in chosen[rng.integers(len(chosen))]:
            other = other[key]
        above[at[-1]] = copied(other)
        return tree, f"{name} = another part of the tree"
    above[at[-1]] = draw(rng, above[at[-1]])
    return tree, f"{name} = {brief(above[at[-1]])}"


def brief(item: Any) -> str:
    """A value in some 60 letters."""
    if isinstance(item, int) and not isinstance(item, bool) and abs(item) > 10**30:
        return f"a number of {len(str(abs(item)))} digits"
    text = item.text if isinstance(item, Raw) else repr(item)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} letters)"


def to_yaml(tree: Any) -> str:
    """YAML of a tree, in which :class:`Raw` stands as it is."""
    held: list[Raw] = []

    def plain(item: Any) -> Any:
        if isinstance(item, Raw):
            held.append(item)
            return f"RAW{len(held) - 1}RAW"
        if isinstance(item, dict):
            return {plain(key): plain(one) for key, one in item.items()}
        return [plain(one) for one in item] if isinstance(item, (list, tuple)) else item

    text = yaml.safe_dump(plain(tree), sort_keys=False, allow_unicode=True)
    for number, raw in enumerate(held):
        text = text.replace(f"RAW{number}RAW", raw.text)
    return text


def mutate_text(rng: Rng, text: str) -> tuple[bytes, str]:
    """A text file with one change that a tree cannot have: encoding, indentation, lines, or other characters."""
    lines = text.splitlines(keepends=True) or [""]
    at = int(rng.integers(len(lines)))
    line = lines[at]
    ways: dict[str, Callable[[], bytes]] = {
        "UTF-16": lambda: text.encode("utf-16"),
        "Latin-1 and a letter over 127": lambda: (text + "# \xe4\n").encode("latin-1", "replace"),
        "a byte order mark": lambda: b"\xef\xbb\xbf" + text.encode(),
        "a NUL": lambda: text[: len(text) // 2].encode() + b"\0" + text[len(text) // 2 :].encode(),
        "carriage returns": lambda: text.replace("\n", "\r").encode(),
        "cut off": lambda: text.encode()[: int(rng.integers(len(text) + 1))],
        "two documents": lambda: (text + "---\n" + text).encode(),
        "an end of document": lambda: ("...\n" + text).encode(),
        "a line twice": lambda: "".join([*lines[:at], line, line, *lines[at + 1 :]]).encode(),
        "a line less": lambda: "".join(lines[:at] + lines[at + 1 :]).encode(),
        "a line further in": lambda: "".join([*lines[:at], "   " + line, *lines[at + 1 :]]).encode(),
        "a tab": lambda: "".join([*lines[:at], "\t" + line, *lines[at + 1 :]]).encode(),
        "a directive": lambda: ("%YAML 9.9\n---\n" + text).encode(),
        "no colon": lambda: "".join([*lines[:at], line.replace(":", ""), *lines[at + 1 :]]).encode(),
        "nothing": lambda: b"",
        "5000 levels of blocks": lambda: b"- " * 5000,
        "a comment of 1 MB": lambda: (text + "#" + "x" * 10**6).encode(),
    }
    name = list(ways)[rng.integers(len(ways))]
    return ways[name](), name


def to_json(rng: Rng, tree: Any) -> bytes:
    """JSON of a tree; now and then a document that no tree gives."""
    if rng.random() < 0.1:
        odd = (
            "[" * 100_000,
            "9" * 5000,
            "{}",
            "[]",
            "null",
            "NaN",
            "1e999",
            '{"a":1,"a":2}',
            "{",
            '"\\ud800"',
            "",
            "\xff",
        )
        return odd[rng.integers(len(odd))].encode("latin-1")
    return json.dumps(tree, default=str).encode()
