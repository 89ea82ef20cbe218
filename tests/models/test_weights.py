"""Weights that are no numbers, of another type or of another size; and model folders whose files are no files."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spacetime_env.models.folder import load_model
from spacetime_env.shipped import BundleError, UnknownModelError
from tests.models.test_folder import change_weights, change_yaml, save


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "made-up")


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copied"))


def put(name: str, number: float) -> Callable[[Any], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[-1] = number

    return change


def cast(name: str, dtype: torch.dtype) -> Callable[[Any], None]:
    return lambda tensors: tensors.update({name: tensors[name].to(dtype)})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["space.foreground.encoder.head.weight", "classifier.coef", "classifier.intercept"])
def test_weights_that_are_no_numbers(copied: Path, name: str, number: float) -> None:
    change_weights(copied, put(name, number))
    with pytest.raises(BundleError, match=rf"model.safetensors: {name} has a number that is NaN or infinite"):
        load_model(copied)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["space.foreground.encoder.head.weight", "classifier.coef", "classifier.intercept"])
def test_weights_of_another_type(copied: Path, name: str, dtype: torch.dtype) -> None:
    change_weights(copied, cast(name, dtype))
    with pytest.raises(BundleError, match=rf"{name.removeprefix('space.')}: .*{dtype}"):
        load_model(copied)


@pytest.mark.parametrize("name", ["space.foreground.encoder.head.weight", "classifier.coef"])
def test_complex_weights(copied: Path, name: str) -> None:
    """An old safetensors (0.4.3) does not know them: it writes none, and calls a file of them none of its own."""
    change_weights(copied, cast(name, torch.float64))
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F64"', b'"C64"'))  # 8 bytes each, too
    change_yaml(copied, lambda tree: tree.update(sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(BundleError, match=r"torch\.complex64|is not a safetensors file"):
        load_model(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tree: tree["scene"].update(slots={"Ball": 10**12}),
            "slots: expected 0 to 1000, got 1000000000000",
        ),
        (lambda tree: tree["scene"].update(slots={"Ball": -1}), "scene: slots: expected 0 to 1000, got -1"),
        (lambda tree: tree["model"].update(z_what_dim=10**9), "z_what_dim: expected 1 to 16384"),
        (lambda tree: tree.update(native=[10**6, 10**6]), "native: expected 1 to 2048"),
        (lambda tree: tree.update(game="../../x"), "game: expected a name of letters"),
        (lambda tree: tree.update(game="os:path"), "game: expected a name of letters"),
        # Within the ranges, and 8 GB if it were built.
        (
            lambda tree: tree["model"]["encoder"].update(layers=[[16384, 4, 2, 1, 4], [16384, 3, 1, 1, 4]]),
            "is damaged: its weights do not fit|does not describe a network",
        ),
    ],
)
def test_settings_are_compared_before_anything_is_allocated(copied: Path, change: object, message: str) -> None:
    load_model(copied)  # so that what torch needs is there
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    change_yaml(copied, change)
    with pytest.raises(BundleError, match=message):
        load_model(copied)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("name", ["model.yaml", "model.safetensors"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "directory", "loop"])
def test_files_that_are_no_files(copied: Path, name: str, kind: str) -> None:
    path = copied / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else kind)
    with pytest.raises(BundleError, match=r"is a pipe or a device|Is a directory|Too many levels"):
        load_model(copied)


def test_a_name_that_is_too_long() -> None:
    for name in ("x" * 9000, "./" + "x" * 9000, "a\0b"):
        with pytest.raises(UnknownModelError) as caught:
            load_model(name)
        assert len(str(caught.value)) < 400
