"""What is found in a frame: :class:`Detections`, and their places by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_env.frames import boxes_to_z_where


@dataclass(frozen=True)
class Detections:
    """The objects found in one frame.

    Attributes:
        boxes: (n, 4) float32, x, y, w, h in native pixels; x, y is the top-left corner.
        z_where: (n, 4) float32, w, h as fractions of the frame, x, y of the centre in (-1, 1), y down.
        class_ids: (n,) int64, index into ``class_names``.
        confidence: (n,) float32, the probability of z_pres.
        z_what: (n, D) float32.
        class_names: all classes the model knows, found or not.
    """

    boxes: np.ndarray
    z_where: np.ndarray
    class_ids: np.ndarray
    confidence: np.ndarray
    z_what: np.ndarray
    class_names: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [self.class_names[i] for i in self.class_ids.tolist()]

    def __len__(self) -> int:
        return len(self.boxes)


def by_name(
    class_ids: np.ndarray, centers: np.ndarray, class_names: Sequence[str]
) -> dict[str, list[tuple[float, float]]]:
    """Centres (n, 2) by class name: ``{"Player": [(0.76, -0.1)], "Ball": []}``. Every class is a key.

    Args:
        class_ids: (n,) int64.
        centers: (n, 2) in (-1, 1), x, y.
        class_names: all classes, in the order of the ids.
    """
    scene: dict[str, list[tuple[float, float]]] = {name: [] for name in class_names}
    for class_id, (x, y) in zip(class_ids.tolist(), centers.tolist(), strict=True):
        scene[class_names[class_id]].append((x, y))
    return scene


def as_arrays(
    class_ids: np.ndarray, centers: np.ndarray, class_names: Sequence[str], counts: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """As :func:`by_name`, in arrays whose shapes are always the same.

    Args:
        class_ids, centers, class_names: see :func:`by_name`.
        counts: class name -> rows of its array. Classes that are not here are left out.

    Returns:
        Class name -> (rows, 2) float32: the first centres of the class; NaN where there are fewer.
    """
    scene = {}
    for name, count in counts.items():
        scene[name] = np.full((count, 2), np.nan, np.float32)
        if name in class_names:
            mine = centers[class_ids == class_names.index(name)][:count]
            scene[name][: len(mine)] = mine
    return scene


def table(detections: Detections) -> str:
    """The objects as text, one a line: name; x, y of the top-left corner, w, h in pixels; confidence."""
    lines = [f"{'name':<12}{'x':>7}{'y':>7}{'w':>7}{'h':>7}  confidence"]
    rows = zip(detections.names, detections.boxes.tolist(), detections.confidence.tolist(), strict=True)
    for name, box, confidence in rows:
        lines.append(f"{name:<12}{''.join(f'{value:7.1f}' for value in box)}  {confidence:10.2f}")
    return "\n".join(lines if len(lines) > 1 else [*lines, "nothing found"])


def from_boxes(boxes: np.ndarray, native: tuple[int, int]) -> Detections:
    """Boxes (n, 4) in native pixels as certain detections of one class, for comparison with the truth."""
    n = len(boxes)
    return Detections(
        boxes.astype(np.float32),
        boxes_to_z_where(boxes, native).astype(np.float32),
        np.zeros(n, np.int64),
        np.ones(n, np.float32),
        np.zeros((n, 1), np.float32),
        ("moving",),
    )
