"""Where models, agents and configs lie, how one is found by its name, and which of them come with the package."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from spacetime_env.files import did_you_mean, shown, shown_names

HASHES = "shipped.sha256"  # of what comes with the package, in the form of the program sha256sum
WEIGHTS = {"models": "model.safetensors", "agents": "policy.zip"}  # the file that is hashed


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


def places(kind: str) -> list[Path]:
    """Where a model or an agent is looked for by its name: ``./models`` or ``./agents``, then the bundled ones.

    So what a person trained comes before what is shipped. In a checkout the two are one folder.
    """
    bundled, here = folders(kind), Path(kind)
    own = here.is_dir() and not any(here.samefile(place) for place in bundled)
    return [here, *bundled] if own else bundled


def available(kind: str, settings: str) -> dict[str, Path]:
    """The models or agents that are found by name: name -> folder, in alphabetical order.

    Args:
        kind: ``"models"`` or ``"agents"``.
        settings: the file that such a folder has.
    """
    found: dict[str, Path] = {}
    for place in places(kind):
        for path in place.glob(f"*/{settings}"):
            found.setdefault(path.parent.name, path.parent)
    return dict(sorted(found.items()))


def find(kind: str, name: str | os.PathLike[str], settings: str = "model.yaml") -> Path:
    """The folder of a model or agent by name (``"pong"``), or any folder by path (``"./pong"``).

    A name is looked for in the :func:`places`: first in ``./models`` (``./agents``) of the current directory, then
    among the bundled ones.

    Raises:
        UnknownModelError: there is no such name and no such folder; the message names the nearest.
    """
    given = Path(name)
    is_name = isinstance(name, str) and name == given.name and name != ".."
    if is_name:
        for place in places(kind):
            if _is(Path.is_file, place / name / settings):
                return place / name
    elif is_folder(given):
        return given
    raise UnknownModelError(" ".join([_none_of(kind, str(name), settings), *_hints(kind, name, is_name, settings)]))


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False of a name that no file can have."""
    return _is(Path.is_dir, path)


def _is(what: Callable[[Path], bool], path: Path) -> bool:
    """``Path.is_file`` or ``Path.is_dir``; False of a name that is too long or has a NUL."""
    try:
        return what(path)
    except (OSError, ValueError):
        return False


def _none_of(kind: str, name: str, settings: str) -> str:
    """That there is no such model, and which there are in which place."""
    by_place: dict[Path, list[str]] = {}
    for one, folder in available(kind, settings).items():
        by_place.setdefault(folder.parent, []).append(one)
    there = "; ".join(f"in {place}: {shown_names(names)}" for place, names in by_place.items())
    return f"no {kind[:-1]} {shown(name)}: neither a folder nor the name of one ({there or 'there are none'})."


def _hints(kind: str, name: str | os.PathLike[str], is_name: bool, settings: str) -> list[str]:
    """What to do about a name that was not found, in sentences."""
    given, hints = Path(name), []
    if is_name and name and is_folder(given):
        hints.append(f"For the folder of that name in the current directory, write {os.path.join('.', name)!r}.")
    hints.append(did_you_mean(given.name.lower(), available(kind, settings)))
    if kind == "models" and len(given.name) < 50:  # a game's name
        hints.append(f"Make one with: python pretrain_space.py --game {given.name}")
    return [hint for hint in hints if hint]


def hashes() -> dict[str, str]:
    """SHA-256 of the weights of what comes with the package -> its path in a checkout."""
    lines = (Path(__file__).parent / HASHES).read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines)


def is_shipped(kind: str, folder: Path) -> bool:
    """Whether a folder holds the weights of a model or agent that comes with the package: in its place, or a copy."""
    path = folder / WEIGHTS[kind]
    if not _is(Path.is_file, path):
        return False
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()  # the largest one has a few megabytes
    except OSError:
        return False
    shipped = hashes().get(digest)
    return shipped is not None and shipped.startswith(f"{kind}/")
