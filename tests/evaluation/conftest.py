"""Splits of the made-up game, and an untrained model folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacetime_env.data.split import Split, open_split
from tests.helpers.tiny import write_data


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder, test=True)
    return folder


@pytest.fixture(scope="module")
def test(root: Path) -> Split:
    return open_split(root / "Pong" / "test-random")


@pytest.fixture(scope="module")
def validation(root: Path) -> Split:
    return open_split(root / "Pong" / "validation-random")
