"""A folder of tiny pictures: a bright square, and in every second one a dark one, before a floor and a wall.

``from tests.helpers.pictures import CONFIG, write_pictures, write_clips``. H and W differ, so that swapped axes show.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.config import BackgroundConfig, Config, DataConfig, SceneConfig, Schedule
from spacetime_env.data.box_table import COLUMNS
from tests.helpers import tiny

NATIVE = (38, 32)  # H, W
CONFIG = Config(
    game="",
    name="squares",
    data=DataConfig(length=1),
    model=replace(
        tiny.MODEL,
        variant="space",
        background=BackgroundConfig("linear", 2, 4, 2, 2, 4, input_size=16, mask_size=8),
    ),
    loss=replace(tiny.CONFIG.loss, boundary=Schedule(1.0, 0.0, 0.5, 0.5), boundary_width=1),
    train=replace(tiny.CONFIG.train, background_first=0.2, flip=True),
    scene=SceneConfig(threshold=0.0, overlap=1.0, cut=True),
)


def picture(rng: np.random.Generator, dark: bool = True) -> tuple[np.ndarray, list[tuple[int, int, int, int, str]]]:
    """A picture, (H, W, 3) uint8 RGB, and its boxes with their classes."""
    image = np.full((*NATIVE, 3), (90, 70, 50), np.uint8)
    image[: int(rng.integers(8, 20))] = (120, 140, 160)
    boxes = []
    for name, color, left in (("bright", 250, 2), ("dark", 5, 18))[: 1 + dark]:
        x, y = left + int(rng.integers(0, 5)), int(rng.integers(2, 28))
        image[y : y + 7, x : x + 6] = color
        boxes.append((x, y, 6, 7, name))
    return image, boxes


def write_split(folder: Path, count: int, classes: bool = True, boxes: bool = True, seed: int = 0) -> Path:
    """``count`` pictures, PNG and JPEG in turns, and ``boxes.csv``."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng((seed, *folder.name.encode()))
    lines = [",".join((*COLUMNS, *(["class"] if classes else [])))]
    for i in range(count):
        image, found = picture(rng, dark=i % 2 == 1)
        name = f"{i:03d}.{'png' if i % 2 else 'jpg'}"
        cv2.imwrite(str(folder / name), image[..., ::-1])
        lines += [",".join(map(str, (name, *box[: 5 if classes else 4]))) for box in found]
    if boxes:
        (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_pictures(root: Path, classes: bool = True, boxes: bool = True) -> Config:
    """The folders train, validation and test, and the config that uses them."""
    for split, count in (("train", 8), ("validation", 6), ("test", 5)):
        write_split(root / split, count, classes, boxes)
    return replace(CONFIG, data=replace(CONFIG.data, pictures=str(root)))


def write_clip(folder: Path, frames: int, boxes: bool = False) -> None:
    """A clip in which the bright square walks to the right, a pixel a frame, before one background."""
    folder.mkdir(parents=True)
    lines = [",".join(COLUMNS)]
    for t in range(frames):
        image = np.full((*NATIVE, 3), 60, np.uint8)
        image[10:17, 2 + 2 * t : 8 + 2 * t] = 250
        cv2.imwrite(str(folder / f"{t:02d}.png"), image)
        lines.append(f"{folder.name}/{t:02d}.png,{2 + 2 * t},10,6,7")
    if boxes:
        (folder.parent / "boxes.csv").write_text("\n".join(lines) + "\n")


def write_clips(root: Path) -> Config:
    """Splits of one clip each, and a config with motion."""
    for split in ("train", "validation", "test"):
        write_clip(root / split / "walk", 10, boxes=True)
    model = replace(CONFIG.model, variant="space+motion+continuity")
    return replace(CONFIG, data=DataConfig(length=3, pictures=str(root)), model=model)
