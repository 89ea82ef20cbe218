"""``boxes.csv``: the true boxes of a folder of pictures, read and written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from spacetime_env.data.meta import DatasetError
from spacetime_env.data.shards import FrameBoxes
from spacetime_env.files import FileError, read_bytes, shown, shown_path

BOXES = "boxes.csv"
COLUMNS = ("picture", "x", "y", "w", "h")
OBJECT = "object"  # the name of a box without a class
MOST_BYTES = 1 << 28
LONGEST = 64  # characters of a class

Row = tuple[str, float, float, float, float, str]  # picture, x, y, w, h in pixels, class


def read_boxes(
    folder: Path, files: Sequence[Path], known: Sequence[Path], native: tuple[int, int]
) -> FrameBoxes | None:
    """The boxes of some pictures; None if the folder has no ``boxes.csv``.

    Args:
        folder: of the pictures.
        files: the pictures, in the order of the result's frames.
        known: all pictures of the folder. Boxes of those that are not in ``files`` are left out.
        native: H, W of the pictures.

    Raises:
        DatasetError: the table is damaged, names a picture that is not there, or has a box that does not lie in it.
    """
    path = folder / BOXES
    if not path.is_symlink() and not path.exists():
        return None
    numbers = {file.relative_to(folder).as_posix(): i for i, file in enumerate(files)}
    names = {file.relative_to(folder).as_posix() for file in known}
    each: list[list[Row]] = [[] for _ in files]
    for line, row in table_rows(path):
        if row[0] not in names:
            raise DatasetError(f"{shown_path(path)}, line {line}: there is no picture {shown(row[0])} in {folder}.")
        _, x, y, w, h, _ = row
        if not (x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= native[1] and y + h <= native[0]):
            raise DatasetError(
                f"{shown_path(path)}, line {line}: the box x {x:g}, y {y:g}, w {w:g}, h {h:g} does not lie in its "
                f"picture of {native[1]} x {native[0]} pixels (W x H)."
            )
        if row[0] in numbers:
            each[numbers[row[0]]].append(row)
    rows = [row for one in each for row in one]
    boxes = np.array([row[1:5] for row in rows], np.float32).reshape(-1, 4)
    return FrameBoxes.of(boxes, np.array([len(one) for one in each]), np.array([row[5] for row in rows], np.str_))


def table_rows(path: Path) -> Iterable[tuple[int, Row]]:
    """The line number and the content of each row.

    Raises:
        DatasetError: it is damaged, or has a value that is not what its column says.
    """
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = tuple(next(table, ()))
        if header not in (COLUMNS, (*COLUMNS, "class")):
            raise DatasetError(
                f"{shown_path(path)}, line 1: expected {','.join(COLUMNS)} or {','.join(COLUMNS)},class, got "
                f"{shown(','.join(header))}."
            )
        for cells in table:
            if cells:
                yield table.line_num, _row(cells, len(header), f"{shown_path(path)}, line {table.line_num}")
    except UnicodeDecodeError:
        raise DatasetError(f"{shown_path(path)} is not text in UTF-8.") from None
    except csv.Error as error:
        raise DatasetError(f"{shown_path(path)} is not a table of comma-separated values: {error}.") from None
    except FileNotFoundError:
        raise DatasetError(f"{shown_path(path)} leads nowhere.") from None
    except FileError as error:
        raise DatasetError(str(error)) from None


def _row(cells: Sequence[str], width: int, title: str) -> Row:
    if len(cells) != width:
        raise DatasetError(f"{title}: expected {width} values, got {len(cells)}.")
    numbers = []
    for name, cell in zip(COLUMNS[1:], cells[1:5], strict=True):
        try:
            numbers.append(float(cell))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise DatasetError(f"{title}: {name}: expected a number, got {shown(cell)}.")
    kind = cells[5] if width > 5 else OBJECT
    if not kind or len(kind) > LONGEST or not kind.isprintable():
        raise DatasetError(f"{title}: class: expected a name of at most {LONGEST} letters, got {shown(kind)}.")
    return cells[0], numbers[0], numbers[1], numbers[2], numbers[3], kind


def boxes_text(rows: Iterable[Row]) -> str:
    """The table of some boxes with their classes, as text."""
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow((*COLUMNS, "class"))
    table.writerows((row[0], *(f"{number:g}" for number in row[1:5]), row[5]) for row in rows)
    return buffer.getvalue()
