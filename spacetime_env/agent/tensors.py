"""Reads the weights in a checkpoint of SB3, and compares them with the agent that they are for.

A ``.pth`` entry is a zip of torch with a pickle in it. torch loads it with ``weights_only=True``, so no code runs. But
such a pickle may also call ``bytearray(10**12)``. So the only names allowed here are those that make tensors, and
tensors are no larger than the entry.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from torch import Tensor

from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.progress import is_number
from spacetime_env.files import FileError, open_zip

VARIABLES = "pytorch_variables.pth"  # of SB3
NAMES = re.compile(r"collections OrderedDict|torch._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage")


def read_tensors(data: bytes, name: str, device: Any) -> Any:
    """The dicts, lists, numbers and tensors of a ``.pth`` file.

    Args:
        data: the file.
        name: of it, for messages.
        device: where the tensors go.

    Raises:
        AgentError: it is damaged, compressed, or holds something else.
    """
    try:
        archive = open_zip(data, name, len(data), entries=100_000)
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("it is compressed")
        pickles = [entry for entry in archive.namelist() if entry.endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it has no data.pkl")
        for code, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if code.name in ("STACK_GLOBAL", "INST") or (code.name == "GLOBAL" and not NAMES.fullmatch(str(argument))):
                raise ValueError(f"it names {str(argument)[:80]!r}")
        return torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    except FileError as error:
        raise AgentError(f"{error} Use another checkpoint, or train again.") from None
    except Exception as error:  # a damaged archive shows itself in many ways
        reason = " ".join(str(error).split())[:200]
        raise AgentError(f"{name} is damaged: {reason}. Use another checkpoint, or train again.") from None


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
        params[key] = found = read_tensors(entries[f"{key}.pth"], f"{name}, {key}.pth", model.device)
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
        there = read_tensors(entries[VARIABLES], f"{name}, {VARIABLES}", model.device) if VARIABLES in entries else {}
        for key in wanted:
            found = there.get(key) if isinstance(there, dict) else None
            problem = _weights_differ({key: recursive_getattr(model, key).detach()}, {key: found})
            if problem:
                raise AgentError(f"the weights in {name} do not fit this agent: {problem}.")
            kept[key] = found
    return params, kept


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
    if not isinstance(found, dict) or set(found) != {"state", "param_groups"}:
        return "it has no state and groups of an optimizer"
    own, groups, states = optimizer.state_dict()["param_groups"], found["param_groups"], found["state"]
    if not isinstance(groups, list) or not isinstance(states, dict) or len(groups) != len(own):
        return "it has another number of groups"
    for mine, other in zip(own, groups, strict=True):
        if not isinstance(other, dict) or not {"params", "lr"} <= set(other) or other["params"] != mine["params"]:
            return "a group is of other parameters"
        if any(not _is_setting(value) for key, value in other.items() if key != "params"):
            return "a setting of a group is no number"
    order = [number for group in own for number in group["params"]]
    tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    of = dict(zip(order, tensors, strict=True))
    for number, state in states.items():
        if not isinstance(number, int) or number not in of or not isinstance(state, dict):
            return "it has a state of other parameters"
        for value in state.values():
            fits = value.shape in (of[number].shape, ()) if isinstance(value, Tensor) else _is_setting(value)
            if not fits:
                return f"size mismatch in the state of parameter {number}"
    return ""


def _is_setting(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 2 and all(is_number(one) for one in value)
    return value is None or isinstance(value, bool) or is_number(value)
