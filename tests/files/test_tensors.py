"""Tensors of forged files, and states of optimizers that no optimizer can use."""

from __future__ import annotations

import copy
import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from spacetime_env.files import FileError
from spacetime_env.files import tensors as module
from spacetime_env.files.tensors import read_tensors, require_optimizer
from tests.helpers.forged import claiming, saved


def repacked(data: bytes, change: Callable[[str, bytes], list[tuple[str, bytes]]], method: int = 0) -> bytes:
    """The zip with each entry replaced by what ``change`` makes of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            for title, content in change(name, old.read(name)):
                new.writestr(title, content)
    return buffer.getvalue()


def test_what_was_saved_comes_back() -> None:
    tree = {
        "a": torch.arange(6.0).reshape(2, 3).T,
        "b": [torch.tensor(3), torch.nn.Parameter(torch.ones(2, dtype=torch.float16))],
        "c": OrderedDict(x=1.5, y=(None, True, "text")),
        "d": torch.zeros(0, 4, dtype=torch.uint8),
    }
    found = read_tensors(saved(tree), "x.pt")
    assert found["c"] == tree["c"] and [*found] == [*tree]
    for one, other in ((found["a"], tree["a"]), *zip(found["b"], tree["b"], strict=True), (found["d"], tree["d"])):
        assert one.dtype == other.dtype and torch.equal(one, other)
    assert found["a"].stride() == (1, 3)
    packed = repacked(saved(tree), lambda name, content: [(name, content)], zipfile.ZIP_DEFLATED)
    assert torch.equal(read_tensors(packed, "x.pt")["a"], tree["a"])


class Calls:
    def __init__(self, what: Any, *args: Any) -> None:
        self.what = what, args

    def __reduce__(self) -> Any:
        return self.what


def twice(name: str, content: bytes) -> list[tuple[str, bytes]]:
    return [(name, content), ("other/data.pkl", content)] if name.endswith("data.pkl") else [(name, content)]


def longer(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """The tensor of 7 numbers is said to have a billion."""
    assert not name.endswith("data.pkl") or content.count(b"K\x07tq") == 1
    return [(name, content.replace(b"K\x07tq", b"J\x00\xca\x9a\x3btq"))]


ONE = {"a": torch.zeros(7)}
FORGED: dict[str, tuple[bytes, str]] = {
    "bytes that are made": (saved({"a": Calls(bytearray, 10**11)}), "it names '.*bytearray'"),
    "code": (saved({"a": Calls(os.getcwd)}), "it names 'posix getcwd'"),
    "a tensor without numbers": (saved(torch.zeros(3, device="meta")), "it names 'torch._utils _rebuild_meta"),
    "a sparse tensor": (saved(torch.eye(3).to_sparse()), "it names 'torch._utils _rebuild_sparse"),
    "the form of before 2020": (claiming(6, 2**31 - 1), "no zip file"),
    "a tensor that is longer than its entry": (repacked(saved(ONE), longer), "record size"),
    "two pickles": (repacked(saved(ONE), twice), "two of data.pkl"),
    "no pickle": (repacked(saved(ONE), lambda name, data: [(name + "x", data)]), "no data.pkl"),
    "a zip of nothing": (b"PK\x05\x06" + bytes(18), "no data.pkl"),
    "a large pickle": (saved(["x" * 100] * 3 + [f"{i:0900}" for i in range(2400)]), "data.pkl has 2,"),
    "no file": (b"", "no zip file"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_file(kind: str) -> None:
    data, says = FORGED[kind]
    with pytest.raises(FileError, match=f"^x.pt .*{says}"):
        read_tensors(data, "x.pt")


def test_torch_gets_what_was_looked_at() -> None:
    """Of a file that is of both forms, torch takes the one that it begins with, and zipfile the zip."""
    both = claiming(6, 2**31 - 1) + saved({"a": torch.ones(2)})
    assert torch.equal(read_tensors(both, "x.pt")["a"], torch.ones(2))
    # torch finds entries in upper case too
    evil = zipfile.ZipFile(io.BytesIO(saved({"a": Calls(bytearray, 10**6)}))).read("archive/data.pkl")
    cases = repacked(
        saved({"a": torch.ones(2)}),
        lambda name, data: [("archive/DATA.PKL", evil), (name, data)] if name.endswith(".pkl") else [(name, data)],
    )
    assert torch.equal(read_tensors(cases, "x.pt")["a"], torch.ones(2))


def test_the_most_that_a_pickle_may_have_is_far_from_what_is_saved() -> None:
    many = {f"layer{i}.weight": torch.zeros(1) for i in range(500)}
    assert len(saved(many)) > 100_000 and len(read_tensors(saved(many), "x.pt")) == 500
    pickle = zipfile.ZipFile(io.BytesIO(saved(many))).read("archive/data.pkl")
    assert 10 * len(pickle) < module.LARGEST_PICKLE


def weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(4))]


KINDS: dict[str, Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]] = {
    "Adam": lambda params: torch.optim.Adam(params, lr=0.5),
    "amsgrad": lambda params: torch.optim.Adam(params, lr=0.5, amsgrad=True),
    "AdamW": lambda params: torch.optim.AdamW(params, lr=0.5),
    "SGD": lambda params: torch.optim.SGD(params, lr=0.5),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.5, momentum=0.5),
    "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.5, centered=True, momentum=0.5),
    "TFLike": lambda params: RMSpropTFLike(params, lr=0.5, centered=True, momentum=0.5),
}


def stepped(kind: str, steps: int = 1) -> torch.optim.Optimizer:
    made = KINDS[kind](weights())
    for _ in range(steps):
        for one in made.param_groups[0]["params"]:
            one.grad = torch.full_like(one, 0.25)
        made.step()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_an_optimizer_fits_one_of_its_kind(kind: str) -> None:
    found = read_tensors(saved(stepped(kind).state_dict()), "x.pt")
    own = stepped(kind, 0)
    require_optimizer(found, own)
    assert not own.state
    require_optimizer(own.state_dict(), stepped(kind))  # one that took no step
    own.load_state_dict(found)
    own.step()


def test_settings_and_counts_of_another_training_are_taken() -> None:
    """As are those of an older torch, which counted in Python's numbers and knew fewer settings."""
    found = copy.deepcopy(stepped("Adam").state_dict())
    found["param_groups"][0] |= {"lr": 1e-3, "betas": (0.5, 0.75), "weight_decay": 0, "initial_lr": 0.1}
    for name in ("foreach", "capturable", "fused", "decoupled_weight_decay"):
        found["param_groups"][0].pop(name, None)
    for state in found["state"].values():
        state["step"] = 3
    own = stepped("Adam", 0)
    require_optimizer(found, own)
    own.load_state_dict(found)
    for one in own.param_groups[0]["params"]:
        one.grad = torch.ones_like(one)
    own.step()


