"""Tensors of files that nobody vouches for: what ``torch.save`` wrote, and what an optimizer would load of it.

Such a file is a zip with a pickle in it. ``torch.load(weights_only=True)`` runs no code of that pickle, but believes
its sizes: it makes a ``bytearray(10**12)``, and a tensor of any size where the file has the form of before 2020, which
torch tells by its first bytes. So the pickle is looked at first. Then torch is given a new zip of what was looked at.
"""

from __future__ import annotations

import inspect
import io
import pickletools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spacetime_env.files.numbers import is_number
from spacetime_env.files.reading import FileError, read_zip
from spacetime_env.files.shown import shown, shown_path, shown_text

NAMES = re.compile(r"collections OrderedDict|torch._utils _rebuild_(tensor_v2|parameter)|torch \w+Storage")
PARTS = re.compile(r"data\.pkl|data/\d+|version|byteorder")  # what torch needs of the zip
LARGEST_PICKLE = 1 << 21  # bytes: names and shapes of 10,000 tensors
NOT_NEGATIVE = ("step", "exp_avg_sq", "max_exp_avg_sq", "square_avg")  # counts, and means of squares


def read_tensors(data: bytes, name: str | Path, device: Any = "cpu") -> Any:
    """The dicts, lists, numbers and tensors of a file that ``torch.save`` wrote; checksums are compared.

    Its tensors take no more memory than the file has bytes. Their shapes may still be of any size, since the numbers of
    a tensor may be one number again and again: compare the shape before anything is computed.

    Args:
        data: the file.
        name: of the file, for messages.
        device: where the tensors go.

    Raises:
        FileError: it is damaged, or holds something else.
    """
    entries = read_zip(data, name, len(data), entries=100_000)
    clean = io.BytesIO()
    try:
        with zipfile.ZipFile(clean, "w") as archive:
            for path in list(entries):
                part, content = path.partition("/")[2], entries.pop(path)
                if PARTS.fullmatch(part):
                    if f"archive/{part}" in archive.NameToInfo:
                        raise ValueError(f"it has two of {part}")
                    if part == "data.pkl":
                        _require_pickle(content)
                    archive.writestr(f"archive/{part}", content)
        if "archive/data.pkl" not in archive.NameToInfo:
            raise ValueError("it has no data.pkl")
        clean.seek(0)
        return torch.load(clean, map_location=device, weights_only=True)
    except Exception as error:  # pickletools and torch raise many kinds for a damaged file
        reason = shown_text(" ".join(str(error).split())).rstrip(".") or type(error).__name__
        raise FileError(f"{shown_path(name)} is damaged: {reason}.") from None


def _require_pickle(pickle: bytes) -> None:
    """Refuse a pickle that names anything but what tensors are made of, or is so large that reading it takes long.

    Raises:
        ValueError and others: it does, or is no pickle.
    """
    if len(pickle) > LARGEST_PICKLE:
        raise ValueError(f"its data.pkl has {len(pickle):,} bytes; expected at most {LARGEST_PICKLE:,}")
    for code, argument, _ in pickletools.genops(pickle):
        require_names(code.name, argument)


def require_names(instruction: str, argument: Any) -> None:
    """Refuse an instruction of a pickle that names anything but what tensors are made of.

    Raises:
        ValueError: it does.
    """
    if instruction in ("STACK_GLOBAL", "INST") or (instruction == "GLOBAL" and not NAMES.fullmatch(str(argument))):
        raise ValueError(f"it names {shown(str(argument), 80)}")


def require_optimizer(saved: Any, optimizer: torch.optim.Optimizer) -> None:
    """Check what an optimizer would load. Its settings may be other ones, but such that it can take steps with them.

    Args:
        saved: as ``state_dict()`` of an optimizer has it, from a file.
        optimizer: that would load it. Nothing in it is changed.

    Raises:
        ValueError: naming what does not fit.
    """
    if not isinstance(saved, dict) or set(saved) != {"state", "param_groups"}:
        raise ValueError("it has no state and groups of an optimizer")
    own, groups, states = optimizer.state_dict()["param_groups"], saved["param_groups"], saved["state"]
    if not isinstance(groups, list) or not isinstance(states, dict) or len(groups) != len(own):
        raise ValueError(f"expected {len(own)} groups of parameters of an optimizer, got {shown(groups)}")
    wanted: dict[int, tuple[Tensor, Mapping[str, Any]]] = {}  # number of a parameter -> itself, and state of its kind
    for mine, its, group in zip(own, groups, optimizer.param_groups, strict=True):
        _require_group(its, mine["params"])
        remembered = _try_settings(its, type(optimizer), group["params"][0])
        wanted |= {number: (one, remembered) for number, one in zip(mine["params"], group["params"], strict=True)}
    for number, values in states.items():
        if type(number) is not int or number not in wanted or not isinstance(values, dict):
            raise ValueError("an optimizer's state is of other parameters")
        _require_values(values, *wanted[number])


