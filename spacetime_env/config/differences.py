"""Two configs compared in one scope: whether what was made with the one can be used with the other."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from spacetime_env.config.schema import Config
from spacetime_env.config.scope import Declared, Scope, declared
from spacetime_env.config.tree import to_dict

Tree = Mapping[str, Any]  # a config as to_dict() gives it, or a part of one


def differences(old: Config | Tree, new: Config | Tree, scope: Scope) -> list[str]:
    """The settings of a scope in which two configs differ, as ``data.size: 64 then, 32 now``, in alphabetical order.

    What is missing in one of them is None there. So a tree that was written before a setting existed is the same as
    one in which the setting is empty.
    """
    then, now = settings_of(old, scope), settings_of(new, scope)
    changed = (name for name in sorted({*then, *now}) if then.get(name) != now.get(name))
    return [f"{name}: {then.get(name)!r} then, {now.get(name)!r} now" for name in changed]


def settings_of(config: Config | Tree, scope: Scope) -> dict[str, Any]:
    """The settings of a scope, by their dotted names. Keys that the schema does not have count in every scope.

    Args:
        config: or its tree; one that was written by another version may have other keys.
    """
    tree = config if isinstance(config, Mapping) else to_dict(config)
    flat = dict(_flatten(tree))
    return {name: value for name, value in flat.items() if _counts(name, scope, flat)}


@functools.cache
def _schema() -> dict[str, Declared]:
    return declared(Config)


def _flatten(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _flatten(value, name)
        else:
            yield name, value


def _counts(name: str, scope: Scope, flat: Mapping[str, Any]) -> bool:
    """Whether the setting, or the one that it is a part of (``scene.slots`` of ``scene.slots.Ball``), has the scope."""
    while name and name not in _schema():
        name = name.rpartition(".")[0]
    if not name:
        return True
    setting = _schema()[name]
    where = setting.where
    return scope in setting.scope or (
        where is not None and scope in where.scope and flat.get(where.name) == where.value
    )
