"""Reads the weights in a checkpoint of SB3, and compares them with the agent that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from torch import Tensor

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError
from spacetime_env.files.tensors import read_tensors, require_optimizer

VARIABLES = "pytorch_variables.pth"  # of SB3


def tensors_for(model: BaseAlgorithm, entries: Mapping[str, bytes], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights for an agent, which fit it, and the other tensors that it keeps.

    Args:
        model: the agent.
        entries: of the checkpoint.
        name: of the checkpoint, for messages.

    Returns:
        What ``model.set_parameters`` takes; and attributes of the agent, of which only those that it keeps in
        ``pytorch_variables.pth`` are read.

    Raises:
        AgentError: an entry is missing or damaged, or was made for other spaces or another network.
    """
    expected = model.get_parameters()
    params = {}
    for key, tree in expected.items():
        if f"{key}.pth" not in entries:
            raise AgentError(f"the weights in {name} do not fit this agent: it has no {key}.pth.")
        params[key] = found = _read(entries, f"{key}.pth", name, model.device)
        problem = (
            _optimizer_differs(recursive_getattr(model, key), found)
            if "param_groups" in tree
            else _weights_differ(tree, found)
        )
        if problem:
            raise AgentError(
                f"the weights in {name} do not fit this agent: {key}: {problem}. They were trained on other "
                "observations or actions, or with other hyperparameters, or the file was changed."
            )
    wanted, kept = model._get_torch_save_params()[1], {}
    if wanted:
        there = _read(entries, VARIABLES, name, model.device) if VARIABLES in entries else {}
        for key in wanted:
            found = there.get(key) if isinstance(there, dict) else None
            problem = _weights_differ({key: recursive_getattr(model, key).detach()}, {key: found})
            if problem:
                raise AgentError(f"the weights in {name} do not fit this agent: {problem}.")
            kept[key] = found
    return params, kept


def _read(entries: Mapping[str, bytes], entry: str, name: str, device: Any) -> Any:
    """The tensors of an entry of a checkpoint; raises as :func:`tensors_for` does."""
    try:
        return read_tensors(entries[entry], f"{name}, {entry}", device)
    except FileError as error:
        raise AgentError(f"{error} Use another checkpoint, or train again.") from None


def _weights_differ(expected: Mapping[str, Tensor], found: Any) -> str:
    """Why a dict of tensors does not have the names, shapes and types that are expected; "" if it has."""
    if not isinstance(found, dict) or set(found) != set(expected):
        return "it has tensors of other names"
    for key, tensor in expected.items():
        other = found[key]
        if not isinstance(other, Tensor) or other.shape != tensor.shape or other.dtype != tensor.dtype:
            shape = tuple(other.shape) if isinstance(other, Tensor) else type(other).__name__
            return f"size mismatch for {key}: expected {tuple(tensor.shape)}, got {shape}"
        if other.is_floating_point() and not torch.isfinite(other).all():
            return f"{key} has values that are no numbers (NaN or infinite)"
    return ""


def _optimizer_differs(optimizer: torch.optim.Optimizer, found: Any) -> str:
    """Why the state of an optimizer is none for this one; "" if it is."""
    try:
        require_optimizer(found, optimizer)
    except ValueError as error:
        return str(error)
    return ""
