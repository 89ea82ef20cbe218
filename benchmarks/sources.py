"""What figures in the pages are compared with: cards, agents, tables of RESULTS.md, and the code's own numbers."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from spacetime_env.config import Config, from_dict
from spacetime_env.games import is_game
from spacetime_env.shipped import find

ROOT = Path(__file__).resolve().parent.parent
NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?|[-+]?\.\d+"


class SourceError(LookupError):
    """A card or a table does not have what a page cites; the message says what is missing and where."""


def trained_with(name: str) -> Config:
    """The configuration that lies in a model's folder."""
    return from_dict(Config, yaml.safe_load((find("models", name) / "config.yaml").read_text(encoding="utf-8")))


@functools.cache
def card(model: str) -> dict[str, dict[str, float]]:
    """The figures of a model's card: title of a section, such as ``test-random``, -> figure -> value.

    A section's title is what stands before the colon. Of a joint card it begins with the game.
    """
    text = (ROOT / "models" / model / "CARD.md").read_text(encoding="utf-8")
    sections = re.findall(r"(?ms)^### ([^\n]*?): (.*?)(?=^##|\Z)", text)
    return {
        title: {name: float(value) for name, value in re.findall(r"(?m)^\| (.+?) \| ([\d.]+)", body)}
        for title, body in sections
    }


def of_game(model: str, game: str = "") -> dict[str, float]:
    """The figures of all test splits of a model together, which come last; of a joint model, those of one game."""
    found = [values for title, values in card(model).items() if not game or title.startswith(f"{game},")]
    if not found:
        raise SourceError(f"models/{model}/CARD.md has no figures{f' of {game}' if game else ''}.")
    return found[-1]


@functools.cache
def layers(model: str) -> dict[str, float]:
    """The figures of the section "Foreground and background" of the card of a model of pictures."""
    text = (ROOT / "models" / model / "CARD.md").read_text(encoding="utf-8")
    body = text.partition("### Foreground and background")[2].partition("##")[0]
    return {name: float(value) for name, value in re.findall(r"(?m)^\| (.+?) \| ([\d.]+)", body)}


@functools.cache
def described(model: str) -> dict[str, Any]:
    """A model's ``model.yaml``."""
    tree: dict[str, Any] = yaml.safe_load((ROOT / "models" / model / "model.yaml").read_text(encoding="utf-8"))
    return tree


@functools.cache
def singles() -> dict[str, str]:
    """Game -> model, of the shipped models of one game."""
    names = sorted(path.parent.name for path in (ROOT / "models").glob("*/model.yaml"))
    found = {described(name)["game"]: name for name in names if "games" not in described(name)}
    return {game: name for game, name in found.items() if is_game(game)}


@functools.cache
def joint_games(model: str = "joint") -> dict[str, dict[str, float]]:
    """Game -> figures, of the games of a joint model that have ground truth."""
    known = [game for game in described(model)["games"] if any(t.startswith(f"{game},") for t in card(model))]
    return {game: of_game(model, game) for game in known}


@functools.cache
def agent(name: str = "pong-ppo") -> dict[str, Any]:
    """An agent's ``agent.yaml``."""
    tree: dict[str, Any] = yaml.safe_load((ROOT / "agents" / name / "agent.yaml").read_text(encoding="utf-8"))
    return tree


@functools.cache
def tables() -> dict[str, list[list[str]]]:
    """The tables of benchmarks/RESULTS.md: title -> rows, the head first."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"(?m)^### ", text)[1:]:
        title, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|") and not line.startswith("|---")]
        found[title] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def rows(title: str) -> list[list[str]]:
    """The rows under the head of the first table whose title matches the pattern ``title``; [] without one."""
    return next((found[1:] for name, found in tables().items() if re.match(title, name)), [])


def row(title: str, first: str) -> list[str]:
    """The row of a table whose first cell matches the pattern ``first``.

    Raises:
        SourceError: no such table or row.
    """
    for one in rows(title):
        if re.match(first, one[0]):
            return one
    raise SourceError(f"benchmarks/RESULTS.md has no row {first!r} in a table {title!r}: mend benchmarks/claims.py.")


def number(cell: str) -> float:
    """The first number of a cell: of ``308 (301 to 329)`` the median."""
    found = re.search(NUMBER, cell)
    if found is None:
        raise SourceError(f"there is no number in {cell!r}.")
    return float(found[0].replace(",", ""))


def measured(letter: str) -> tuple[int, str]:
    """Cores of the machine of a section of RESULTS.md, and what it says of numba."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    section = re.search(rf"(?ms)^## {letter}\. .*?(?=^## |\Z)", text)
    cores = re.search(r"(\d+) cores", section[0]) if section else None
    if section is None or cores is None:
        raise SourceError(f"benchmarks/RESULTS.md has no section {letter}, or it does not name the cores.")
    numba = re.search(r"numba (?:[\d.]+ )?(?:in use|installed, not in use|not installed)", section[0])
    return int(cores[1]), numba[0] if numba else "numba not recorded"


def extremes(values: Sequence[float]) -> tuple[float, float]:
    """The least and the most."""
    return min(values), max(values)
