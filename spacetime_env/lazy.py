"""Packages whose public names are loaded on their first use (PEP 562), so that importing the package stays light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def lazy_names(
    package: str, contents: Mapping[str, str], submodules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name, such as ``spacetime_env.models``.
        contents: public name -> the module of the package that has it.
        submodules: modules of the package that are public themselves.

    Returns:
        ``__getattr__``, which raises AttributeError for a name that is neither in ``contents`` nor in ``submodules``,
        and ``__dir__``.
    """

    def get(name: str) -> Any:
        if name in submodules:
            return importlib.import_module(f"{package}.{name}")
        if name not in contents:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{contents[name]}"), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *contents, *submodules})

    return get, names
