"""Dataclasses to trees of dicts, lists and scalars, as YAML has them, and back, with every key and type checked."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

from spacetime_env.files import did_you_mean, is_number, shown, shown_names, shown_text

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
        raise ConfigError(f"{where}: expected keys of {cls.__name__}, got {shown(tree)}.")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in tree:
        if key not in names:
            hint = did_you_mean(key, names) or f"Keys: {shown_names(names)}."
            raise ConfigError(f"{where}: unknown key {shown(key)}. {hint}")
    for needed in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = needed.default is dataclasses.MISSING and needed.default_factory is dataclasses.MISSING
        if required and needed.name not in tree:
            raise ConfigError(f"{where}: {needed.name!r} is missing.")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()}
    try:
        made = cls(**values)
        require_ranges(made)
    except ConfigError as error:  # of a range or of the dataclass itself
        raise ConfigError(f"{where}: {error}") from None
    return made


def require_plain(name: str, key: str) -> None:
    """Refuse a name that is to be a part of a path, and could lead out of its folder.

    Raises:
        ConfigError: it is empty or long, begins with a dot, or has anything but letters, digits, and ``_ . + - = ,``.
    """
    if not re.fullmatch(r"[\w+=-][\w.+=, -]{0,199}", name):
        raise ConfigError(
            f"{key}: expected a name of letters, digits, _, ., + and - (not a path), got {shown(name)}."
        )


def in_range(least: float | None, most: float | None) -> dict[str, Any]:
    """The metadata of a dataclass's field whose numbers lie in a range, both ends included; None: no end."""
    return {"range": (least, most)}


def range_of(cls: type, name: str) -> dict[str, Any]:
    """The metadata of a field whose range is that of field ``name`` of another dataclass."""
    return {"range": {field.name: field.metadata for field in dataclasses.fields(cls)}[name]["range"]}


def require_ranges(config: Any) -> None:
    """Refuse a dataclass with a number out of the range of its field, so that none makes an array of any size.

    The numbers in lists and mappings count too. In a field with a range, no number is NaN or infinite.

    Raises:
        ConfigError: naming the field, its range and what came.
    """
    for field in dataclasses.fields(config):
        if "range" in field.metadata:
            least, most = field.metadata["range"]
            value = getattr(config, field.name)
            for number in _numbers(value):
                low, high = -math.inf if least is None else least, math.inf if most is None else most
                if not (low <= number <= high and abs(number) < math.inf):
                    words = f"at most {most}" if least is None else f"{least} or more" if most is None else ""
                    words = words or f"{least} to {most}"
                    raise ConfigError(f"{field.name}: expected {words}, got {shown(number)}.")


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a value, in its lists and in its mappings."""
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, (tuple, list, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(item)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """The value as a field of type ``hint`` has it; ``where`` names the key in messages."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    if origin is Literal:
        if isinstance(value, bool) and {"on", "off"} <= set(args):  # YAML reads on and off as true and false
            value = "on" if value else "off"
        if value not in args:
            raise ConfigError(f"{where}: expected one of {', '.join(map(repr, args))}, got {shown(value)}.")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        choices = [a for a in args if a is not type(None)]
        listed = [a for a in choices if (typing.get_origin(a) is tuple) == isinstance(value, (list, tuple))]
        return _convert((listed or choices)[0], value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {shown(value)}.")
        if args[-1] is Ellipsis:
            return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        if len(value) != len(args):
            raise ConfigError(f"{where}: expected {len(args)} values, got {shown(value)}.")
        return tuple(
            _convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected name: value pairs, got {shown(value)}.")
        named = ((k, v, f"{where}.{shown_text(str(k), 60)}") for k, v in value.items())
        return {_convert(args[0], k, where): _convert(args[1], v, name) for k, v, name in named}
    if hint is float:
        if isinstance(value, str):  # YAML reads 1e-3 as text
            with contextlib.suppress(ValueError):
                return _convert(hint, float(value), where)
        if is_number(value):
            return float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    finite = " that is finite" if hint is float and type(value) in (int, float) else ""
    raise ConfigError(f"{where}: expected {hint.__name__}{finite}, got {shown(value)}.")
