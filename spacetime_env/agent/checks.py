"""Checks of single values from a file or a command line: their type and range, with a sentence on what is expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import did_you_mean, is_whole, shown, shown_names

Check = Callable[[Any], Any]  # the value that is meant, or ValueError with what is expected


def whole(least: int, most: int) -> Check:
    """A whole number, also as text or float, since YAML reads 1e6 as text and 2e5 as a float with ``!!float``."""
    says = f"a whole number from {least:,} to {most:,}"

    def check(value: Any) -> int:
        found = value if is_whole(value) else _number(value, says)
        if not least <= found <= most or found != int(found):
            raise ValueError(says)
        return int(found)

    return check


def number(least: float = -math.inf, most: float = math.inf, above: bool = False) -> Check:
    """A finite number; with ``above``, ``least`` itself is refused."""
    edges = [f"{'over' if above else 'from'} {least:g}" * (least > -math.inf), f"up to {most:g}" * (most < math.inf)]
    says = " ".join(["a finite number", *(edge for edge in edges if edge)])

    def check(value: Any) -> float:
        found = _number(value, says)
        if not least <= found <= most or (above and found == least):
            raise ValueError(says)
        return value if is_whole(value) else found

    return check


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def optional(check: Check) -> Check:
    """None, or what ``check`` takes."""

    def either(value: Any) -> Any:
        if value is None:
            return None
        try:
            return check(value)
        except ValueError as error:
            raise ValueError(f"None or {error}") from None

    return either


def auto(check: Check) -> Check:
    """``auto``, ``auto_0.1``, or what ``check`` takes."""

    def either(value: Any) -> Any:
        if isinstance(value, str) and (value == "auto" or value.startswith("auto_")):
            number(0, above=True)(value.partition("_")[2] or 1.0)
            return value
        try:
            return check(value)
        except ValueError as error:
            raise ValueError(f"auto or {error}") from None

    return either


def _number(value: Any, says: str) -> float:
    text = isinstance(value, str) and len(value) <= 64
    if isinstance(value, bool) or not (text or isinstance(value, (int, float))):
        raise ValueError(says)
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError(says) from None
    if not math.isfinite(found):
        raise ValueError(says)
    return found


def table_of(checks: Mapping[str, Check]) -> Check:
    """Names and values, of which each has its check; other names are refused."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError(f"names and values, such as dict({next(iter(checks))}=...)")
        return {key: checked(item, key, checks) for key, item in value.items()}

    return check


def checked(value: Any, key: Any, checks: Mapping[str, Check]) -> Any:
    """A value as its check gives it.

    Raises:
        AgentError: no such name, or the value has another type or is out of range.
    """
    if not isinstance(key, str) or key not in checks:
        hint = did_you_mean(key, checks) or f"Known: {shown_names(checks)}."
        raise AgentError(f"there is no setting {shown(key)}. {hint}")
    try:
        return checks[key](value)
    except AgentError:
        raise
    except ValueError as error:
        raise AgentError(f"{key}: expected {error}, got {shown(value)}.") from None
