"""Finds the models, agents and configs that come with the package, by their names."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


class BundleError(ValueError):
    """A model folder that cannot be used; the message says why and what to do."""


class UnknownModelError(BundleError):
    """No model of that name."""


def folders(kind: str) -> list[Path]:
    """The folders with bundled ``models``, ``agents`` or ``configs``.

    One is in the package if it was installed from a wheel, and beside the package in a checkout.
    """
    package = Path(__file__).parent
    return [folder for folder in (package / "_bundled" / kind, package.parent / kind) if folder.is_dir()]


def available(kind: str, settings: str) -> tuple[str, ...]:
    """The names of the bundled models or agents, in alphabetical order. Each is a folder with a file ``settings``."""
    return tuple(sorted({path.parent.name for folder in folders(kind) for path in folder.glob(f"*/{settings}")}))


def find(kind: str, name: str | os.PathLike[str], settings: str = "model.yaml") -> Path:
    """The folder of a bundled model or agent by its name (``"pong"``), or any folder by its path (``"./pong"``).

    A name is not looked for in the current directory, so that a folder there never takes the place of a bundled one.

    Args:
        kind: ``models`` or ``agents``.
        name: name or path.
        settings: the file that each bundled folder of this kind has.

    Raises:
        UnknownModelError: there is no such name and no such folder; the message names the nearest.
    """
    given = Path(name)
    is_name = isinstance(name, str) and name == given.name and name != ".."
    if is_name:
        for folder in folders(kind):
            if (folder / name / settings).is_file():
                return folder / name
    elif given.is_dir():
        return given
    names = available(kind, settings)
    near = difflib.get_close_matches(given.name.lower(), names, n=1)
    hints = []
    if is_name and name and given.is_dir():
        hints.append(f"For the folder of that name in the current directory, write {os.path.join('.', name)!r}.")
    if near:
        hints.append(f"Did you mean {near[0]!r}?")
    if kind == "models":
        hints.append(f"Make one with: python pretrain_space.py --game {given.name}")
    bundled = f"one of the bundled ones ({', '.join(names) or 'there are none'})"
    raise UnknownModelError(" ".join([f"no {kind[:-1]} {str(name)!r}: neither a folder nor {bundled}.", *hints]))
