"""Config files and settings of a command line: :func:`load_config` makes a ``Config`` of them.

A config file is YAML and names only the settings that differ from its base, or from the defaults. Its content is called
a tree here: dicts, lists and scalars, before the keys are checked. An unknown key is refused with the nearest key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacetime_env.config.schema import Config
from spacetime_env.config.tree import ConfigError, from_dict
from spacetime_env.files import FileError, parse_yaml, read_yaml, shown, shown_path, shown_text

DEEPEST = 32  # parts of a key, as in model.encoder.norm


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file, then apply settings such as ``"train.steps=100"``.

    A file may say ``base: default.yaml``: its settings then override those of that file, which lies beside it. In
    ``games``, the scene of a game is given in place, or by the name of the game's config file, of which only the scene
    is used. ``scene`` beside ``games`` is the base of all scenes.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a value of the wrong type.
    """
    path = Path(path)
    tree = _read(path)
    for setting in overrides:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value, such as train.steps=100, and got {shown(setting)}.")
        try:
            parsed = parse_yaml(value, shown_text(name))
        except FileError as error:
            raise ConfigError(f"the value in {shown(setting)} is not YAML; put quotes around it. {error}") from None
        tree = _set(tree, name.split("."), parsed, setting)
    return from_dict(Config, _without_game(_with_common_scene(tree, path)), str(path))


def _read(path: Path, readers: tuple[Path, ...] = ()) -> Any:
    """The tree of a config file, merged over that of its base.

    Args:
        readers: the files whose ``base`` or ``games`` led here, the nearest first.
    """
    try:
        tree = read_yaml(path)
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        beside = shown_text(", ".join(near) or "none")
        raise ConfigError(f"no config file {shown_path(path)}. Files beside it: {beside}.") from None
    except FileError as error:
        raise ConfigError(str(error)) from None
    tree = {} if tree is None else tree
    if readers and not isinstance(tree, dict):  # merging would drop it without an error
        raise ConfigError(f"{path}: expected keys of Config, since {readers[0]} is based on it.")
    readers = (path, *readers)
    tree = _read_scenes(tree, path, readers)
    if not isinstance(tree, dict) or "base" not in tree:
        return tree
    base = tree.pop("base")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected the name of a file, such as default.yaml, got {shown(base)}.")
    return _merge(_read(_beside(path, "base", base, readers), readers), tree)


def _read_scenes(tree: Any, path: Path, readers: tuple[Path, ...]) -> Any:
    """The tree, in whose ``games`` each name of a file is replaced by the scene of that file."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict):
        return tree
    scenes = {}
    for name, given in tree["games"].items():
        if isinstance(given, str):
            file = _read(_beside(path, "games", given, readers), readers)
            if not isinstance(file, dict) or file.get("game") != name:
                title = f"{path}: games: {shown_text(str(name))}"
                raise ConfigError(f"{title}: {shown_text(given)} is not of the game {shown(name)}.")
            given = file.get("scene")
        scenes[name] = {} if given is None else given
    return {**tree, "games": scenes}


def _with_common_scene(tree: Any, path: Path) -> Any:
    """The tree of several games, in which ``scene`` is merged into each game's scene, and ``game`` is empty."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict) or not tree["games"]:
        return tree
    tree = _read_scenes(tree, path, ())
    games = {name: _merge(tree.get("scene"), scene) for name, scene in tree["games"].items()}
    return {"game": "", **{key: value for key, value in tree.items() if key != "scene"}, "games": games}


def _without_game(tree: Any) -> Any:
    """The tree of a run of pictures, in which ``game`` is empty unless it is given."""
    pictures = isinstance(tree, dict) and isinstance(tree.get("data"), dict) and tree["data"].get("pictures")
    return {"game": "", **tree} if pictures else tree


def _beside(path: Path, key: str, name: str, readers: tuple[Path, ...]) -> Path:
    """The file ``name`` beside ``path``, unless it is one of the files that led here, or is no YAML by its name.

    A config may be anyone's, and a message shows a word of what is in a file: so not of just any file.
    """
    other = path.parent / name
    if other.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: {key}: expected the name of a config file, NAME.yaml, got {shown(name)}.")
    if os.path.realpath(other) in (os.path.realpath(reader) for reader in readers):  # resolve() raises in a loop
        raise ConfigError(f"{path}: {key}: {shown_text(name)} leads back to itself.")
    return other


def _merge(base: Any, tree: Any) -> Any:
    """``tree`` over ``base``: mappings are merged key by key, all else is replaced."""
    if not isinstance(base, dict) or not isinstance(tree, dict):
        return tree
    return {**base, **{key: _merge(base.get(key), value) for key, value in tree.items()}}


def _set(tree: Any, keys: list[str], value: Any, setting: str) -> Any:
    """The tree with another value at ``keys``, as ``setting`` asks for on the command line."""
    if tree is None:
        tree = {}
    if len(keys) > DEEPEST:
        raise ConfigError(f"{shown(setting)}: expected a key of at most {DEEPEST} parts, got {len(keys)}.")
    if not isinstance(tree, dict):
        raise ConfigError(f"{shown(setting)}: {shown(keys[0])} is set inside a value that has no keys.")
    if len(keys) == 1:
        return {**tree, keys[0]: value}
    return {**tree, keys[0]: _set(tree.get(keys[0]), keys[1:], value, setting)}
