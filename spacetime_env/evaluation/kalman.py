"""The published Kalman classifier: names of objects, smoothed over the frames of a stack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from spacetime_env.evaluation.latents import Samples, draw_samples
from spacetime_env.objects.detections import Detections

# The published filter's variances. Each of its matrices is one of these times the identity.
START_VARIANCE, PROCESS_VARIANCE, MEASUREMENT_VARIANCE, UNSEEN_VARIANCE = 5.0, 0.5, 1.0, 0.001
SHOTS = 4  # samples per class that the random forest is fitted on
TREE_DEPTH = 5


def kalman_features(detections: Detections) -> np.ndarray:
    """What the classifier reads of each object: z_where and z_what, (n, 4 + D)."""
    return np.concatenate([detections.z_where, detections.z_what], axis=1)


def kalman_accuracy(
    train: Samples, stacks: Sequence[Sequence[Samples]], count: int = SHOTS, seed: int = 0
) -> float:
    """The published ``bayes_accuracy``: class probabilities of a random forest, smoothed by Kalman filters.

    A random forest on ``count`` samples per class gives each detection class probabilities. Each object of a stack has
    a Kalman filter (Kalman 1960), whose state is the object's place and its probabilities. In each frame detections
    are assigned to filters so that the sum of the distances is least. In the last frame of each stack the most probable
    class is compared with the truth. The published filter starts at a random place; this one starts at the first place
    that it is given, so that results repeat.

    Args:
        train: features (n, 4 + D), see :func:`kalman_features`, and n names.
        stacks: for each stack and each of its frames, features and true names of the detected objects.
        count: samples per class.
        seed: of the draw and of the forest.

    Returns:
        In [0, 1]; NaN if ``train`` is empty, or no last frame has an object.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import StandardScaler

    if not train.names or not any(stack and stack[-1].names for stack in stacks):
        return float("nan")
    picks = draw_samples(train.names, count, np.random.default_rng((seed, count)))
    scaler = StandardScaler().fit(train.features[picks])
    forest = RandomForestClassifier(max_depth=TREE_DEPTH, random_state=seed)
    forest.fit(scaler.transform(train.features[picks]), [train.names[i] for i in picks])
    frames = [frame for stack in stacks for frame in stack]
    features = np.concatenate([frame.features for frame in frames])
    probabilities = forest.predict_proba(scaler.transform(features))
    ends = np.cumsum([len(frame.features) for frame in frames])[:-1]
    parts = iter(zip(np.split(features[:, 2:4], ends), np.split(probabilities, ends), strict=True))
    right = total = 0
    for stack in stacks:
        last = smooth([next(parts) for _ in stack])
        if stack:
            right += int(np.sum(forest.classes_[last] == np.array(stack[-1].names, object)))
            total += len(last)
    return right / total


def smooth(frames: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The most probable class of each object of the last frame, given all frames.

    All matrices of the published filter are multiples of the identity, so its gain is one number for each filter.

    Args:
        frames: for each frame, places (n, 2) and class probabilities (n, C) of its objects.

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
        variance = np.concatenate([variance, np.full(len(new), START_VARIANCE)]) + PROCESS_VARIANCE
        gain = variance[taken] / (variance[taken] + MEASUREMENT_VARIANCE + 5 * UNSEEN_VARIANCE)
        places[taken] += gain[:, None] * (at - places[taken])
        states[taken] += gain[:, None] * (probabilities - states[taken])
        variance[taken] *= 1 - gain
    return states[taken].argmax(axis=1) if len(taken) else np.zeros(0, int)
