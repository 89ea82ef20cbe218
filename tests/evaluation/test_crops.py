"""Detected objects, cut out of the frames."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from spacetime_env.data.split import open_split
from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.crops import COLUMNS, crop, save_crops
from spacetime_env.evaluation.drawn import as_drawn
from spacetime_env.evaluation.run_model import Predictions
from spacetime_env.objects.detections import Detections
from tests.helpers.made import found
from tests.helpers.tiny import write_split

FRAME = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def predictions(detections: list[Detections], truth: list[Truth]) -> Predictions:
    return Predictions(detections, truth, as_drawn(truth), [], [], frozenset())


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 1, 3, 2), slice(1, 3), slice(2, 5)),
        ((2.4, 1.6, 3, 2), slice(1, 4), slice(2, 6)),  # what it touches
        ((-2, -1, 4, 3), slice(0, 2), slice(0, 2)),
        ((7, 4, 9, 9), slice(4, 6), slice(7, 8)),
        ((3, 2, 0, 0), slice(2, 3), slice(3, 4)),  # one pixel at least
        ((20, 30, 2, 2), slice(5, 6), slice(7, 8)),
        ((-9, -9, 2, 2), slice(0, 1), slice(0, 1)),
    ],
)
def test_crop_by_hand(box: tuple[float, ...], rows: slice, columns: slice) -> None:
    assert np.array_equal(crop(FRAME, np.array(box, np.float32)), FRAME[rows, columns])


def test_save_crops(tmp_path: Path) -> None:
    """Two splits of twelve frames; something is found in the first frame and in the last, of the second split."""
    splits = [open_split(write_split(tmp_path / name, "test", labels=True, seed=1)) for name in ("one", "two")]
    objects = [found() for _ in range(24)]
    true = splits[1].labels[11]
    objects[0] = found(((0, 0, 2, 3), "Shield"), confidence=(0.75,))
    objects[23] = found((tuple(true[0]), "Ball"), (tuple(true[1]), "Ball"))
    truth = [Truth(np.zeros((0, 4), np.float32), ())] * 23 + [Truth(true, ("Player", "Ball"))]
    folder = tmp_path / "crops"
    path = save_crops(folder, splits, predictions(objects, truth), limit=9)
    with open(path, newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert ",".join(table[0].values()) == "00000.png,test-random,0,0,0.00,0.00,2.00,3.00,Shield,,0.7500"
    assert [(row["stack"], row["t"], row["name"], row["true_name"]) for row in table[1:]] == [
        ("3", "2", "Ball", "Player"),
        ("3", "2", "Ball", "Ball"),
    ]
    frame = splits[1].frames([3])[0, 2]
    for row in table[1:]:
        x, y, w, h = (round(float(row[key])) for key in "xywh")
        picture = np.asarray(cv2.imread(str(folder / row["file"])))[..., ::-1]
        assert np.array_equal(picture, frame[y : y + h, x : x + w]) and picture.any()
    # A second call leaves none of the first's files, and takes the first and the last.
    save_crops(folder, splits, predictions(objects, truth), limit=2)
    assert sorted(p.name for p in folder.iterdir()) == ["00000.png", "00001.png", "crops.csv"]
    with open(path, newline="") as file:
        assert [row["stack"] for row in csv.DictReader(file)] == ["0", "3"]


def test_nothing_found(tmp_path: Path) -> None:
    split = open_split(write_split(tmp_path, "test", labels=True))
    nothing = predictions([found()] * 12, [Truth(np.zeros((0, 4)), ())] * 12)
    path = save_crops(tmp_path / "crops", [split], nothing, 5)
    assert path.read_text() == ",".join(COLUMNS) + "\n" and list(path.parent.iterdir()) == [path]
