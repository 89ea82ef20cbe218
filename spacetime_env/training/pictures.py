"""Pictures of a training: for TensorBoard while it runs, and for the model folder at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from spacetime_env.config import SceneConfig
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import Truth, iou, match
from spacetime_env.evaluation.run_model import Predictions
from spacetime_env.frames import resize
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections, from_boxes
from spacetime_env.objects.drawing import draw, enlarge
from spacetime_env.space import SpaceOutput, Targets

SCALE = 3  # pictures are enlarged, so that boxes do not cover the objects
EXAMPLES = 64  # validation stacks whose first frames the example is chosen from


def model_pictures(
    model: Model,
    validation: Stacks,
    detections: Sequence[Detections],
    tests: Sequence[Stacks],
    predictions: Sequence[Predictions],
    scene: SceneConfig,
) -> dict[str, bytes]:
    """The pictures of a model folder as PNG: ``example.png``, and ``errors.png`` if there is a test split.

    Args:
        detections: in all frames of ``validation``, which the example is from.
        tests: the first one is what the errors are from.
        predictions: of each of ``tests``.
        scene: says which of the true objects move.
    """
    length, count = validation.meta.length, min(EXAMPLES, len(validation))
    firsts = [detections[stack * length] for stack in range(count)]
    drawn = {"example.png": example(model, validation.frames(range(count))[:, 0], firsts)}
    if tests:
        drawn["errors.png"] = errors(tests[0], predictions[0], scene)
    return {name: cv2.imencode(".png", one[..., ::-1])[1].tobytes() for name, one in drawn.items()}


@torch.no_grad()
def parts(model: Model, split: Stacks, count: int = 6) -> bytes:
    """Pictures of a split, a column each, as PNG: the picture, what is drawn of it, the objects over black, alpha, the
    background, and in grey the mask of each of its components.

    Args:
        count: how many pictures, spread evenly over the split.
    """
    chosen = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).round().astype(int)).tolist()
    frames = split.frames(chosen)[:, 0]
    drawn = model.reconstruct(frames)
    names = ("reconstruction", "foreground", "alpha", "background")
    rows = [np.concatenate(list(each), axis=1) for each in (frames, *(drawn[name] for name in names))]
    masks = model.space(model.tensor(frames)).background.masks  # (n, K, 1, h, w)
    for mask in masks.unbind(1) if masks.shape[1] > 1 else ():
        grey = (mask.expand(-1, 3, -1, -1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        rows.append(np.concatenate(list(resize(grey, split.native)), axis=1))
    return cv2.imencode(".png", np.concatenate(rows)[..., ::-1])[1].tobytes()


def joint_pictures(games: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """The pictures of each game under their names in a folder of several games: ``example-Pong.png``."""
    return {f"{Path(name).stem}-{game}.png": png for game, own in games.items() for name, png in own.items()}


def example(model: Model, frames: np.ndarray, detections: Sequence[Detections]) -> np.ndarray:
    """The frame with the most detections three times: as it is, with boxes and names, and reconstructed.

    Args:
        frames: (N, H, W, 3) uint8 RGB in native size, N >= 1.
        detections: in each of them.

    Returns:
        (3 * H, 9 * W, 3) uint8 RGB.
    """
    most = max(range(len(detections)), key=lambda i: len(detections[i]))
    drawn = model.reconstruct(frames[most : most + 1])["reconstruction"][0]
    boxes = draw(frames[most], detections[most], SCALE, confidence=False)
    return np.concatenate([enlarge(frames[most], SCALE), boxes, enlarge(drawn, SCALE)], axis=1)


def errors(test: Stacks, predictions: Predictions, scene: SceneConfig) -> np.ndarray:
    """Four of the worst frames of a test split beside what is drawn and moves: (H, W, 3) uint8 RGB."""
    truth, found = predictions.drawn_moving(scene)[0], predictions.detections
    chosen = worst(found, truth, 4)
    frames = [test.frames([f // test.meta.length])[0, f % test.meta.length] for f in chosen]
    return differences(frames, [found[f] for f in chosen], [truth[f] for f in chosen])


def worst(detections: Sequence[Detections], truth: Sequence[Truth], count: int) -> list[int]:
    """The frames with the lowest F1 at an IoU of 0.5, one from each of ``count`` parts of equal length.

    An error often lasts for many frames; the parts show more than one error.
    """
    scores = []
    for one, true in zip(detections, truth, strict=True):
        total = len(one) + len(true.names)
        scores.append(2 * len(match(iou(one.boxes, true.boxes))) / total if total else 1.0)
    parts = np.array_split(np.arange(len(scores)), min(count, len(scores)))
    return [int(min(part, key=lambda f: scores[f])) for part in parts]


def differences(frames: Sequence[np.ndarray], detections: Sequence[Detections], truth: Sequence[Truth]) -> np.ndarray:
    """Frames as pairs, two pairs a row: the detections on the left of each pair, the ground truth on the right.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        detections, truth: in these frames.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    pairs = []
    for frame, one, true in zip(frames, detections, truth, strict=True):
        left = draw(frame, one, SCALE, confidence=False)
        right = draw(frame, as_detections(true, frame.shape[:2], one.class_names), SCALE, confidence=False)
        pairs.append(np.concatenate([left, right, np.zeros((len(left), 12, 3), np.uint8)], axis=1))
    if len(pairs) % 2:
        pairs.append(np.zeros_like(pairs[0]))
    rows = [np.concatenate(pairs[i : i + 2], axis=1) for i in range(0, len(pairs), 2)]
    return np.concatenate([part for row in rows for part in (row, np.zeros((12, row.shape[1], 3), np.uint8))])


def as_detections(truth: Truth, native: tuple[int, ...], class_names: Sequence[str]) -> Detections:
    """Ground truth as detections with a confidence of 1, to be drawn in the colours of ``class_names``."""
    names = tuple(dict.fromkeys([*class_names, *truth.names]))
    ids = np.array([names.index(name) for name in truth.names], np.int64)
    return replace(from_boxes(truth.boxes, (native[0], native[1])), class_ids=ids, class_names=names)


def picture(
    frames: Tensor, output: SpaceOutput, targets: Targets, color_order: str = "rgb", count: int = 4
) -> np.ndarray:
    """Some frames of a batch, a row each: frame, reconstruction, predicted boxes, background, motion and its boxes.

    Args:
        frames: (B, 3, h, w) float in [0, 1] in the model's colour order.
        output, targets: of these frames.
        color_order: of the model.
        count: how many frames, spread over the batch.

    Returns:
        (H, W, 3) uint8 RGB.
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
    """A copy of the picture with a red line around each box; ``z_where`` is (n, 4)."""
    image = image.copy()
    height, width = image.shape[:2]
    for w, h, x, y in z_where.detach().cpu().tolist():
        left, top = ((x + 1) / 2 - w / 2) * width, ((y + 1) / 2 - h / 2) * height
        corner = (round(left + w * width), round(top + h * height))
        cv2.rectangle(
            image, (round(left) - 2, round(top) - 2), (corner[0] + 1, corner[1] + 1), (255, 0, 0), 1
        )
    return image
