"""Classifiers beside checkpoints: what is written is read, and what cannot be is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.classifier_file import read_classifiers, write_classifiers
from spacetime_env.shipped import BundleError
from tests.helpers.tiny import make_classifier

COEF, INTERCEPT = np.ones((2, 3), np.float32), np.zeros(2, np.float32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    first = make_classifier()
    fortran = LinearClassifier(np.asfortranarray(first.coef[::-1]), first.intercept, ("é", "Ball.1"))
    write_classifiers(tmp_path / "a", {"1": first, "Pong.16": fortran})
    found = read_classifiers(tmp_path / "a")
    assert [*found] == ["1", "Pong.16"]
    for one, other in zip(found.values(), (first, fortran), strict=True):
        assert one.class_names == other.class_names
        assert np.array_equal(one.coef, other.coef) and np.array_equal(one.intercept, other.intercept)


def file_of(names: object, coef: np.ndarray = COEF, intercept: np.ndarray = INTERCEPT) -> bytes:
    return save({"1.coef": coef, "1.intercept": intercept}, {"classes": json.dumps(names)})


WRONG: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is no file of classifiers, or is damaged"),
    "no metadata": (save({"1.coef": COEF}), "'__metadata__'"),
    "no JSON": (save({"1.coef": COEF}, {"classes": "{"}), "is not JSON"),
    "no table": (file_of(["A", "B"]), "is damaged"),
    "no names": (file_of({"1": 3}), "classes of '1': expected names, got 3"),
    "an empty name": (file_of({"1": ["A", ""]}), "expected names"),
    "a name twice": (file_of({"1": ["A", "A"]}), "a name is there twice"),
    "a name too many": (file_of({"1": ["A", "B", "C"]}), "a classifier of 3 classes needs"),
    "another title": (file_of({"2": ["A", "B"]}), r"'2\.coef'"),
    "another type": (file_of({"1": ["A", "B"]}, COEF.astype(np.float64)), "coef of '1': expected 2 axes"),
    "another shape": (file_of({"1": ["A", "B"]}, intercept=INTERCEPT[:, None]), "intercept of '1': expected 1 axes"),
    "NaN": (file_of({"1": ["A", "B"]}, COEF * np.float32("nan")), "coef of '1'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused(what: str, tmp_path: Path) -> None:
    data, message = WRONG[what]
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BundleError, match=message):
        read_classifiers(tmp_path / "x")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no file of classifiers"):
        read_classifiers(tmp_path / "x")
