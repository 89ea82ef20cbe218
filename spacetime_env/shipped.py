"""Where the models and agents lie that come with the package, and how one is found by its name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from spacetime_env.files import shown, shown_text


class BundleError(ValueError):
    """A model folder that cannot be used; the message says why and what to do."""


class UnknownModelError(BundleError):
    """No model of that name."""


def folders(kind: str) -> list[Path]:
    """Where bundled ``models`` or ``agents`` lie: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return [p for p in (package / "_bundled" / kind, package.parent / kind) if p.is_dir()]


def available(kind: str, settings: str) -> tuple[str, ...]:
    """Names of the bundled folders of a kind: those that hold the file ``settings``."""
    found = {p.parent.name for folder in folders(kind) for p in folder.glob(f"*/{settings}")}
    return tuple(sorted(found))


def find(kind: str, name: str | os.PathLike[str], settings: str = "model.yaml") -> Path:
    """The folder of a bundled model or agent by name (``"pong"``), or any folder by path (``"./pong"``).

    A name is not looked for in the current directory: a folder there never takes the place of a bundled one.

    Raises:
        UnknownModelError: no such name and no such folder.
    """
    given = Path(name)
    if any(len(os.fsencode(part)) > 255 for part in given.parts) or "\0" in str(given):  # no system has such names
        raise UnknownModelError(f"no {kind[:-1]} {shown(str(name))}: a name or a path that is too long.")
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
        hints.append(
            f"For the folder of that name in the current directory, write {os.path.join('.', name)!r}."
        )
    if near:
        hints.append(f"Did you mean {near[0]!r}?")
    if kind == "models":
        hints.append(f"Make one with: python pretrain_space.py --game {shown_text(given.name)}")
    bundled = f"one of the bundled ones ({', '.join(names) or 'there are none'})"
    raise UnknownModelError(
        " ".join([f"no {kind[:-1]} {shown(str(name))}: neither a folder nor {bundled}.", *hints])
    )
