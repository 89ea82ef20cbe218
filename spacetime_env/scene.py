"""From a network's latents to named objects, and from objects frame by frame to tracked rows for an agent.

Numpy only. :func:`describe` turns the latents of one frame into :class:`Detections`; the
:class:`~spacetime_env.tracker.Tracker` gives each object a slot that stays its own and measures how it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.frames import z_where_to_boxes
from spacetime_env.tracker import FEATURES, Tracker

__all__ = ["FEATURES", "Detections", "Tracker", "describe", "scene_dict"]


@dataclass(frozen=True)
class Detections:
    """The objects found in one frame.

    Attributes:
        boxes: (n, 4) float32, x, y, w, h in native pixels; x, y is the top-left corner.
        z_where: (n, 4) float32, w, h as a part of the frame, x, y of the centre in (-1, 1), y down.
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


def describe(
    z_pres: np.ndarray,
    z_where: np.ndarray,
    z_what: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    class_names: Sequence[str],
    config: SceneConfig,
    native: tuple[int, int],
) -> Detections:
    """Turn the latents of one frame into objects.

    Drops cells under ``config.threshold``, objects with their centre in one of ``config.ignore``, and of
    two boxes with an IoU over ``config.overlap`` the less certain one. The most certain object comes first.

    Args:
        z_pres: (N,) or (N, 1), probabilities.
        z_where: (N, 4), see :mod:`spacetime_env.frames`.
        z_what: (N, D).
        predict: (n, D) -> (n,) whole numbers, indices into the class names. Not called if nothing was found.
        class_names: all classes, in the order of the indices.
        config: threshold, overlap, ignore.
        native: H, W of the frame in pixels.

    Raises:
        ValueError: shapes that do not fit, or a present cell whose place is not a number.
    """
    z_pres, z_where, z_what = np.asarray(z_pres), np.asarray(z_where), np.asarray(z_what)
    if z_pres.ndim == 2 and z_pres.shape[1] == 1:
        z_pres = z_pres[:, 0]
    n = len(z_pres)
    if z_pres.ndim != 1 or z_where.shape != (n, 4) or z_what.ndim != 2 or len(z_what) != n:
        raise ValueError(
            f"expected latents of one frame: z_pres (N,), z_where (N, 4), z_what (N, D), "
            f"got {z_pres.shape}, {z_where.shape}, {z_what.shape}."
        )
    chosen = np.flatnonzero(z_pres > config.threshold)
    chosen = chosen[np.argsort(-z_pres[chosen], kind="stable")]
    places = z_where[chosen].astype(np.float32)
    if not np.isfinite(places).all():
        raise ValueError("z_where of a present object is not finite: the network has diverged.")
    boxes = z_where_to_boxes(places, native)
    confidence = z_pres[chosen].astype(np.float32)
    kept = np.ones(len(chosen), bool)
    for i, (left, top, wide, high) in enumerate(boxes.tolist() if config.ignore else ()):
        centre_x, centre_y = left + wide / 2, top + high / 2
        if any(x <= centre_x < x + w and y <= centre_y < y + h for x, y, w, h in config.ignore):
            kept[i] = False
    _drop_overlaps(boxes, kept, config.overlap)
    what = z_what[chosen[kept]].astype(np.float32)
    class_ids = np.asarray(predict(what), np.int64) if len(what) else np.zeros(0, np.int64)
    return Detections(boxes[kept], places[kept], class_ids, confidence[kept], what, tuple(class_names))


def _drop_overlaps(boxes: np.ndarray, kept: np.ndarray, limit: float) -> None:
    """Clear ``kept`` where an earlier kept box has an IoU over ``limit``."""
    if kept.sum() < 2:
        return
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    common = np.maximum(np.minimum(high[:, None], high) - np.maximum(low[:, None], low), 0)  # (n, n, 2)
    shared, area = common[..., 0] * common[..., 1], boxes[:, 2] * boxes[:, 3]
    too_much = shared > limit * (area[:, None] + area - shared)
    np.fill_diagonal(too_much, False)
    if too_much.any():
        for i in range(len(boxes)):
            if kept[i]:
                kept[i + 1 :] &= ~too_much[i, i + 1 :]


def scene_dict(detections: Detections) -> dict[str, list[tuple[float, float]]]:
    """Centres by class name, in (-1, 1): ``{"Player": [(0.76, -0.1)], "Ball": []}``. Every class is a key."""
    scene: dict[str, list[tuple[float, float]]] = {name: [] for name in detections.class_names}
    for i, (x, y) in zip(detections.class_ids.tolist(), detections.z_where[:, 2:].tolist(), strict=True):
        scene[detections.class_names[i]].append((x, y))
    return scene
