"""Folders of pictures of rooms, in the form that :mod:`spacetime_env.data.pictures` reads.

Picture i of a split depends on the seed, the split and i alone. So a folder can be made longer, and an interrupted one
is continued.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from spacetime_env.data.box_table import BOXES, Row, boxes_text, table_rows
from spacetime_env.data.made_folder import few, made_folder
from spacetime_env.data.meta import DatasetError, save
from spacetime_env.data.playing import SPLITS
from spacetime_env.data.rooms import KINDS, RoomPainter

META = "rooms.yaml"  # in the folder of the splits: what is drawn
FORMAT = 1  # raise it when a change draws other pictures
EVERY = 200  # pictures between two writings of boxes.csv


def make_rooms(folder: str | Path, kind: str, size: int, seed: int = 0, progress: bool = True) -> dict[str, int]:
    """Draw the pictures that are missing in ``<folder>/train``, ``validation`` and ``test``, with their ``boxes.csv``.

    Args:
        folder: made if it is missing.
        kind: ``"large"`` or ``"small"``, see :mod:`spacetime_env.data.rooms`.
        size: pictures in train. The others have an eighth of it each, 16 to 512.
        seed: 0 or more. The three splits of a seed have no random numbers in common.
        progress: show bars.

    Returns:
        How many pictures each split has now; more than asked for if they were there.

    Raises:
        DatasetError: a value out of range, the folder has rooms of another kind or seed or other things, MuJoCo cannot
            draw, or the disk is full.
        LockError: another process draws into the folder.
    """
    folder = Path(folder)
    if kind not in KINDS:
        raise DatasetError(f"expected rooms of the kind {' or '.join(KINDS)}, got {kind!r}.")
    if not 1 <= size <= 10**6 or seed < 0:
        raise DatasetError(f"expected a size of 1 to 1,000,000 and a seed of 0 or more, got {size} and {seed}.")
    asked = {"format": FORMAT, "rooms": kind, "seed": seed}
    with RoomPainter(kind) as painter, made_folder(folder, META, asked):  # a painter before anything is written
        counts = {"train": size, "validation": few(size), "test": few(size)}
        return {split: _make_split(folder / split, counts[split], painter, seed, progress) for split in SPLITS}


def room_rng(seed: int, split: str, number: int) -> np.random.Generator:
    """The random numbers of a picture."""
    return np.random.default_rng((seed, SPLITS.index(split), number))


def _make_split(folder: Path, size: int, painter: RoomPainter, seed: int, progress: bool) -> int:
    """Draw the missing pictures of a split; how many it has then."""
    folder.mkdir(exist_ok=True)
    rows: dict[str, list[Row]] = {}
    if (folder / BOXES).exists():
        for _, row in table_rows(folder / BOXES):
            rows.setdefault(row[0], []).append(row)
    rows = {name: own for name, own in rows.items() if (folder / name).is_file()}
    missing = [i for i in range(size) if name_of(i) not in rows]
    bar = tqdm(total=size, initial=size - len(missing), desc=str(folder), unit="picture", disable=not progress)
    with bar:
        try:
            for done, i in enumerate(missing, start=1):
                room = painter.draw(room_rng(seed, folder.name, i))
                save(folder / name_of(i), cv2.imencode(".png", room.picture[..., ::-1])[1].tobytes())
                named = zip(room.boxes.tolist(), room.shapes, strict=True)
                rows[name_of(i)] = [(name_of(i), x, y, w, h, shape) for (x, y, w, h), shape in named]
                bar.update()
                if done % EVERY == 0:
                    _write(folder, rows.values())
        finally:  # what was drawn is kept
            if missing:
                _write(folder, rows.values())
    return len(rows)


def _write(folder: Path, rows: Iterable[list[Row]]) -> None:
    each = sorted((row for own in rows for row in own), key=lambda row: row[0])
    save(folder / BOXES, boxes_text(each).encode())


def name_of(number: int) -> str:
    """``00007.png``."""
    return f"{number:05d}.png"
