"""Dataclasses to trees of dicts, lists and scalars, as YAML has them, and back, with every key and type checked."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message says which key, what was expected and what came."""


def to_dict(config: Any) -> dict[str, Any]:
    """The config as dicts, lists and scalars, which YAML can hold and :func:`from_dict` reads."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return value

    return plain(config)


def from_dict(cls: type[T], tree: Any, where: str = "config") -> T:
    """Build the dataclass ``cls`` from a mapping, checking every key and type.

    Raises:
        ConfigError: naming the key, what was expected and what came.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected keys of {cls.__name__}, got {tree!r}.")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in tree:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Keys: {', '.join(names)}."
            raise ConfigError(f"{where}: unknown key {key!r}. {hint}")
    for needed in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = needed.default is dataclasses.MISSING and needed.default_factory is dataclasses.MISSING
        if required and needed.name not in tree:
            raise ConfigError(f"{where}: {needed.name!r} is missing.")
    return cls(**{key: _convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    """The value as a field of type ``hint`` has it; ``where`` names the key in messages."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    if origin is Literal:
        if isinstance(value, bool) and {"on", "off"} <= set(args):  # YAML reads on and off as true and false
            value = "on" if value else "off"
        if value not in args:
            raise ConfigError(f"{where}: expected one of {', '.join(map(repr, args))}, got {value!r}.")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        choices = [a for a in args if a is not type(None)]
        listed = [a for a in choices if (typing.get_origin(a) is tuple) == isinstance(value, (list, tuple))]
        return _convert((listed or choices)[0], value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {value!r}.")
        if args[-1] is Ellipsis:
            return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        if len(value) != len(args):
            raise ConfigError(f"{where}: expected {len(args)} values, got {value!r}.")
        return tuple(
            _convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected name: value pairs, got {value!r}.")
        return {_convert(args[0], k, where): _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float:
        if isinstance(value, str):  # YAML reads 1e-3 as text
            try:
                return float(value)
            except ValueError:
                pass
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}.")
