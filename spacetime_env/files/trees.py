"""YAML and JSON of files that nobody vouches for: trees of dicts, lists and scalars, with limits on their size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from spacetime_env.files.reading import FileError, read_bytes
from spacetime_env.files.shown import shown, shown_path, shown_text


def read_yaml(path: Path, limit: int = 1 << 20, nodes: int = 20_000) -> Any:
    """Parse a YAML file, as UTF-8.

    Args:
        path: of the file.
        limit: the most bytes that it may have.
        nodes: see :func:`parse_yaml`.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it cannot be read, is larger, or is not YAML, with the line.
    """
    return parse_yaml(_decoded(read_bytes(path, limit), path, "YAML"), path, nodes)


def parse_yaml(text: str, name: str | Path, nodes: int = 20_000) -> Any:
    """Parse text that is YAML. The message of an error shows none of the text but a word of it.

    Args:
        text: YAML of at most 50 levels.
        name: of the file or key that it is from, for messages.
        nodes: the most keys, values and lists that it may have, an alias counted as what it stands for.

    Raises:
        FileError: it is not YAML, has more levels or nodes, or a value that cannot be built, such as a 31st of June.
    """
    try:
        loader = _Loader(text, nodes)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        why = ": ".join(shown_text(one) for one in (error.context, error.problem) if one)
        raise FileError(f"{shown_path(name)} is not YAML ({line}{why}).") from None
    except (yaml.YAMLError, RecursionError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise FileError(f"{shown_path(name)} is not YAML ({shown_text(str(why))}).") from None


def read_json(path: Path, limit: int = 1 << 24) -> Any:
    """Parse a JSON file, as UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: it cannot be read, has more than ``limit`` bytes, or is not JSON.
    """
    return parse_json(read_bytes(path, limit), path)


def parse_json(data: bytes, name: str | Path) -> Any:
    """Parse JSON in UTF-8. ``name`` is of the file, for messages.

    Raises:
        FileError: it is not JSON, or has too many levels or digits.
    """
    text = _decoded(data, name, "JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{shown_path(name)} is not JSON ({shown_text(str(error))}).") from None


def _decoded(data: bytes, name: str | Path, kind: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"{shown_path(name)} is not {kind} (byte {error.start} is no UTF-8).") from None


class _Loader(yaml.SafeLoader):
    """The safe loader of YAML, with a limit on levels and nodes. Every error is a YAMLError."""

    LEVELS, DIGITS = 50, 400

    def __init__(self, text: str, nodes: int) -> None:
        super().__init__(text)
        self._most, self._nodes, self._level = nodes, 0, 0
        self._sizes: dict[str, int] = {}  # of the anchored nodes that are complete

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()
        mark: Any = event.start_mark
        self._level, before = self._level + 1, self._nodes
        self._nodes += 1
        if self._level > self.LEVELS:
            raise ComposerError(None, None, f"over {self.LEVELS} levels", mark)
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._sizes:
                raise ComposerError(None, None, "an alias for what it is in", mark)
            self._nodes += self._sizes[event.anchor]
        elif event.anchor is not None:
            self._sizes[event.anchor] = self._nodes - before
        if self._nodes > self._most:
            raise ComposerError(None, None, f"over {self._most} values", mark)
        self._level -= 1
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        kind = node.tag.rpartition(":")[2]
        try:
            if kind in ("int", "float") and len(node.value) > self.DIGITS:
                raise ValueError(f"over {self.DIGITS} digits")
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            problem = f"{shown(node.value if isinstance(node.value, str) else kind)} is no {kind} ({error})"
            raise ConstructorError(None, None, problem, node.start_mark) from None
