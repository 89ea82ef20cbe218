"""Reaching Ray, and what is said where that fails."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from spacetime_env.commands import ray_cluster
from spacetime_env.commands.ray_cluster import ClusterError
from spacetime_env.commands.ray_pool import RayPool
from tests.helpers.fake_ray import FakeRay


def test_an_address_where_no_cluster_is(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER", 0.3)
    for word in ("here", "host:port", ":6379"):
        with pytest.raises(ClusterError, match=r"expected auto or HOST:PORT, such as 10\.0\.0\.1:6379, got"):
            RayPool(word)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"no Ray cluster is at {address} \(.*refused.*ray start --head --port"):
            RayPool(address)
        server.listen()
        with pytest.raises(ClusterError, match=r"the port \d+ of 127\.0\.0\.1 is in use by another program than Ray"):
            RayPool(address)
    assert "init" not in ray.said


def test_a_node_that_does_not_start(ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def init(address: str, **options: Any) -> None:
        starts.append(1)
        raise RuntimeError("no port is free\nsee page 2")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ClusterError, match=r"^Ray could not start a node on this machine: no port is free. Try again"):
        RayPool()
    assert starts == [1, 1]
