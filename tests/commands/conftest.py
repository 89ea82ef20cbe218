"""Fixtures of the tests of commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from spacetime_env.commands import ray_cluster, ray_pool
from tests.helpers.fake_ray import FakeRay


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    """The module that ``import ray`` gives."""
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(ray_pool, "PAUSE", 0.01)
    for name in ray_cluster.QUIET:
        monkeypatch.setenv(name, "")
    yield fake
    fake.threads.shutdown()
