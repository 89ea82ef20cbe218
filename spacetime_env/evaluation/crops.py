"""What the boxes hold, cut out of the frames: to look through by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.latents import true_names
from spacetime_env.files import write_atomically
from spacetime_env.objects.detections import Detections

COLUMNS = ("file", "split", "stack", "t", "x", "y", "w", "h", "name", "true_name", "confidence")


def crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The pixels that a box touches: (H, W, 3) and x, y, w, h in pixels -> (h, w, 3); at least one pixel.

    A box reaches at most to the frame's edge.
    """
    height, width = frame.shape[:2]
    x, y, w, h = (float(v) for v in box)
    left, top = min(max(int(np.floor(x)), 0), width - 1), min(max(int(np.floor(y)), 0), height - 1)
    right, bottom = max(int(np.ceil(x + w)), left + 1), max(int(np.ceil(y + h)), top + 1)
    return frame[top:bottom, left:right]


def save_crops(
    folder: Path, splits: Sequence[Split], found: Sequence[Detections], truth: Sequence[Truth], limit: int
) -> Path:
    """Write a PNG of each of at most ``limit`` detections, spread evenly over all, and ``crops.csv`` beside them.

    Args:
        folder: made if it is missing; PNGs of an earlier call are removed.
        splits: where the frames are.
        found, truth: of all frames of the splits, one split after the other.
        limit: 1 or more.

    Returns:
        ``crops.csv``: of each file the split, stack, frame, box (x, y, w, h in native pixels), the name, the name
        of the true object there ("" where there is none) and the confidence.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9][0-9][0-9][0-9].png"):
        old.unlink()
    each = [(f, i) for f, one in enumerate(found) for i in range(len(one))]
    picks = np.unique(np.linspace(0, len(each) - 1, min(limit, len(each))).round().astype(int)).tolist()
    places = [(split, stack, t) for split in splits for stack in range(len(split)) for t in range(split.meta.length)]
    names = true_names(found, truth)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    read: dict[tuple[Path, int], np.ndarray] = {}
    for number, (f, i) in enumerate(each[pick] for pick in picks):
        split, stack, t = places[f]
        if (split.path, stack) not in read:  # picks are in order, so one stack at a time is kept
            read = {(split.path, stack): split.frames([stack])[0]}
        one, file = found[f], f"{number:05d}.png"
        picture = crop(read[split.path, stack][t], one.boxes[i])
        write_atomically(folder / file, cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes())
        box = [f"{float(v):.2f}" for v in one.boxes[i]]
        row = [file, split.path.name, stack, t, *box, one.names[i], names[f][i], f"{float(one.confidence[i]):.4f}"]
        table.writerow(row)
    write_atomically(folder / "crops.csv", text.getvalue().encode())
    return folder / "crops.csv"
