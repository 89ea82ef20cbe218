"""Files of torch in the form of before 2020: those that lie about their size, or name what is no tensor."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import pytest
import torch

from spacetime_env.files import FileError
from spacetime_env.files import old_tensors as module
from spacetime_env.files.old_tensors import read_tensors_of_any_form
from tests.helpers.forged import claiming, saved


@pytest.mark.parametrize("new", [True, False])
def test_what_was_saved_comes_back(new: bool) -> None:
    shared = torch.arange(6.0)
    optimizer = {"params": [140_234_866_534_752]}  # of that time: numbers of objects in memory
    tree = {"a": shared.reshape(2, 3).T, "b": OrderedDict(x=shared, y=torch.ones(2).half()), "c": [3, None, optimizer]}
    found = read_tensors_of_any_form(saved(tree, new), "x.pth")
    assert found["c"] == tree["c"] and found["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert torch.equal(found["b"]["x"], shared) and found["b"]["y"].dtype == torch.float16


class Calls:
    def __init__(self, what: Any, *args: Any) -> None:
        self.what = what, args

    def __reduce__(self) -> Any:
        return self.what


def described(old: bytes, new: bytes) -> bytes:
    """A file whose storage of 7 numbers is described otherwise."""
    data = saved({"a": torch.zeros(7), "config": {}}, new=False)
    assert data.count(old) == 1
    return data.replace(old, new)


FORGED: dict[str, tuple[bytes, str]] = {
    "a tensor that is longer than the file": (claiming(6, 2**31 - 1), "claims 2,147,483,647 numbers and has"),
    "a number from the memo": (described(b"K\x07Ntq", b"h\x01Ntq"), "describes a storage as torch does not"),
    "a view of a storage": (described(b"K\x07Ntq", b"K\x07K\x07tq"), "describes a storage as torch does not"),
    "less than nothing": (described(b"K\x07Ntq", b"J\xff\xff\xff\xffNtq"), "less than no numbers"),
    "bytes that are made": (saved({"a": Calls(bytearray, 10**11)}, new=False), "it names '.*bytearray'"),
    "code": (saved({"a": Calls(os.getcwd)}, new=False), "it names 'posix getcwd'"),
    "a large pickle": (saved(["x" * 100] * 3 + [f"{i:0900}" for i in range(2400)], new=False), "over 2,097,152"),
    "cut off": (saved({"a": torch.zeros(7)}, new=False)[:-9], "cannot be read as a checkpoint"),
    "nothing": (b"", "pickle exhausted"),
    "text": (b"not a checkpoint\n", "cannot be read as a checkpoint"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, message = FORGED[what]
    if what != "cut off":  # torch is not asked at all
        monkeypatch.setattr(module.torch, "load", None)
    with pytest.raises(FileError, match=f"x.pth cannot be read as a checkpoint of tensors: .*{message}|{message}"):
        read_tensors_of_any_form(data, "x.pth")
