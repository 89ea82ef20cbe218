"""How well z_what tells classes apart: with a few labels, with none, and smoothed over time."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.evaluation.boxes import Truth, iou, match
from spacetime_env.models.classifier import fit_ridge
from spacetime_env.objects.detections import Detections

Samples = tuple[np.ndarray, list[str]]  # features (n, D) of objects that were found, and their n true names

# The published Kalman filter's numbers: all its matrices are these times the identity.
START, PROCESS, MEASURED, UNSEEN = 5.0, 0.5, 1.0, 0.001
KALMAN_SHOTS = 4  # samples per class of its classifier
TREE_DEPTH = 5


def true_names(found: Sequence[Detections], truth: Sequence[Truth]) -> list[list[str]]:
    """Of every detection, the name of the true object that it matches at IoU >= 0.5; ``""`` where there is none."""
    result = []
    for one, true in zip(found, truth, strict=True):
        names = [""] * len(one)
        for i, j in match(iou(one.boxes, true.boxes), 0.5):
            names[i] = true.names[j]
        result.append(names)
    return result


def labelled(found: Sequence[Detections], truth: Sequence[Truth]) -> Samples:
    """z_what of every detection that matches a true object at IoU >= 0.5, with that object's name."""
    z_what, names = [], []
    for one, true in zip(found, true_names(found, truth), strict=True):
        kept = [i for i, name in enumerate(true) if name]
        z_what.append(one.z_what[kept])
        names += [true[i] for i in kept]
    dimension = found[0].z_what.shape[1] if len(found) else 0
    return np.concatenate([np.zeros((0, dimension), np.float32), *z_what]).astype(np.float32), names


def draw_samples(names: Sequence[str], count: int, generator: np.random.Generator) -> np.ndarray:
    """Indices of ``count`` random samples of each class; all of a class that has fewer."""
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
    """Accuracy on ``test`` of ridge classifiers fitted on a few samples per class of ``train``.

    Args:
        train, test: z_what (n, D) and n names each, as :func:`labelled` gives them.
        counts: samples per class.
        draws: of samples, for each count.
        seed: the same seed draws the same samples.

    Returns:
        samples per class -> mean and standard deviation over the draws; empty where a side has no samples.
    """
    if not train[1] or not test[1]:
        return {}
    classes = sorted({*train[1], *test[1]})
    result = {}
    for count in counts:
        accuracies = []
        for draw in range(draws):
            picks = draw_samples(train[1], count, np.random.default_rng((seed, count, draw)))
            classifier = fit_ridge(train[0][picks], [train[1][i] for i in picks], classes)
            accuracies.append(float(np.mean(classifier.predict(test[0]) == np.array(test[1]))))
        result[count] = (float(np.mean(accuracies)), float(np.std(accuracies)))
    return result


def centroid_accuracy(train: Samples, test: Samples) -> float:
    """Accuracy on ``test`` of the nearest of the classes' means, each the mean of all its samples of ``train``.

    In units of the standard deviation of ``train``, in each dimension. NaN where a side has no samples.
    """
    from sklearn.neighbors import NearestCentroid

    if not train[1] or not test[1]:
        return float("nan")
    if len(set(train[1])) == 1:  # scikit-learn wants two
        return float(np.mean(np.array(test[1]) == train[1][0]))
    mean, std = _scale(train[0])
    with warnings.catch_warnings():  # of dimensions that do not vary; the distance does not mind
        warnings.simplefilter("ignore")
        nearest = NearestCentroid().fit((train[0] - mean) / std, train[1])
    return float(nearest.score((test[0] - mean) / std, test[1]))


