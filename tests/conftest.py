"""Fixtures that tests of several rooms share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch

# A shell that starts the tests in the background has them ignore Ctrl-C, and their subprocesses too; several tests
# press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def threads_of_torch() -> Iterator[None]:
    """Each test begins with the threads that the process began with: training, agents and workers change them."""
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(THREADS)


@pytest.fixture
def bundled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every model that is loaded be a ColourModel, and "boxing" and "pong" the bundled ones.

    A parameter (``parametrize("bundled", [2], indirect=True)``) is its number of subframes, otherwise 1.

    Returns:
        The names and paths of the models that were loaded.
    """
    import spacetime_env.models.folder
    from tests.helpers.fakes import ColourModel

    loaded: list[Any] = []

    def load(name: Any, game: str | None = None, device: Any = "cpu") -> ColourModel:
        loaded.append(name)
        return ColourModel(subframes=getattr(request, "param", 1))

    monkeypatch.setattr(spacetime_env.models.folder, "load_model", load)
    monkeypatch.setattr(spacetime_env.models.folder, "available_models", lambda: ("boxing", "pong"))
    return loaded
