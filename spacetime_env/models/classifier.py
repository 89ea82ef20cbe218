"""A linear classifier that names objects by their z_what. It is fitted on a few labels, or by clustering without any.

The published model fits scikit-learn's RidgeClassifier on 1, 4, 16 or 64 samples of each class and pickles it. Here
only its coefficients are kept, with the standardisation folded in. So a model folder holds no code.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spacetime_env.files import shown_names, write_atomically


@dataclass(frozen=True)
class LinearClassifier:
    """Gives an object the class with the highest ``z_what @ coef.T + intercept``.

    Raises:
        ValueError: ``coef`` or ``intercept`` has not a row for each class.
    """

    coef: np.ndarray  # (C, D) float32
    intercept: np.ndarray  # (C,) float32
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.coef.shape[0] != len(self.class_names) or self.intercept.shape != (len(self.class_names),):
            raise ValueError(
                f"a classifier of {len(self.class_names)} classes needs coef ({len(self.class_names)}, D) "
                f"and intercept ({len(self.class_names)},), got {self.coef.shape} and {self.intercept.shape}."
            )

    def class_ids(self, z_what: np.ndarray) -> np.ndarray:
        """(n, D) -> (n,) int64, indices into ``class_names``."""
        return (z_what @ self.coef.T + self.intercept).argmax(axis=1)

    def predict(self, z_what: np.ndarray) -> np.ndarray:
        """(n, D) -> (n,) names. :meth:`Space.scene_description` calls this."""
        return np.array(self.class_names)[self.class_ids(np.asarray(z_what))]


def fit_ridge(z_what: np.ndarray, names: Sequence[str], class_names: Sequence[str]) -> LinearClassifier:
    """Fit a ridge classifier on standardised z_what.

    Args:
        z_what: (n, D) of n labelled objects, n >= 1.
        names: the class name of each.
        class_names: all classes, in the order of their ids. A class without a sample is never predicted.

    Raises:
        ValueError: no sample, not one name for each, or a name that is not in ``class_names``.
    """
    from sklearn.linear_model import RidgeClassifier

    unknown = sorted(set(names) - set(class_names))
    if len(z_what) == 0 or len(z_what) != len(names) or unknown:
        among = f", among them {shown_names(unknown)}" if unknown else ""
        raise ValueError(
            f"expected one of the names {shown_names(class_names)} for each of 1 or more samples, got "
            f"{len(z_what)} samples and {len(names)} names{among}."
        )
    z_what = np.asarray(z_what, np.float64)
    mean, std = z_what.mean(axis=0), z_what.std(axis=0) + 1e-6
    seen = [name for name in class_names if name in set(names)]
    coef = np.zeros((len(class_names), z_what.shape[1]))
    intercept = np.full(len(class_names), -1e9)
    index = [list(class_names).index(name) for name in seen]
    if len(seen) == 1:
        intercept[index[0]] = 0.0
    else:
        ridge = RidgeClassifier().fit((z_what - mean) / std, [seen.index(name) for name in names])
        weights, bias = _one_row_a_class(ridge.coef_, ridge.intercept_, len(seen))
        coef[index] = weights / std
        intercept[index] = bias - coef[index] @ mean
    return LinearClassifier(coef.astype(np.float32), intercept.astype(np.float32), tuple(class_names))


def fit_clusters(z_what: np.ndarray, count: int, seed: int = 0) -> LinearClassifier:
    """Make classes without labels: the clusters that k-means finds in standardised z_what.

    The classes are named ``object0``, ``object1`` ..., the most frequent first. An object belongs to the cluster with
    the nearest centroid c. That is the one with the highest ``z @ c - |c|^2 / 2``, so the classifier is linear.

    Args:
        z_what: (n, D) of n objects, n >= 1.
        count: how many clusters; fewer if there are fewer different objects.
        seed: of k-means.

    Raises:
        ValueError: no object.
    """
    from sklearn.cluster import KMeans

    if not len(z_what):
        raise ValueError("expected z_what of at least one object to cluster, got none.")
    z_what = np.asarray(z_what, np.float64)
    count = max(1, min(count, len(np.unique(z_what, axis=0))))
    mean, std = z_what.mean(axis=0), z_what.std(axis=0) + 1e-6
    means = KMeans(count, n_init=4, random_state=seed).fit((z_what - mean) / std)
    order = np.argsort(-np.bincount(means.labels_, minlength=count), kind="stable")
    centroids = means.cluster_centers_[order]
    coef = centroids / std
    intercept = -0.5 * (centroids**2).sum(axis=1) - coef @ mean
    names = tuple(f"object{i}" for i in range(count))
    return LinearClassifier(coef.astype(np.float32), intercept.astype(np.float32), names)


def export_joblib(classifier: LinearClassifier, path: str | os.PathLike[str]) -> None:
    """Write the classifier as a scikit-learn RidgeClassifier, for code that reads the published joblib files.

    The published name of such a file is ``z_what-classifier_{n}.joblib.pkl`` where n is the number of samples of each
    class.

    Raises:
        OSError: the file cannot be written.
    """
    import joblib
    from sklearn.linear_model import RidgeClassifier

    order = np.argsort(np.array(classifier.class_names))  # scikit-learn sorts classes by name
    coef = classifier.coef[order].astype(np.float64)
    intercept = classifier.intercept[order].astype(np.float64)
    # Fitted on zeros, so that it has every attribute that this version of scikit-learn expects of a fitted one.
    ridge = RidgeClassifier().fit(np.zeros_like(coef), np.array(classifier.class_names))
    if len(order) == 2:  # scikit-learn has one row for two classes: over 0 means the second
        coef, intercept = coef[1] - coef[0], intercept[1:] - intercept[:1]
    elif len(order) == 1:
        coef, intercept = np.zeros_like(coef), np.full(1, -1.0)
    ridge.coef_, ridge.intercept_ = coef.reshape(ridge.coef_.shape), intercept
    write_atomically(Path(path), lambda temporary: joblib.dump(ridge, temporary))


def import_joblib(path: str | os.PathLike[str], class_names: Sequence[str] | None = None) -> LinearClassifier:
    """Read a linear scikit-learn classifier from a joblib file. This unpickles: open only files that you trust.

    Args:
        path: such as ``z_what-classifier_16.joblib.pkl``.
        class_names: names for its ``classes_``, in their order. None: ``classes_`` are the names.

    Raises:
        ValueError: the file is missing or damaged, holds no linear classifier, or has not one name for each class.
    """
    import joblib

    if not Path(path).is_file():
        raise ValueError(f"no classifier file {path}.")
    try:
        loaded: Any = joblib.load(path)
    except Exception as error:  # unpickling raises anything
        raise ValueError(f"{path} cannot be read as a joblib file ({type(error).__name__}: {error}).") from error
    if not all(hasattr(loaded, name) for name in ("coef_", "intercept_", "classes_")):
        raise ValueError(f"{path} holds a {type(loaded).__name__}; expected a linear scikit-learn classifier.")
    names = tuple(str(name) for name in (loaded.classes_ if class_names is None else class_names))
    coef, intercept = _one_row_a_class(loaded.coef_, loaded.intercept_, len(loaded.classes_))
    return LinearClassifier(coef.astype(np.float32), intercept.astype(np.float32), names)


def _one_row_a_class(coef: np.ndarray, intercept: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's coefficients, as (C, D) and (C,). Of two classes it has one row, flat in newer versions."""
    coef, intercept = np.atleast_2d(coef), np.atleast_1d(intercept)
    if classes == 2:
        return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    return np.ascontiguousarray(coef), intercept  # coef_ is in Fortran's order, and safetensors wants C's
