"""The device that a network runs on: whether it is there is tried before anything is put on it."""

from __future__ import annotations

from typing import Any

import torch

from spacetime_env.files import shown, shown_text


class DeviceError(ValueError):
    """There is no such device, or it cannot compute."""

    exit_status = 2  # of a command that it ends


def require_device(name: Any) -> torch.device:
    """The device of a name, with its number: ``cuda`` is ``cuda:0``.

    Args:
        name: as torch has it, such as ``cpu`` or ``cuda:1``.

    Raises:
        DeviceError: this torch does not know it, it is not there, or numbers cannot be read back from it.
    """
    if not isinstance(name, (str, torch.device)):
        raise DeviceError(f"expected the name of a device, such as 'cpu' or 'cuda', got {shown(name)}.")
    try:
        tried = torch.zeros(1, device=name)
        tried.item()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:  # torch without CUDA asserts
        reason = shown_text(str(error).split("\n")[0]).rstrip(".")
        raise DeviceError(f"{shown(str(name))} cannot be used ({reason}). Use cpu.") from None
    return tried.device
