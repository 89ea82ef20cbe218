"""Which settings of a scope differ between two configs, so that what was made with one is not used with the other."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from spacetime_env.config.schema import Config
from spacetime_env.config.scope import Declared, Scope, declared
from spacetime_env.config.tree import to_dict
from spacetime_env.files import shown, shown_text

Tree = Mapping[str, Any]  # a config as to_dict() gives it, or a part of one


def differences(old: Config | Tree, new: Config | Tree, scope: Scope) -> list[str]:
    """The settings of a scope that differ, such as ``data.size: 64 then, 32 now``, in alphabetical order.

    A setting that is missing in one of the two is None there. An empty mapping is the same as a missing one: a
    checkpoint from before there were ``games`` fits a config with ``games: {}``.
    """
    then, now = settings_of(old, scope), settings_of(new, scope)
    changed = (name for name in sorted({*then, *now}) if then.get(name) != now.get(name))
    return [f"{shown_text(name)}: {shown(then.get(name))} then, {shown(now.get(name))} now" for name in changed]


def settings_of(config: Config | Tree, scope: Scope) -> dict[str, Any]:
    """Dotted name -> value of the settings in a scope.

    Args:
        config: or its tree. The tree may have keys that the schema does not have, as one of another version does; they
            are in every scope.
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