def cluster_scores(samples: Samples, seed: int = 0) -> dict[str, float]:
    """How well k-means finds the classes without labels; k is their number, z_what in standard deviations.

    Args:
        samples: z_what (n, D) and n names.
        seed: of k-means.

    Returns:
        ``ami`` and ``ari``, the adjusted mutual information and the adjusted Rand index (1: the clusters are the
        classes, 0: as by chance), and ``cluster_accuracy``: of the objects that get the name most frequent in
        their cluster. All NaN with fewer than two classes, which no clustering can tell apart.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    z_what, names = samples
    classes = len(set(names))
    if classes < 2:
        return dict.fromkeys(("ami", "ari", "cluster_accuracy"), float("nan"))
    mean, std = _scale(z_what)
    count = min(classes, len(np.unique(z_what, axis=0)))
    clusters = KMeans(count, n_init=4, random_state=seed).fit_predict((z_what - mean) / std)
    most = [Counter(name for name, at in zip(names, clusters, strict=True) if at == c) for c in range(count)]
    return {
        "ami": float(adjusted_mutual_info_score(names, clusters)),
        "ari": float(adjusted_rand_score(names, clusters)),
        "cluster_accuracy": sum(max(each.values(), default=0) for each in most) / len(names),
    }


def _scale(z_what: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each dimension, (D,) each, as the classifiers of this package use them."""
    wide = np.asarray(z_what, np.float64)
    return wide.mean(axis=0), wide.std(axis=0) + 1e-6


def kalman_features(found: Detections) -> np.ndarray:
    """What the published Kalman classifier looks at: z_where and z_what, (n, 4 + D)."""
    return np.concatenate([found.z_where, found.z_what], axis=1)


def kalman_accuracy(
    train: Samples, stacks: Sequence[Sequence[Samples]], count: int = KALMAN_SHOTS, seed: int = 0
) -> float:
    """The published ``bayes_accuracy``: names from a classifier, smoothed by a Kalman filter over a stack's frames.

    A random forest on ``count`` samples per class gives each detection probabilities. Each object of a stack has a
    Kalman filter (Kalman 1960) whose state is its place and its probabilities; detections go to the filters whose
    places are nearest in sum. In the last frame of each stack the most probable class is compared with the truth.
    Unlike the published one, a filter begins at the first place it sees, not at a random one: the same numbers come
    each time.

    Args:
        train: features (n, 4 + D), as :func:`kalman_features` gives them, and n names.
        stacks: for each stack, for each frame, features and true names of the objects found.
        count: samples per class.
        seed: of the draw and of the forest.

    Returns:
        In [0, 1]; NaN without a sample, or without an object in any last frame.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    if not train[1] or not any(stack and stack[-1][1] for stack in stacks):
        return float("nan")
    picks = draw_samples(train[1], count, np.random.default_rng((seed, count)))
    scaler = StandardScaler().fit(train[0][picks])
    forest = RandomForestClassifier(max_depth=TREE_DEPTH, random_state=seed)
    forest.fit(scaler.transform(train[0][picks]), [train[1][i] for i in picks])
    frames = [frame for stack in stacks for frame in stack]
    features = np.concatenate([each for each, _ in frames])
    probabilities = forest.predict_proba(scaler.transform(features))
    ends = np.cumsum([len(each) for each, _ in frames])[:-1]
    parts = iter(zip(np.split(features[:, 2:4], ends), np.split(probabilities, ends), strict=True))
    right = total = 0
    for stack in stacks:
        last = smooth([next(parts) for _ in stack])
        if stack:
            right += int(np.sum(forest.classes_[last] == np.array(stack[-1][1], object)))
            total += len(last)
    return right / total


def smooth(frames: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The most probable class of each object of the last frame, with what the frames before it say.

    Since all matrices of the published filter are multiples of the identity, its gain is one number a filter.

    Args:
        frames: of each frame, places (n, 2) and probabilities (n, C).

    Returns:
        (n,) int, for the objects of the last frame.
    """
    places, states, variance = np.zeros((0, 2)), np.zeros((0, 0)), np.zeros(0)
    taken = np.zeros(0, int)
    for at, probabilities in frames:
        n, classes = probabilities.shape
        distance = np.linalg.norm(places[:, None] - at[None], axis=2)
        filters, objects = linear_sum_assignment(distance)
        taken = np.full(n, -1)
        taken[objects] = filters
        new = np.flatnonzero(taken < 0)
        taken[new] = len(places) + np.arange(len(new))
        places = np.concatenate([places, at[new]])
        states = np.concatenate([states.reshape(-1, classes), np.full((len(new), classes), 1 / classes)])
        variance = np.concatenate([variance, np.full(len(new), START)]) + PROCESS
        gain = variance[taken] / (variance[taken] + MEASURED + 5 * UNSEEN)
        places[taken] += gain[:, None] * (at - places[taken])
        states[taken] += gain[:, None] * (probabilities - states[taken])
        variance[taken] *= 1 - gain
    return states[taken].argmax(axis=1) if len(taken) else np.zeros(0, int)
