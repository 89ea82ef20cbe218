"""How good is a model: all figures of a model on labelled splits.

>>> model = load_model("pong")                                                            # doctest: +SKIP
>>> tests = labelled_tests("data", model.game)                                            # doctest: +SKIP
>>> found = evaluate_model(model, tests, open_split("data/Pong/validation-random"))       # doctest: +SKIP
>>> found.sets["moving"]["f1"], found.classes["Ball"]["ap"]                               # doctest: +SKIP

What is written is in :mod:`spacetime_env.evaluation.tables`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth, detection_scores, divide, of_class
from spacetime_env.evaluation.coco import IOUS, average_precision
from spacetime_env.evaluation.kalman import kalman_accuracy
from spacetime_env.evaluation.latents import centroid_accuracy, cluster_scores, few_shot_accuracy, true_names
from spacetime_env.evaluation.run_model import (
    Seen,
    look,
    require_apart,
    samples_of,
    stacks_of,
)
from spacetime_env.evaluation.tracks import identity_switches
from spacetime_env.evaluation.truth import truth_sets
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections

SHOTS = (1, 4, 16, 64)
SCORES = ("precision", "recall", "f1", "center_precision", "center_recall", "center_f1")
COUNTS = ("perfect", "overcount", "undercount", "error_rate")
RECONSTRUCTED = 256  # frames that the reconstruction's error is measured on
NAN = float("nan")


@dataclass(frozen=True)
class Evaluation:
    """All figures of a model. A figure that cannot be had (no such object, no labels, no library) is NaN."""

    model: str  # of its folder
    sha256: str  # of its weights
    splits: tuple[str, ...]
    frames: int
    reconstruction_mse: float  # mean squared difference of the pixels' colours, each from 0 to 1
    sets: Mapping[str, Mapping[str, float]]  # "all", "moving", "relevant" -> figure -> value
    classes: Mapping[str, Mapping[str, float]]  # name -> figure -> value
    notes: tuple[str, ...]  # why something is missing, in sentences


def evaluate_model(
    model: Model,
    tests: Sequence[Split],
    few_shot_from: Split | None = None,
    name: str = "",
    seed: int = 0,
    progress: bool = False,
) -> Evaluation:
    """All figures of a model on labelled splits, taken together. The same model and splits give the same figures.

    Args:
        model: see :func:`spacetime_env.load_model`.
        tests: what it is tested on.
        few_shot_from: where few-shot samples are drawn from; no few-shot figures where ``None``.
        name: of the model, for the reader.
        seed: of draws, clusters and trees.
        progress: show bars.

    Raises:
        EvaluationError: no split, one without labels, or few-shot samples from a tested one.
        DatasetError: damaged files.
    """
    require_apart(tests, few_shot_from)
    seen = look(model, tests, progress)
    known = look(model, [few_shot_from], progress) if few_shot_from is not None else None
    return figures(model, seen, known, tests, name, seed, progress)


def figures(
    model: Model, seen: Seen, known: Seen | None, tests: Sequence[Split], name: str, seed: int, progress: bool = False
) -> Evaluation:
    """All figures, of what was seen in the ``tests`` and, for few-shot samples, elsewhere (``known``)."""
    notes = [] if known else ["There is no split to draw few-shot samples from, so what needs them is missing."]
    names = true_names(seen.found, seen.truth)
    known_names = true_names(known.found, known.truth) if known else []
    called = with_true_classes(model, seen, known, known_names)
    if called is None:
        notes.append("The model's classes are clusters, and no few-shot samples say what they are: no name is judged.")
    with tqdm(total=6, desc="scoring", disable=not progress) as bar:
        switches = _switches(model, seen, notes)
        bar.update()
        sets: dict[str, dict[str, float]] = {}
        members_of = truth_sets(model.scene, seen.classes)
        for key, members in members_of.items():
            same = next((other for other in sets if members_of[other] == members), None)
            if same is not None:
                sets[key] = sets[same]
                bar.update()
                continue
            truth, others = divide(seen.truth, members)
            here: dict[str, float] = box_figures(called or seen.found, truth, others)
            here |= {} if called else {"name_accuracy": NAN}
            train = samples_of(known, known_names, members, kalman=False)
            test = samples_of(seen, names, members, kalman=False)
            shots = few_shot_accuracy(train, test, SHOTS, seed=seed)
            for count in SHOTS:
                here[f"few_shot_{count}"], here[f"few_shot_{count}_std"] = shots.get(count, (NAN, NAN))
            here |= {"centroid_accuracy": centroid_accuracy(train, test), **cluster_scores(test, seed)}
            here["identity_switches"] = sum(switches.get(m, 0) for m in members) if switches is not None else NAN
            here["kalman_accuracy"] = kalman_accuracy(
                samples_of(known, known_names, members, kalman=True), stacks_of(seen, names, members), seed=seed
            )
            sets[key] = here
            bar.update()
        any_name = detection_scores(seen.found, seen.truth).class_recall
        classes = {}
        for member in sorted(seen.classes):
            here_truth = divide(seen.truth, (member,))[0]
            classes[member] = box_figures(of_class(called, member) if called else None, here_truth)
            classes[member]["recall_any_name"] = any_name.get(member, NAN)
            classes[member]["name_accuracy"] = _called_right(called, names, member)
            classes[member]["identity_switches"] = NAN if switches is None else switches.get(member, NAN)
        bar.update()
        mse = reconstruction_mse(model, tests)
        bar.update()
    splits = tuple(test.path.name for test in tests)
    frames = len(seen.found)
    return Evaluation(name, model.settings.sha256, splits, frames, mse, sets, classes, tuple(notes))


def box_figures(
    found: Sequence[Detections] | None, truth: Sequence[Truth], ignored: Sequence[Truth] | None = None
) -> dict[str, float]:
    """Detection figures by name; all NaN but ``objects`` where there is no object, or ``found`` is not known."""
    result: dict[str, float] = {"objects": sum(len(one.names) for one in truth)}
    keys = ("ap", *(f"ap_{round(100 * least)}" for least in IOUS), *SCORES, *COUNTS, "name_accuracy")
    if found is None or not result["objects"]:
        return result | dict.fromkeys(keys, NAN)
    aps = average_precision(found, truth, ignored).tolist()
    scores = detection_scores(found, truth, ignored)
    values = (float(np.mean(aps)), *aps, *(float(getattr(scores, key)) for key in keys[len(aps) + 1 :]))
    result |= dict(zip(keys, values, strict=True))
    return result if scores.recall else result | {"name_accuracy": NAN}


def with_true_classes(
    model: Model, seen: Seen, known: Seen | None, known_names: Sequence[Sequence[str]]
) -> list[Detections] | None:
    """Detections with names that the truth has. A model of clusters has others: each cluster is then called what most
    of its objects in the few-shot split are. ``None`` where that is not known either."""
    if set(model.class_names) & seen.classes:
        return seen.found
    if known is None:
        return None
    most: dict[str, Counter[str]] = {name: Counter() for name in model.class_names}
    for one, names in zip(known.found, known_names, strict=True):
        for cluster, name in zip(one.names, names, strict=True):
            most[cluster].update([name] if name else [])
    called = tuple(counts.most_common(1)[0][0] if counts else cluster for cluster, counts in most.items())
    return [replace(one, class_names=called) for one in seen.found]


def _called_right(called: Sequence[Detections] | None, names: Sequence[Sequence[str]], member: str) -> float:
    """Of the objects of a class that are found, the part that is called so; NaN where none is found."""
    if called is None:
        return NAN
    pairs = zip(called, names, strict=True)
    both = (each for one, true in pairs for each in zip(one.names, true, strict=True))
    right = [mine == member for mine, name in both if name == member]
    return float(np.mean(right)) if right else NAN


def reconstruction_mse(model: Model, splits: Sequence[Split], frames: int = RECONSTRUCTED) -> float:
    """Mean squared difference of frames and what the network draws, in native size, colours from 0 to 1.

    Args:
        frames: of about so many, stacks spread evenly over each split.
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


def _switches(model: Model, seen: Seen, notes: list[str]) -> dict[str, int] | None:
    try:
        return identity_switches(seen.found, seen.truth, seen.runs, model.scene, model.native)
    except ImportError:
        notes.append("Identity switches are missing: install motmetrics with pip install 'spacetime-env[eval]'.")
    except ValueError as error:
        notes.append(f"Identity switches are missing, since the model cannot be tracked: {error}")
    return None
