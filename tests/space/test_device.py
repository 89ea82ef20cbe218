"""Devices: one that is not there, or cannot compute, is a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spacetime_env.space.device import DeviceError, require_device

CUDA = torch.cuda.is_available()


def test_the_cpu_is_there() -> None:
    assert require_device("cpu") == require_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", r"^'gpu' cannot be used \(.*\)\. Use cpu\.$"),
        ("cpu:x", "'cpu:x' cannot be used"),
        ("", "'' cannot be used"),
        ("meta", "'meta' cannot be used"),  # no number can be read back from it
        ("cuda:99", "'cuda:99' cannot be used"),
        ("x" * 10**5, "'xxx"),
        (0, "expected the name of a device, such as 'cpu' or 'cuda', got 0"),
        (None, "expected the name of a device"),
    ],
)
def test_what_is_not_there(name: Any, message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        require_device(name)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.skipif(not CUDA, reason="needs a GPU")
def test_a_gpu_has_a_number() -> None:
    assert require_device("cuda") == torch.device("cuda:0")
