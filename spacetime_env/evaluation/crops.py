"""Detected objects, cut out of the frames for a person to look through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.run_model import Predictions
from spacetime_env.evaluation.tables import csv_text
from spacetime_env.files import write_atomically

COLUMNS = ("file", "split", "stack", "t", "x", "y", "w", "h", "name", "true_name", "confidence")


def crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The pixels that a box touches, at least one.

    Args:
        frame: (H, W, 3).
        box: (4,) x, y, w, h in pixels. What lies outside of the frame is left out.

    Returns:
        (h, w, 3).
    """
    height, width = frame.shape[:2]
    x, y, w, h = (float(v) for v in box)
    left, top = min(max(int(np.floor(x)), 0), width - 1), min(max(int(np.floor(y)), 0), height - 1)
    right, bottom = max(int(np.ceil(x + w)), left + 1), max(int(np.ceil(y + h)), top + 1)
    return frame[top:bottom, left:right]


def save_crops(folder: Path, splits: Sequence[Stacks], predictions: Predictions, limit: int) -> Path:
    """Write PNGs of at most ``limit`` detections, spread evenly over all of them, and the table ``crops.csv``.

    Args:
        folder: made if it is missing; PNGs of an earlier call are removed.
        splits: the frames.
        predictions: of these splits, one after the other.
        limit: 1 or more.

    Returns:
        ``crops.csv``: for each PNG the split, stack, frame, box (x, y, w, h in native pixels), the name, the name of
        the matching true object ("" if there is none) and the confidence.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9][0-9][0-9][0-9].png"):
        old.unlink()
    each = [(f, i) for f, one in enumerate(predictions.detections) for i in range(len(one))]
    picks = np.unique(np.linspace(0, len(each) - 1, min(limit, len(each))).round().astype(int)).tolist()
    places = [(split, stack, t) for split in splits for stack in range(len(split)) for t in range(split.meta.length)]
    rows: list[Sequence[object]] = [COLUMNS]
    read: dict[tuple[Path, int], np.ndarray] = {}
    for number, (f, i) in enumerate(each[pick] for pick in picks):
        split, stack, t = places[f]
        if (split.path, stack) not in read:  # picks are in order, so only one stack is kept
            read = {(split.path, stack): split.frames([stack])[0]}
        one, file = predictions.detections[f], f"{number:05d}.png"
        picture = crop(read[split.path, stack][t], one.boxes[i])
        write_atomically(folder / file, cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())
        box = [f"{float(v):.2f}" for v in one.boxes[i]]
        names = [one.names[i], predictions.true_names[f][i]]
        rows.append([file, split.path.name, stack, t, *box, *names, f"{float(one.confidence[i]):.4f}"])
    write_atomically(folder / "crops.csv", csv_text(rows).encode())
    return folder / "crops.csv"
