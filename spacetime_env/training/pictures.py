"""Pictures of a training: what is seen while it goes on, and for the model's card at its end."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from torch import Tensor

from spacetime_env.evaluation.boxes import Truth, iou, match
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.drawing import draw, enlarge
from spacetime_env.space import SpaceOutput, Targets

SCALE = 3  # pictures are drawn larger, so that boxes do not cover what they show


def example(model: Model, frames: np.ndarray) -> np.ndarray:
    """The frame in which most is found: as it is, with boxes and names, and as the network draws it.

    Args:
        frames: (N, H, W, 3) uint8 RGB in native size, N >= 1.

    Returns:
        (3 * H, 9 * W, 3) uint8 RGB.
    """
    found = model.detect(frames)
    most = max(range(len(found)), key=lambda i: len(found[i]))
    drawn = model.reconstruct(frames[most : most + 1])["reconstruction"][0]
    boxes = draw(frames[most], found[most], SCALE, confidence=False)
    return np.concatenate([enlarge(frames[most], SCALE), boxes, enlarge(drawn, SCALE)], axis=1)


def worst(found: Sequence[Detections], truth: Sequence[Truth], count: int) -> list[int]:
    """Frames in which detections and truth differ most (least F1 at IoU 0.5), one of each of ``count`` stretches.

    A thing that is wrong is often wrong for many frames; stretches of equal length show more than one such thing.
    """
    scores = []
    for one, true in zip(found, truth, strict=True):
        total = len(one) + len(true.names)
        scores.append(2 * len(match(iou(one.boxes, true.boxes), 0.5)) / total if total else 1.0)
    stretches = np.array_split(np.arange(len(scores)), min(count, len(scores)))
    return [int(min(stretch, key=lambda f: scores[f])) for stretch in stretches]


def differences(frames: Sequence[np.ndarray], found: Sequence[Detections], truth: Sequence[Truth]) -> np.ndarray:
    """Frames in two columns: what was found (left of each pair), and the ground truth (right).

    Args:
        frames: (H, W, 3) uint8 RGB each.
        found, truth: of these frames.

    Returns:
        uint8 RGB, two frames a row.
    """
    pairs = []
    for frame, one, true in zip(frames, found, truth, strict=True):
        left = draw(frame, one, SCALE, confidence=False)
        right = draw(frame, as_detections(true, frame.shape[:2], one.class_names), SCALE, confidence=False)
        pairs.append(np.concatenate([left, right, np.zeros((len(left), 12, 3), np.uint8)], axis=1))
    if len(pairs) % 2:
        pairs.append(np.zeros_like(pairs[0]))
    rows = [np.concatenate(pairs[i : i + 2], axis=1) for i in range(0, len(pairs), 2)]
    return np.concatenate([part for row in rows for part in (row, np.zeros((12, row.shape[1], 3), np.uint8))])


def as_detections(truth: Truth, native: tuple[int, ...], class_names: Sequence[str]) -> Detections:
    """Ground truth as detections of certainty 1, to be drawn in the colours of ``class_names``."""
    names = tuple(dict.fromkeys([*class_names, *truth.names]))
    n = len(truth.names)
    return Detections(
        truth.boxes.astype(np.float32),
        boxes_to_z_where(truth.boxes, (native[0], native[1])).astype(np.float32),
        np.array([names.index(name) for name in truth.names], np.int64),
        np.ones(n, np.float32),
        np.zeros((n, 1), np.float32),
        names,
    )


def picture(
    frames: Tensor, output: SpaceOutput, targets: Targets, color_order: str = "rgb", count: int = 4
) -> np.ndarray:
    """Some frames, a row each: frame, reconstruction, predicted boxes, background, motion and its boxes.

    Args:
        frames: (B, 3, h, w) float in [0, 1] in the model's colour order.
        output, targets: of these frames.
        color_order: of the model.
        count: of frames, spread over the batch.

    Returns:
        One uint8 RGB picture (H, W, 3).
    """
    if color_order == "bgr":
        frames = frames.flip(1)
        background = output.background._replace(image=output.background.image.flip(1))
        output = output._replace(image=output.image.flip(1), background=background)
    latents = output.foreground.latents
    rows = []
    for i in np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int):
        frame = _pixels(frames[i])
        seen = latents.z_where_pure[i][latents.z_pres_pure[i, :, 0] > 0.5]
        moving = targets.z_where[i][targets.z_pres[i, :, 0] > 0.5]
        mask = _pixels(targets.mask[i].expand(3, -1, -1))
        rows.append(
            np.concatenate(
                [
                    frame,
                    _pixels(output.image[i]),
                    _boxes(frame, seen),
                    _pixels(output.background.image[i]),
                    _boxes(mask, moving),
                ],
                axis=1,
            )
        )
    return np.concatenate(rows)


def _pixels(image: Tensor) -> np.ndarray:
    """(3, h, w) float in [0, 1] -> (h * scale, w * scale, 3) uint8."""
    array = (image.detach().clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
    return enlarge(np.ascontiguousarray(array), SCALE)


def _boxes(image: np.ndarray, z_where: Tensor) -> np.ndarray:
    """A copy of the picture with boxes (n, 4) drawn around what they hold."""
    image = image.copy()
    height, width = image.shape[:2]
    for w, h, x, y in z_where.detach().cpu().tolist():
        left, top = ((x + 1) / 2 - w / 2) * width, ((y + 1) / 2 - h / 2) * height
        corner = (round(left + w * width), round(top + h * height))
        cv2.rectangle(
            image, (round(left) - 2, round(top) - 2), (corner[0] + 1, corner[1] + 1), (255, 0, 0), 1
        )
    return image
