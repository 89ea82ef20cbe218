"""How well z_what tells the classes apart: by a classifier on a few labels, by class means, and by clusters."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spacetime_env.evaluation.boxes import Truth, centeredness, iou, match
from spacetime_env.models.classifier import fit_ridge
from spacetime_env.objects.detections import Detections


class Samples(NamedTuple):
    """Features of detected objects, and the names of the true objects that they match."""

    features: np.ndarray  # (n, D), for example z_what
    names: list[str]  # n class names


def true_names(
    detections: Sequence[Detections], truth: Sequence[Truth], nearby: bool = False
) -> list[list[str]]:
    """The name of the true object that each detection of each frame matches at an IoU of at least 0.5, or ``""``.

    Args:
        nearby: of all others, also the names of those that match by their centres. Boxes of the RAM can be off by some
            pixels, so a shot that is a pixel wide may overlap no box of its class.
    """
    result = []
    for one, true in zip(detections, truth, strict=True):
        names, theirs = [""] * len(one), set(range(len(true.names)))
        for i, j in match(iou(one.boxes, true.boxes)):
            names[i] = true.names[j]
            theirs.remove(j)
        if nearby:
            mine, left = [i for i, name in enumerate(names) if not name], sorted(theirs)
            for i, j in match(centeredness(one.boxes[mine], true.boxes[left])):
                names[mine[i]] = true.names[left[j]]
        result.append(names)
    return result


def labelled(detections: Sequence[Detections], truth: Sequence[Truth], nearby: bool = False) -> Samples:
    """z_what of each detection that matches a true object at an IoU of at least 0.5, with that object's name.

    Args:
        nearby: also of those that match by their centres, see :func:`true_names`.
    """
    z_what, names = [], []
    for one, true in zip(detections, true_names(detections, truth, nearby), strict=True):
        kept = [i for i, name in enumerate(true) if name]
        z_what.append(one.z_what[kept])
        names += [true[i] for i in kept]
    dimension = detections[0].z_what.shape[1] if len(detections) else 0
    return Samples(np.concatenate([np.zeros((0, dimension), np.float32), *z_what]).astype(np.float32), names)


def draw_samples(names: Sequence[str], count: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of ``count`` random samples of each class, or of all samples of a class that has fewer."""
    array = np.array(names)
    picks = [generator.permutation(np.flatnonzero(array == name))[:count] for name in sorted(set(names))]
    return np.concatenate(picks) if picks else np.zeros(0, dtype=int)


def few_shot_accuracy(
    train: Samples,
    test: Samples,
    counts: Sequence[int] = (1, 4, 16, 64),
    draws: int = 5,
    seed: int = 0,
) -> dict[int, tuple[float, float]]:
    """Accuracy on ``test`` of ridge classifiers that are fitted on a few samples of each class of ``train``.

    Args:
        train, test: z_what (n, D) and n names each, see :func:`labelled`.
        counts: numbers of samples per class.
        draws: how often samples are drawn for each count.
        seed: the same seed draws the same samples.

    Returns:
        Count -> mean and standard deviation of the accuracy over the draws; empty if ``train`` or ``test`` is empty.
    """
    if not train.names or not test.names:
        return {}
    classes = sorted({*train.names, *test.names})
    result = {}
    for count in counts:
        accuracies = []
        for draw in range(draws):
            picks = draw_samples(train.names, count, np.random.default_rng((seed, count, draw)))
            classifier = fit_ridge(train.features[picks], [train.names[i] for i in picks], classes)
            accuracies.append(float(np.mean(classifier.predict(test.features) == np.array(test.names))))
        result[count] = (float(np.mean(accuracies)), float(np.std(accuracies)))
    return result


def centroid_accuracy(train: Samples, test: Samples) -> float:
    """Accuracy on ``test`` of a nearest-centroid classifier. A class's centroid is the mean of its ``train`` samples.

    Distances are in units of the standard deviation of ``train`` in each dimension. NaN if ``train`` or ``test`` is
    empty.
    """
    from sklearn.neighbors import NearestCentroid

    if not train.names or not test.names:
        return float("nan")
    if len(set(train.names)) == 1:  # scikit-learn wants two classes
        return float(np.mean(np.array(test.names) == train.names[0]))
    mean, std = mean_and_std(train.features)
    with warnings.catch_warnings():  # it warns of dimensions that do not vary, which do not change the distances
        warnings.simplefilter("ignore")
        nearest = NearestCentroid().fit((train.features - mean) / std, train.names)
    return float(nearest.score((test.features - mean) / std, test.names))


def cluster_scores(samples: Samples, seed: int = 0) -> dict[str, float]:
    """How well k-means clusters agree with the classes. k is the number of classes.

    Args:
        samples: z_what (n, D), clustered in units of its standard deviation, and n names.
        seed: of k-means.

    Returns:
        ``ami`` and ``ari``: the adjusted mutual information and the adjusted Rand index of clusters and classes, 1 if
        they are the same and 0 by chance. ``cluster_accuracy``: the fraction of objects that have the most frequent
        name of their cluster. All are NaN with fewer than two classes.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    z_what, names = samples
    classes = len(set(names))
    if classes < 2:
        return dict.fromkeys(("ami", "ari", "cluster_accuracy"), float("nan"))
    mean, std = mean_and_std(z_what)
    count = min(classes, len(np.unique(z_what, axis=0)))
    clusters = KMeans(count, n_init=4, random_state=seed).fit_predict((z_what - mean) / std)
    most = [Counter(name for name, at in zip(names, clusters, strict=True) if at == c) for c in range(count)]
    return {
        "ami": float(adjusted_mutual_info_score(names, clusters)),
        "ari": float(adjusted_rand_score(names, clusters)),
        "cluster_accuracy": sum(max(each.values(), default=0) for each in most) / len(names),
    }


def mean_and_std(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each dimension: (n, D) -> (D,) each, float64; the deviation is never 0."""
    wide = np.asarray(features, np.float64)
    return wide.mean(axis=0), wide.std(axis=0) + 1e-6
