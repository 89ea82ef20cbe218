"""Reaching Ray: a node of our own, or a cluster that is there. Only :func:`connected` imports Ray."""

from __future__ import annotations

import os
import socket
from typing import Any

ANSWER = 10.0  # seconds that the head of a cluster has to answer
STORE = 128 * 2**20  # bytes of shared memory of a node of our own: tasks pass small things, all else goes by files
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # no page about each lost worker: we say it in a sentence
    "RAY_DEDUP_LOGS_ALLOW_REGEX": "(?!)",  # nothing is let through all the same
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the future default; otherwise Ray warns of it
}


class ClusterError(ValueError):
    """Ray cannot do the work; the message says why and what to do."""


def connected(address: str) -> Any:
    """The module ``ray``, connected; ``address`` as of :class:`~spacetime_env.commands.ray_pool.RayPool`.

    Raises:
        ClusterError: Ray is not installed, no cluster answers, or no node can be started.
    """
    for name, value in QUIET.items():  # read when Ray is imported
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise ClusterError('--ray needs Ray, which is not installed: pip install "spacetime-env[ray]"') from None
    if address and address != "auto":
        _require_head(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE}
    for last in (bool(address), True):
        try:
            ray.init(address or "local", logging_level="error", log_to_driver=False, **({} if address else own))
            break
        except Exception as error:  # of many kinds, each with a page of text
            ray.shutdown()
            if last:  # on a busy machine a node may not be up within Ray's half a minute, and the second time it is
                where = f"join the cluster at {address}" if address else "start a node on this machine"
                token = "If it asks for a token, set RAY_AUTH_MODE=token. " if address else ""
                hint = f"{token}Try again, or leave --ray out."
                raise ClusterError(f"Ray could not {where}: {first_line(error).rstrip('.')}. {hint}") from None
    return ray


def _require_head(address: str) -> None:
    """Ask whether the head of a cluster is there: Ray itself tries for minutes, and prints warnings.

    Raises:
        ClusterError: nothing listens there, or it is another program.
    """
    import grpc

    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"--ray: expected auto or HOST:PORT, such as 10.0.0.1:6379, got {address!r}.")
    start = f"Start one there with: ray start --head --port={port}"
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"--ray: no Ray cluster is at {address} ({error}). {start}") from None
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(ANSWER)
        except grpc.FutureTimeoutError:
            raise ClusterError(
                f"--ray: the port {port} of {host} is in use by another program than Ray. Give the address that "
                "`ray start --head` printed, or start it with another --port."
            ) from None


def first_line(error: BaseException) -> str:
    """The beginning of a message that may be pages long."""
    return (str(error).strip().splitlines() or ["it does not say why"])[0][:300]
