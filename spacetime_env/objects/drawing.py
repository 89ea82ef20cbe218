"""Pictures of what a model sees: boxes and names on a frame, and pictures side by side."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from spacetime_env.frames import require_frames
from spacetime_env.objects.detections import Detections

# RGB, far apart, readable on dark and light. A class keeps its colour; after ten they start anew.
COLOURS = (
    (0, 220, 255),
    (255, 80, 80),
    (255, 230, 0),
    (120, 255, 80),
    (255, 120, 255),
    (80, 140, 255),
    (255, 160, 40),
    (180, 255, 220),
    (200, 150, 255),
    (255, 255, 255),
)
FONT, FONT_SIZE, PAD = cv2.FONT_HERSHEY_SIMPLEX, 0.38, 2
TITLE_HEIGHT = 15


def draw(frame: np.ndarray, detections: Detections, scale: int = 3, confidence: bool = True) -> np.ndarray:
    """The frame, enlarged, with a box and a name for each object.

    Args:
        frame: (H, W, 3) uint8 RGB in native size.
        detections: what was found in it.
        scale: how many times larger the picture is; 2 or more for text that can be read.
        confidence: write it after the name.

    Returns:
        (scale * H, scale * W, 3) uint8 RGB; ``frame`` stays as it is.
    """
    picture = enlarge(require_frames(frame)[0], scale)
    placed: list[tuple[int, int, int, int]] = []
    rows = zip(
        detections.boxes.tolist(),
        detections.class_ids.tolist(),
        detections.names,
        detections.confidence.tolist(),
        strict=True,
    )
    for (x, y, w, h), class_id, name, certain in rows:
        colour = COLOURS[class_id % len(COLOURS)]
        left, top = round(x * scale) - 1, round(y * scale) - 1  # around it: a ball is small
        right, bottom = round((x + w) * scale), round((y + h) * scale)
        cv2.rectangle(picture, (left, top), (right, bottom), colour, 1)
        _label(picture, f"{name} {certain:.2f}" if confidence else name, left, top, bottom, colour, placed)
    return picture


def side_by_side(pictures: Mapping[str, np.ndarray], scale: int = 2) -> np.ndarray:
    """Pictures of one size in a row, enlarged, each under its title: ``{"frame": (H, W, 3), ...}``."""
    columns = []
    for title, image in pictures.items():
        large = enlarge(require_frames(image)[0], scale)
        bar = np.zeros((TITLE_HEIGHT, large.shape[1], 3), np.uint8)
        cv2.putText(bar, title, (PAD, TITLE_HEIGHT - 4), FONT, FONT_SIZE, (255, 255, 255), 1, cv2.LINE_AA)
        columns.append(np.concatenate([bar, large]))
    gap = np.zeros((columns[0].shape[0], 2, 3), np.uint8)
    return np.concatenate([part for column in columns for part in (column, gap)][:-1], axis=1)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel becomes a square of ``scale`` pixels; a copy also where that is 1."""
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ValueError(f"expected scale to be a whole number, 1 or more, got {scale!r}.")
    return np.ascontiguousarray(image.repeat(scale, axis=0).repeat(scale, axis=1))


def _label(
    picture: np.ndarray,
    text: str,
    left: int,
    top: int,
    bottom: int,
    colour: tuple[int, int, int],
    placed: list[tuple[int, int, int, int]],
) -> None:
    """Write ``text`` above the box, or below it where it would leave the picture or cover another label."""
    height, width = picture.shape[:2]
    (wide, high), below = cv2.getTextSize(text, FONT, FONT_SIZE, 1)
    wide, high = wide + 2 * PAD, high + below + PAD
    x = max(0, min(left, width - wide))
    above, under = top - high - 1, bottom + 1
    choices = [y for y in (above, under, above - high, under + high) if 0 <= y <= height - high]
    free = [y for y in choices if not any(_meet((x, y, wide, high), other) for other in placed)]
    y = (free or choices or [0])[0]
    placed.append((x, y, wide, high))
    cv2.rectangle(picture, (x, y), (x + wide - 1, y + high - 1), (0, 0, 0), cv2.FILLED)
    cv2.putText(picture, text, (x + PAD, y + high - below), FONT, FONT_SIZE, colour, 1, cv2.LINE_AA)


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    (x, y, w, h), (u, v, m, n) = one, other
    return x < u + m and u < x + w and y < v + n and v < y + h
