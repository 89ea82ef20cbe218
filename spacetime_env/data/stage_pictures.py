"""Pictures of how motion is found: a row of panels for each frame, one panel for each stage."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from spacetime_env.data.motion import Trace, View, targets
from spacetime_env.data.motion.parts import Parts
from spacetime_env.data.split import Split
from spacetime_env.objects.drawing import enlarge, side_by_side

# RGB
MOTION, TRUTH, CELL = (255, 80, 80), (80, 255, 80), (80, 160, 255)
TAKEN, PARKED, ADDED = (170, 170, 170), (255, 210, 0), (255, 120, 255)
EMPTY = (32, 32, 32)  # behind parts; not black, so that a panel's edges show
SCALE = 2
GRID = 16  # cells


def stack_picture(split: Split, stack: int) -> np.ndarray:
    """A stack: a row of panels for each of its T frames. Every panel is twice as large as the frame.

    With ``motion.foreground: difference`` there are four panels: the frame with motion boxes (red) and ground truth, if
    there is some (green, with names); the background; the mask; the grid of 16 x 16 cells, in which the cells with a
    motion target are marked.

    With ``rarity`` each panel has a title, and there is one for each stage: the frame as above; pixels whose colour is
    rare at their place (white); parts that can be objects (false colours); of these, the parts that were voted for; the
    accepted parts (grey; parked ones yellow) and the objects that they were joined to (boxes); if the split is opened
    with two sub-frames, the one before, with the objects that only it has (boxes); the mask; the cells.

    Returns:
        (T * h, w, 3) uint8 RGB.

    Raises:
        IndexError: no such stack.
    """
    rows = _rarity_rows if split.motion_config.foreground == "rarity" else _difference_rows
    return np.concatenate(rows(split, range(len(split))[stack]))


def _difference_rows(split: Split, stack: int) -> list[np.ndarray]:
    background = enlarge(split.stack_background(stack), SCALE)
    out = []
    for t, (frame, mask) in enumerate(zip(split.frames([stack])[0], split.motion_masks(None, [stack])[0], strict=True)):
        number = stack * split.meta.length + t
        boxes = split.motion_boxes[number]
        panels = [_found(split, frame, boxes, number), background, _gray(mask), _cells(frame, boxes)]
        out.append(np.concatenate(panels, 1))
    return out


def _rarity_rows(split: Split, stack: int) -> list[np.ndarray]:
    palette = split.shard(stack // split.meta.shard_size).palette
    out = []
    for t, (frame, view) in enumerate(zip(split.frames([stack])[0], split.views([stack]), strict=True)):
        if split.subframes < 2:
            view = replace(view, before=None)
        trace, number = split.rare_motion.trace(view), stack * split.meta.length + t
        panels = {"frame": _found(split, frame, trace.boxes, number), **_stages(trace, view, palette)}
        panels |= {"mask": _gray(trace.mask * np.uint8(255)), "cells": _cells(frame, trace.boxes)}
        out.append(side_by_side(panels, 1))
    return out


def _stages(trace: Trace, view: View, palette: np.ndarray) -> dict[str, np.ndarray]:
    """The panels between the frame and the mask, by their titles."""
    stages, parts = trace.stages, trace.stages.parts
    rare = palette[view.ids] // 3
    rare[stages.foreground] = 255
    colors = _empty(parts)
    for i in (i for group in trace.objects.members for i in group):
        colors[i + 1] = PARKED if trace.objects.parked[i] else TAKEN
    joined = enlarge(colors[parts.labels], SCALE)
    for box in trace.objects.boxes:
        _rectangle(joined, box, MOTION)
    panels = {
        "rare pixels": enlarge(rare, SCALE),
        "parts that can be objects": _false_colors(parts, stages.usable),
        "voted for": _false_colors(parts, stages.voted),
        "parked (yellow) and joined": joined,
    }
    if view.before is not None:
        before = enlarge(palette[view.before], SCALE)
        for box in trace.added:
            _rectangle(before, box, ADDED)
        panels["before: only there (boxes)"] = before
    return panels


def _false_colors(parts: Parts, chosen: np.ndarray) -> np.ndarray:
    """The chosen parts, each in a colour of its own, which is the same in all panels."""
    hues = np.arange(len(parts)) * 67 % 180  # different for neighbours in the list; OpenCV has 180 hues
    hsv = np.stack([hues, np.full(len(parts), 200), np.full(len(parts), 255)], -1).astype(np.uint8)
    colors = _empty(parts)
    if chosen.any():
        colors[1:][chosen] = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0][chosen]
    return enlarge(colors[parts.labels], SCALE)


def _empty(parts: Parts) -> np.ndarray:
    """A colour for each label of ``parts``, at first that of an empty place: (n + 1, 3) uint8 RGB."""
    return np.full((len(parts) + 1, 3), EMPTY, np.uint8)


def _found(split: Split, frame: np.ndarray, boxes: np.ndarray, number: int) -> np.ndarray:
    """The frame with its motion boxes and, if there is some, the ground truth."""
    out = enlarge(frame, SCALE)
    if split.meta.labels:
        for box, name in zip(split.labels[number], split.labels.names_of(number), strict=True):
            _rectangle(out, box, TRUTH)
            at = (int(box[0]) * SCALE, max(int(box[1]) * SCALE - 3, 8))
            cv2.putText(out, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.35, TRUTH, 1, cv2.LINE_AA)
    for box in boxes:
        _rectangle(out, box, MOTION)
    return out


def _cells(frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The grid over the darkened frame, with the cells that have a motion target."""
    out = enlarge(frame // 2, SCALE)
    height, width = out.shape[:2]
    for k in range(1, GRID):
        out[height * k // GRID, :] = out[:, width * k // GRID] = 96
    for cell in np.flatnonzero(targets(boxes, frame.shape[:2], GRID)[0]):
        row, column = divmod(int(cell), GRID)
        start, end = ((width * (column + d) // GRID, height * (row + d) // GRID) for d in (0, 1))
        cv2.rectangle(out, start, end, CELL, 1)
    return out


def _gray(mask: np.ndarray) -> np.ndarray:
    return enlarge(np.repeat(mask[..., None], 3, 2), SCALE)


def _rectangle(image: np.ndarray, box: np.ndarray, color: tuple[int, int, int]) -> None:
    x, y, w, h = (round(float(v) * SCALE) for v in box)
    cv2.rectangle(image, (x - 1, y - 1), (x + w, y + h), color, 1)