def put(*keys: Any, value: Any) -> Callable[[Any], Any]:
    def change(tree: Any) -> Any:
        part = tree
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        return tree

    return change


def drop(*keys: Any) -> Callable[[Any], Any]:
    def change(tree: Any) -> Any:
        part = tree
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]
        return tree

    return change


GROUP, FIRST = ("param_groups", 0), ("state", 0)
WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a list": (lambda tree: [tree], "no state and groups"),
    "no groups": (put("param_groups", value=None), "expected 1 groups"),
    "two groups": (lambda tree: {**tree, "param_groups": tree["param_groups"] * 2}, "expected 1 groups"),
    "no parameters": (drop(*GROUP, "params"), "has no parameters"),
    "parameters in a tensor": (put(*GROUP, "params", value=torch.arange(2)), "has no parameters"),
    "a parameter that is a tensor": (put(*GROUP, "params", 1, value=torch.zeros(2, 3)), "of other parameters"),
    "a parameter that is a flag": (put(*GROUP, "params", 1, value=True), "of other parameters"),
    "parameters in another order": (put(*GROUP, "params", value=[1, 0]), "of other parameters"),
    "a setting that is a tensor": (put(*GROUP, "lr", value=torch.zeros(2)), "'lr' of an optimizer: expected a number"),
    "a setting that is text": (put(*GROUP, "eps", value="x"), "'eps' of an optimizer: expected a number"),
    "a setting of three numbers": (put(*GROUP, "betas", value=(0.9, 0.9, 0.9)), "'betas' of an optimizer"),
    "a rate that is None": (put(*GROUP, "lr", value=None), "cannot use its settings"),
    "a rate under 0": (put(*GROUP, "lr", value=-1.0), "cannot use its settings .*Invalid learning rate"),
    "no rate": (drop(*GROUP, "lr"), "cannot use its settings .*lr"),
    "a mean that never moves": (put(*GROUP, "betas", value=(1.0, 0.9)), "cannot use its settings .*beta"),
    "one number for two": (put(*GROUP, "betas", value=0.9), "cannot use its settings"),
    "steps on a device that is not there": (put(*GROUP, "capturable", value=True), "cannot use its settings"),
    "a state that is missing": (put(*GROUP, "amsgrad", value=True), r"expected \['exp_avg', 'exp_avg_sq', 'max_exp_"),
    "a state of no parameter": (put("state", 2, value={}), "of other parameters"),
    "a state that is a list": (put(*FIRST, value=[1]), "of other parameters"),
    "a state of another kind": (put(*FIRST, value={"square_avg": torch.zeros(2, 3)}), r"expected \['exp_avg', "),
    "a complex count": (
        put(*FIRST, "step", value=torch.tensor(2 + 0j)),
        "step of an optimizer: expected torch.float32",
    ),
    "a whole count": (put(*FIRST, "step", value=torch.tensor(2)), "step of an optimizer: expected torch.float32"),
    "a count that is text": (put(*FIRST, "step", value="2"), "step of an optimizer: expected a tensor, got '2'"),
    "a count under 0": (put(*FIRST, "step", value=torch.tensor(-1.0)), "step of an optimizer has a number"),
    "a count of each number": (put(*FIRST, "step", value=torch.ones(2, 3)), r"step .* expected shape \(\), got \(2, 3"),
    "moments of another shape": (put(*FIRST, "exp_avg", value=torch.ones(3, 2)), r"expected shape \(2, 3\), got \(3, "),
    "moments that are a number": (put(*FIRST, "exp_avg", value=1.0), "exp_avg of an optimizer: expected a tensor"),
    "complex moments": (put(*FIRST, "exp_avg", value=torch.ones(2, 3) * 1j), "exp_avg .* expected torch.float32"),
    "moments that are NaN": (put(*FIRST, "exp_avg", value=torch.full((2, 3), torch.nan)), "exp_avg .* NaN"),
    "squares under 0": (put(*FIRST, "exp_avg_sq", value=torch.full((2, 3), -1.0)), "exp_avg_sq .* under 0"),
    "moments in one place": (put(*FIRST, "exp_avg", value=torch.ones(1, 1).expand(2, 3)), "lie in the same places"),
    "gigabytes of moments": (put(*FIRST, "exp_avg", value=torch.ones(1).expand(10**6, 10**6)), r"expected shape"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_state_that_an_optimizer_cannot_use(kind: str) -> None:
    change, says = WRONG[kind]
    found = change(read_tensors(saved(stepped("Adam").state_dict()), "x.pt"))
    own = stepped("Adam", 0)
    with pytest.raises(ValueError, match=says) as caught:
        require_optimizer(read_tensors(saved(found), "x.pt"), own)
    assert len(str(caught.value)) < 600 and not own.state


def test_a_path_in_the_message_is_cut() -> None:
    with pytest.raises(FileError) as caught:
        read_tensors(saved(Calls(bytearray, 1)), Path("x" * 5000))
    assert len(str(caught.value)) < 400
