"""Classifiers in a file: a safetensors file with two arrays for each, and the names of their classes.

A training writes one beside each checkpoint, with a classifier for each number of samples a class: ``"16"``, or of
several games ``"Pong.16"``.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_env.files import FileError, parse_json, read_bytes, shown, shown_path, shown_text, write_atomically
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.shipped import BundleError

MOST_BYTES = 1 << 24
CLASSES = "classes"  # in the metadata: title -> names, as JSON


def write_classifiers(path: str | os.PathLike[str], classifiers: Mapping[str, LinearClassifier]) -> None:
    """Write classifiers by their titles, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = {}
    for title, one in classifiers.items():
        arrays[f"{title}.coef"], arrays[f"{title}.intercept"] = map(np.ascontiguousarray, (one.coef, one.intercept))
    names = {title: list(one.class_names) for title, one in classifiers.items()}
    write_atomically(Path(path), save(arrays, {CLASSES: json.dumps(names)}))


def read_classifiers(path: str | os.PathLike[str]) -> dict[str, LinearClassifier]:
    """Read the classifiers in a file, by their titles. Nothing is unpickled.

    >>> found = read_classifiers("runs/pong/checkpoints/best.classifiers.safetensors")  # doctest: +SKIP
    >>> model = load_model("pong").with_classifier(found["16"])                         # doctest: +SKIP

    Raises:
        BundleError: it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        blob = read_bytes(Path(path), MOST_BYTES)
        arrays = load(blob)
        names = _names(blob, path)
        return {title: _classifier(title, arrays, each) for title, each in names.items()}
    except FileNotFoundError:
        raise BundleError(f"no file of classifiers {shown_path(path)}.") from None
    except FileError as error:
        raise BundleError(str(error)) from None
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        why = shown_text(str(error)).rstrip(".")
        raise BundleError(f"{shown_path(path)} is no file of classifiers, or is damaged: {why}.") from None


def _names(blob: bytes, path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """The names of the classes of each classifier, from the header of a safetensors file that could be read.

    Raises:
        FileError, ValueError, LookupError, TypeError, AttributeError: there are none.
    """
    (length,) = struct.unpack("<Q", blob[:8])
    header = parse_json(blob[8 : 8 + length], shown_path(path))
    found: Any = parse_json(header["__metadata__"][CLASSES].encode(), shown_path(path))
    for title, names in found.items():
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"classes of {shown(title)}: expected names, got {shown(names)}")
        if len(set(names)) < len(names):
            raise ValueError(f"classes of {shown(title)}: a name is there twice")
    return {title: tuple(names) for title, names in found.items()}


def _classifier(title: str, arrays: Mapping[str, np.ndarray], names: tuple[str, ...]) -> LinearClassifier:
    """One classifier.

    Raises:
        ValueError, LookupError: an array is missing, or has another type or shape, or a number that is NaN or infinite.
    """
    coef, intercept = arrays[f"{title}.coef"], arrays[f"{title}.intercept"]
    for name, array, sides in (("coef", coef, 2), ("intercept", intercept, 1)):
        if array.dtype != np.float32 or array.ndim != sides or not np.isfinite(array).all():
            raise ValueError(f"{name} of {shown(title)}: expected {sides} axes of finite float32 numbers")
    return LinearClassifier(coef, intercept, names)
