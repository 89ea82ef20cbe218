"""The objects that a model should find in the frames of a split: from motion, or from the labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from spacetime_env.config import SceneConfig
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import Truth, divide
from spacetime_env.objects.describe import in_regions


def motion_truth(split: Stacks, scene: SceneConfig, frames: int | None = None) -> list[Truth]:
    """Motion boxes of all frames, or of the first ``frames``, outside ``scene.ignore``. All are named ``moving``."""
    boxes = (split.motion_boxes[f] for f in range(len(split.motion_boxes))[:frames])
    kept = (each[~in_regions(each, scene.ignore)] for each in boxes)
    return [Truth(each, ("moving",) * len(each)) for each in kept]


def visible_truth(split: Stacks, scene: SceneConfig, frames: int | None = None) -> list[Truth]:
    """Visible labelled objects of all frames, or of the first ``frames``: all classes, outside ``scene.ignore``."""
    result = []
    for f in range(len(split.labels))[:frames]:
        boxes, names = split.labels[f], split.labels.names_of(f)
        kept = ~in_regions(boxes, scene.ignore)
        result.append(Truth(boxes[kept], tuple(name for name, keep in zip(names, kept.tolist(), strict=True) if keep)))
    return result


def relevant_truth(visible: Sequence[Truth], scene: SceneConfig) -> list[Truth]:
    """Those of the visible objects that are of ``scene.classes``, or all if the scene names no classes."""
    return divide(visible, scene.classes)[0] if scene.classes else list(visible)


def label_truth(split: Stacks, scene: SceneConfig, frames: int | None = None) -> list[Truth]:
    """Relevant objects of all frames of a split, or of the first ``frames``, see :func:`relevant_truth`."""
    return relevant_truth(visible_truth(split, scene, frames), scene)


def truth_sets(scene: SceneConfig, classes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The classes that belong to the sets ``all``, ``moving`` and ``relevant``, each sorted by name.

    ``relevant`` are the classes in ``scene.classes``. If none of ``classes`` is in it (a model's classes can be
    clusters), all are relevant. ``moving`` are the relevant classes that are not in ``scene.still``.

    Args:
        scene: its ``classes`` and ``still``.
        classes: all classes that the ground truth can have.
    """
    every = tuple(sorted(classes))
    relevant = tuple(name for name in every if name in scene.classes) or every
    return {"all": every, "moving": tuple(n for n in relevant if n not in scene.still), "relevant": relevant}


def moving_truth(split: Stacks, scene: SceneConfig, frames: int | None = None) -> tuple[list[Truth], list[Truth]]:
    """Visible objects of all frames, or of the first ``frames``: those of ``moving`` classes, and all others.

    See :func:`truth_sets`.
    """
    visible = visible_truth(split, scene, frames)
    return divide(visible, truth_sets(scene, named_classes(split, visible))["moving"])


def named_classes(split: Stacks, visible: Sequence[Truth]) -> set[str]:
    """The classes that the ground truth of a split can have: those of its recorder, and those in ``visible``."""
    return {*split.meta.classes, *(name for one in visible for name in one.names)}
