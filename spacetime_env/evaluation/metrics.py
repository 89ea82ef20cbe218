"""The metrics of an evaluation, by name, for a set of objects or for a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import Truth, detection_scores, divide, of_classes
from spacetime_env.evaluation.coco import IOUS, average_precision
from spacetime_env.evaluation.drawn import join
from spacetime_env.evaluation.kalman import kalman_accuracy
from spacetime_env.evaluation.latents import Samples, centroid_accuracy, cluster_scores, few_shot_accuracy, true_names
from spacetime_env.evaluation.run_model import Predictions
from spacetime_env.evaluation.tracks import identity_switches
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections

SHOTS = (1, 4, 16, 64)  # few-shot samples per class
SCORES = ("precision", "recall", "f1", "f1_75", "center_precision", "center_recall", "center_f1")
COUNTS = ("perfect", "overcount", "undercount", "error_rate")
RECONSTRUCTED = 256  # frames that the error of the reconstruction is measured on
NAN = float("nan")

Metrics = dict[str, float]  # name of a metric -> value; NaN: it cannot be measured (no such object, no labels)


def set_metrics(
    members: Sequence[str],
    predictions: Predictions,
    renamed: Sequence[Detections] | None,
    known: Predictions | None,
    switches: Mapping[str, int] | None,
    seed: int,
) -> Metrics:
    """The metrics of a set of objects. Detections of other true objects are ignored.

    Args:
        members: the classes of the set.
        renamed: see :func:`with_true_classes`.
        known: predictions in the split that few-shot samples are drawn from.
        switches: identity switches of each class; None: not known.
        seed: of draws, clusters and trees.
    """
    truth, others = divide(predictions.truth, members)
    metrics = box_metrics(renamed or predictions.detections, truth, others)
    metrics |= {} if renamed else {"name_accuracy": NAN}
    nothing = Samples(np.zeros((0, 0)), [])
    train, test = known.samples(members) if known else nothing, predictions.samples(members)
    shots = few_shot_accuracy(train, test, SHOTS, seed=seed)
    for count in SHOTS:
        metrics[f"few_shot_{count}"], metrics[f"few_shot_{count}_std"] = shots.get(count, (NAN, NAN))
    metrics |= {"centroid_accuracy": centroid_accuracy(train, test), **cluster_scores(test, seed)}
    metrics["identity_switches"] = NAN if switches is None else sum(switches.get(name, 0) for name in members)
    places = known.samples(members, kalman=True) if known else nothing
    return metrics | {"kalman_accuracy": kalman_accuracy(places, predictions.kalman_stacks(members), seed=seed)}


def drawn_metrics(
    scene: SceneConfig, predictions: Predictions, renamed: Sequence[Detections] | None
) -> Metrics:
    """The metrics of what is drawn and moves, how many boxes of each kind are neutral, and F1 if none were."""
    detections = renamed or predictions.detections
    truth, others = predictions.drawn_moving(scene)
    metrics = box_metrics(detections, truth, others) | ({} if renamed else {"name_accuracy": NAN})
    metrics |= {f"neutral_{kind}": count for kind, count in predictions.neutral_counts.items()}
    every = detection_scores(detections, *predictions.drawn_all(scene)).f1
    return metrics | {"f1_all": every if metrics["objects"] else NAN}


def class_metrics(
    predictions: Predictions, renamed: Sequence[Detections] | None, switches: Mapping[str, int] | None
) -> dict[str, Metrics]:
    """The metrics of each class, by name, of what is drawn; of a class that never moves, of its RAM boxes.

    See :func:`set_metrics` for the arguments.
    """
    every, neutral = [], []
    for one in predictions.drawn:
        still = np.array([kind == "still" for kind in one.kinds], bool)
        names = np.array(one.neutral.names, object)
        every.append(join([one.truth, Truth(one.neutral.boxes[still], tuple(names[still].tolist()))]))
        neutral.append(Truth(one.neutral.boxes[~still], tuple(names[~still].tolist())))
    recall = detection_scores(predictions.detections, every).class_recall
    named = true_names(predictions.detections, every)
    classes = {}
    for name in sorted(predictions.classes):
        truth, ignored = divide(every, (name,))[0], divide(neutral, (name,))[0]
        classes[name] = box_metrics(of_classes(renamed, (name,)) if renamed else None, truth, ignored)
        classes[name]["recall_any_name"] = recall.get(name, NAN)
        classes[name]["name_accuracy"] = _name_accuracy(renamed, named, name)
        classes[name]["identity_switches"] = NAN if switches is None else switches.get(name, NAN)
    return classes


def box_metrics(
    detections: Sequence[Detections] | None, truth: Sequence[Truth], ignored: Sequence[Truth] | None = None
) -> Metrics:
    """Detection metrics. All but ``objects`` are NaN without an object or without ``detections``."""
    result: Metrics = {"objects": sum(len(one.names) for one in truth)}
    keys = ("ap", *(f"ap_{round(100 * least)}" for least in IOUS), *SCORES, *COUNTS, "name_accuracy")
    if detections is None or not result["objects"]:
        return result | dict.fromkeys(keys, NAN)
    aps = average_precision(detections, truth, ignored).tolist()
    scores = detection_scores(detections, truth, ignored)
    values = (float(np.mean(aps)), *aps, *(float(getattr(scores, key)) for key in keys[len(aps) + 1 :]))
    result |= dict(zip(keys, values, strict=True))
    return result if scores.recall else result | {"name_accuracy": NAN}


def with_true_classes(
    model: Model, predictions: Predictions, known: Predictions | None
) -> list[Detections] | None:
    """The detections with class names that the ground truth has.

    The classes of a model without labels are clusters. Each cluster then gets the name that is most frequent among its
    objects in ``known``. None if there is no such split.
    """
    if set(model.class_names) & predictions.classes:
        return predictions.detections
    if known is None:
        return None
    most: dict[str, Counter[str]] = {name: Counter() for name in model.class_names}
    for one, names in zip(known.detections, known.true_names, strict=True):
        for cluster, name in zip(one.names, names, strict=True):
            most[cluster].update([name] if name else [])
    names_of = tuple(counts.most_common(1)[0][0] if counts else cluster for cluster, counts in most.items())
    return [replace(one, class_names=names_of) for one in predictions.detections]


def _name_accuracy(
    detections: Sequence[Detections] | None, true_names: Sequence[Sequence[str]], name: str
) -> float:
    """The fraction of the detected objects of a class that have its name; NaN where none is detected."""
    if detections is None:
        return NAN
    pairs = zip(detections, true_names, strict=True)
    both = (each for one, true in pairs for each in zip(one.names, true, strict=True))
    right = [given == name for given, true in both if true == name]
    return float(np.mean(right)) if right else NAN


def reconstruction_mse(model: Model, splits: Sequence[Stacks], frames: int = RECONSTRUCTED) -> float:
    """Mean squared difference of frames and their reconstructions, in native size, colours from 0 to 1.

    Args:
        frames: about how many are reconstructed. They are those of stacks spread evenly over each split.
    """
    total, count = 0.0, 0
    for split in splits:
        stacks = min(len(split), -(-frames // (split.meta.length * len(splits))))
        for stack in np.linspace(0, len(split) - 1, stacks).astype(int).tolist():
            pictures = split.frames([stack])[0]
            drawn = model.reconstruct(pictures)["reconstruction"].astype(np.float64)
            total += float(np.sum(((drawn - pictures) / 255) ** 2))
            count += drawn.size
    return total / count


def switches_by_class(model: Model, predictions: Predictions) -> tuple[dict[str, int] | None, list[str]]:
    """Identity switches by class; where they cannot be counted, None and a sentence that says why."""
    try:
        counts = identity_switches(
            predictions.detections, predictions.truth, predictions.runs, model.scene, model.native
        )
        return counts, []
    except ImportError:
        return None, ["Identity switches are missing: install motmetrics with pip install 'spacetime-env[eval]'."]
    except ValueError as error:
        return None, [f"Identity switches are missing, since the model cannot be tracked: {error}"]