def _require_group(group: Any, numbers: list[int]) -> None:
    """Check that a group is one of these parameters, and that its settings are plain.

    Raises:
        ValueError: it is not, or has none of its own.
    """
    if not isinstance(group, dict) or not isinstance(group.get("params"), list):
        raise ValueError("a group of an optimizer has no parameters")
    if any(type(number) is not int for number in group["params"]) or group["params"] != numbers:
        raise ValueError("a group of an optimizer is of other parameters")
    for name, value in group.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        plain = len(parts) <= 2 and all(one is None or isinstance(one, bool) or is_number(one) for one in parts)
        if name != "params" and not plain:
            raise ValueError(f"{shown(name)} of an optimizer: expected a number, got {shown(value)}")


def _try_settings(group: Mapping[str, Any], kind: type[torch.optim.Optimizer], like: Tensor) -> Mapping[str, Any]:
    """What an optimizer remembers of a parameter, where it has the settings of a group.

    One of that kind, with a parameter of a single number, takes two steps to tell. It is made with the settings, since
    then it looks at their ranges; and loads them, since it may not ask for all of them when it is made.

    Raises:
        ValueError: it cannot take steps with them.
    """
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=like.dtype, device=like.device))
    parameter.grad = torch.ones_like(parameter)
    asked = inspect.signature(kind).parameters
    try:
        twin: Any = kind([parameter], **{name: group[name] for name in asked if name in group and name != "params"})
        twin.step()
        twin.load_state_dict({"state": twin.state_dict()["state"], "param_groups": [{**group, "params": [0]}]})
        twin.step()
    except Exception as error:  # torch checks some settings when it is made, and fails on others in many ways
        reason = shown_text(str(error).split("\n")[0]) or type(error).__name__
        raise ValueError(f"an optimizer cannot use its settings {shown(dict(group, params=[]))}: {reason}") from None
    return twin.state_dict()["state"].get(0, {})


def _require_values(values: Mapping[Any, Any], parameter: Tensor, wanted: Mapping[str, Any]) -> None:
    """Check what is remembered of one parameter.

    Args:
        values: from the file.
        parameter: of which it is.
        wanted: what an optimizer remembers of a parameter of the shape (1,).

    Raises:
        ValueError: other names, types or shapes, or a number that cannot be.
    """
    there = {name: value for name, value in values.items() if value is not None}  # None: as if it were not there
    if there and set(there) != set(wanted):
        raise ValueError(f"state of an optimizer: expected {sorted(wanted)}, got {shown(list(there))}")
    for name, value in there.items():
        own = wanted[name]
        single = not isinstance(own, Tensor) or own.shape == ()
        if not isinstance(value, Tensor):
            if not single or not is_number(value):
                raise ValueError(f"{name} of an optimizer: expected a tensor, got {shown(value)}")
            value = torch.tensor(float(value))
        elif not isinstance(own, Tensor) or value.dtype != own.dtype:
            raise ValueError(f"{name} of an optimizer: expected {getattr(own, 'dtype', 'a number')}, got {value.dtype}")
        shape = torch.Size(()) if single else parameter.shape
        if value.shape != shape:
            raise ValueError(f"{name} of an optimizer: expected shape {tuple(shape)}, got {tuple(value.shape)}")
        if not value.is_contiguous() and value.stride() != parameter.stride():
            raise ValueError(f"{name} of an optimizer: its numbers lie in the same places of the file")
        if not bool(value.isfinite().all()) or (name in NOT_NEGATIVE and bool((value < 0).any())):
            raise ValueError(f"{name} of an optimizer has a number that is NaN, infinite, or under 0")
