"""Splits of the made-up game."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacetime_env.data.split import Split, open_split
from tests.helpers.tiny import write_data


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the game, with its splits."""
    return Path(write_data(tmp_path_factory.mktemp("data"), test=True).data.root) / "Pong"


@pytest.fixture(scope="module")
def test(recorded: Path) -> Split:
    return open_split(recorded / "test-random")


@pytest.fixture(scope="module")
def validation(recorded: Path) -> Split:
    return open_split(recorded / "validation-random")
