"""What is there to be found in the frames of a split: by what moves, and by its labels."""

from __future__ import annotations

from collections.abc import Collection

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth, divide
from spacetime_env.objects.describe import in_regions


def motion_truth(split: Split, scene: SceneConfig, frames: int | None = None) -> list[Truth]:
    """Motion boxes of each frame, or of the first ``frames``, without those in ``scene.ignore``."""
    boxes = (split.motion_boxes[f] for f in range(len(split.motion_boxes))[:frames])
    kept = (each[~in_regions(each, scene.ignore)] for each in boxes)
    return [Truth(each, ("moving",) * len(each)) for each in kept]


def visible_truth(split: Split, scene: SceneConfig, frames: int | None = None) -> list[Truth]:
    """Visible ground truth of each frame, or of the first ``frames``: all classes, ignored regions out."""
    result = []
    for f in range(len(split.labels))[:frames]:
        boxes, names = split.labels[f], split.labels.names_of(f)
        kept = ~in_regions(boxes, scene.ignore)
        result.append(Truth(boxes[kept], tuple(name for name, keep in zip(names, kept.tolist(), strict=True) if keep)))
    return result


def label_truth(split: Split, scene: SceneConfig) -> list[Truth]:
    """Visible ground truth of each frame: the scene's classes (all if it names none), ignored regions out."""
    found = visible_truth(split, scene)
    return divide(found, scene.classes)[0] if scene.classes else found


def truth_sets(scene: SceneConfig, classes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Which classes count as ``all``, ``moving`` and ``relevant``, sorted by name.

    Relevant are those of ``scene.classes``. Where it has none of the truth's (they are clusters), all are. What moves
    is relevant and not in ``scene.still``.

    Args:
        scene: its classes and still.
        classes: all that the ground truth can name.
    """
    every = tuple(sorted(classes))
    relevant = tuple(name for name in every if name in scene.classes) or every
    return {"all": every, "moving": tuple(n for n in relevant if n not in scene.still), "relevant": relevant}


def moving_truth(split: Split, scene: SceneConfig, frames: int | None = None) -> tuple[list[Truth], list[Truth]]:
    """What moves in each frame, or in the first ``frames``, and what else is to be seen; see :func:`truth_sets`."""
    found = visible_truth(split, scene, frames)
    classes = {*split.meta.classes, *(name for one in found for name in one.names)}
    return divide(found, truth_sets(scene, classes)["moving"])
