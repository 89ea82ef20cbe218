"""Config files and settings of a command line: :func:`load_config` makes a ``Config`` of them.

A config file is YAML and names only what differs from its base, or from the defaults. An unknown key is refused with
the nearest key that exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from spacetime_env.config.schema import Config
from spacetime_env.config.tree import ConfigError, from_dict


def with_scenes(tree: Any, path: Path) -> Any:
    """The tree with the scene of each of ``games``, where it has some, and without a game and a scene of all."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict) or not tree["games"]:
        return tree
    tree = _read_scenes(tree, path, ())
    games = {name: _over(tree.get("scene"), scene) for name, scene in tree["games"].items()}
    return {"game": "", **{key: value for key, value in tree.items() if key != "scene"}, "games": games}


def _read_scenes(tree: Any, path: Path, above: tuple[Path, ...]) -> Any:
    """The tree with the scenes of those of ``games`` that are given as a file beside ``path``."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict):
        return tree
    scenes = {}
    for name, given in tree["games"].items():
        if isinstance(given, str):
            file = read_tree(_below(path, "games", given, above), above)
            if not isinstance(file, dict) or file.get("game") != name:
                raise ConfigError(f"{path}: games: {name}: {given} is not of the game {name!r}.")
            given = file.get("scene")
        scenes[name] = {} if given is None else given
    return {**tree, "games": scenes}


def read_tree(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """The tree of a file, over that of its base; ``above``: the files that led here."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(f"no config file {path}. Files beside it: {', '.join(near) or 'none'}.") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if above and not isinstance(tree, dict):  # it would be dropped without a word
        raise ConfigError(f"{path}: expected keys of Config, since {above[0]} is based on it, and got {tree!r}.")
    above = (path, *above)
    tree = _read_scenes(tree, path, above)
    if not isinstance(tree, dict) or "base" not in tree:
        return tree
    base = tree.pop("base")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected the name of a file, such as default.yaml, got {base!r}.")
    return _over(read_tree(_below(path, "base", base, above), above), tree)


def _below(path: Path, key: str, name: str, above: tuple[Path, ...]) -> Path:
    """The file that ``path`` names beside it, if that is none of those ``above``, which led here."""
    below = path.parent / name
    if below.resolve() in (one.resolve() for one in above):
        raise ConfigError(f"{path}: {key}: {name} leads back to itself.")
    return below


def _over(base: Any, tree: Any) -> Any:
    """``tree`` over ``base``: mappings are merged, all else is replaced."""
    if not isinstance(base, dict) or not isinstance(tree, dict):
        return tree
    return {**base, **{key: _over(base.get(key), value) for key, value in tree.items()}}


def set_key(tree: Any, keys: list[str], value: Any, word: str) -> Any:
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{word!r}: {keys[0]!r} is set inside a value that has no keys.")
    if len(keys) == 1:
        return {**tree, keys[0]: value}
    return {**tree, keys[0]: set_key(tree.get(keys[0]), keys[1:], value, word)}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``path`` (YAML) over the defaults, then apply ``overrides`` such as ``"train.steps=100"``.

    A file may say ``base: default.yaml``: its settings then override those of that file, which lies beside it. In
    ``games``, a game's scene is given in place or by the name of that game's config file, whose other settings are not
    used; ``scene`` beside ``games`` is what all of them start from.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a value of the wrong type.
    """
    path = Path(path)
    tree = read_tree(path)
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value, such as train.steps=100, and got {word!r}.")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"the value in {word!r} is not YAML; put quotes around it.") from None
        tree = set_key(tree, key.split("."), parsed, word)
    return from_dict(Config, with_scenes(tree, path), str(path))
