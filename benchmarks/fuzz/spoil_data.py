"""How recorded splits, checkpoints of pretraining and pictures are broken. See :mod:`benchmarks.fuzz.spoil`."""

from __future__ import annotations

import re
import struct

import yaml

from benchmarks.fuzz.blobs import mutate_npz, mutate_safetensors
from benchmarks.fuzz.pictures import picture
from benchmarks.fuzz.raw import evil_pickle, mutate_bytes
from benchmarks.fuzz.seeds import PONG, SMALL
from benchmarks.fuzz.spoil import Spoiled, in_torch, in_yaml, often, sha256, unaware
from benchmarks.fuzz.trees import mutate_text
from benchmarks.fuzz.values import Rng

STORAGE = re.compile(rb"(?:J....|M..|K.)Nt", re.DOTALL)  # how many numbers a storage has, in the form of before 2020


def a_split(rng: Rng, made: Spoiled) -> None:
    """A recorded split."""
    draw = rng.random()
    if draw < 0.2:
        unaware(rng, made)
        return
    index = yaml.safe_load(made.files["index.yaml"])
    if draw < 0.65:
        for number in rng.permutation(2)[: int(rng.integers(1, 3))].tolist():  # once each: what is broken opens no more
            made.change(f"frames-0000{number}.npz", lambda data: mutate_npz(rng, data))
        index = {name: sha256(made.files[name]) for name in index}
    if draw >= 0.65 or rng.random() < 0.1:
        in_yaml(rng, made, "meta.yaml", yaml.safe_load(made.files["meta.yaml"]), often(rng))
    in_yaml(rng, made, "index.yaml", index, int(rng.random() < 0.1))


def a_checkpoint(rng: Rng, made: Spoiled) -> None:
    """Checkpoints of a pretraining; now and then only the last, with none to fall back on."""
    if rng.random() < 0.5:
        del made.files["step-0000002.pt"]
    if rng.random() < 0.2:
        unaware(rng, made)
        return
    made.change("step-0000004.pt" if rng.random() < 0.8 else "best.pt", lambda data: in_torch(rng, data))
    if rng.random() < 0.1:
        names = ("step-9999999999.pt", "step-x.pt", "step-.pt", "step--1.pt", "step-\u0663.pt", "step-0000005.pt.tmp")
        name = names[rng.integers(len(names))]
        made.files[name] = made.files["step-0000004.pt"]
        made.notes.append(f"it is there as {name!r} too")


def classifiers(rng: Rng, made: Spoiled) -> None:
    """A file of classifiers."""
    if rng.random() < 0.2:
        unaware(rng, made)
        return
    made.change("x.classifiers.safetensors", lambda data: mutate_safetensors(rng, data))


def a_published(rng: Rng, made: Spoiled) -> None:
    """A checkpoint of the published code, in one of two forms."""
    if rng.random() < 0.1:
        unaware(rng, made)
        return
    if made.words == ["new"]:
        made.change("model.pth", lambda data: in_torch(rng, data))
    elif rng.random() < 0.5:
        made.change("model.pth", lambda data: at_start(rng, data))
    else:
        made.change("model.pth", lambda data: in_torch(rng, data, new=False))


def at_start(rng: Rng, data: bytes) -> tuple[bytes, str]:
    """A file in the form of before 2020, changed where its pickles are: at the start of the file."""
    end, draw = min(len(data), 60_000), rng.random()
    if draw < 0.1:
        return evil_pickle() + data, "a pickle before it that runs code"
    if draw < 0.4:
        found = [*STORAGE.finditer(data, 0, end)]
        one = found[rng.integers(len(found))]
        size = int(rng.choice([0, 1, 2**20, 2**31 - 1]))
        new = b"J" + struct.pack("<i", size) + b"Nt"
        return data[: one.start()] + new + data[one.end() :], f"a storage of {size} numbers"
    changed, said = mutate_bytes(rng, data[:end])
    return changed + data[end:], f"its first bytes {said}"


def a_picture(rng: Rng, made: Spoiled) -> None:
    """A picture to look at, or the background of a split."""
    (way,) = made.words
    data, said, made.aware = picture(rng, PONG if way == "look" else SMALL)
    made.files["picture.png" if way == "look" else "background-mode.png"] = data
    made.notes.append(f"{way}: {said}")


def stills(rng: Rng, made: Spoiled) -> None:
    """Pictures of a folder."""
    for number in rng.permutation(3)[: int(rng.integers(1, 3))].tolist():
        name = f"{number}.{('png', 'jpg', 'JPEG')[rng.integers(3)]}"
        made.files[name], said, aware = picture(rng, SMALL if rng.random() < 0.8 else PONG)
        made.aware &= aware
        made.notes.append(f"{name}: {said}")
    if rng.random() < 0.1:
        del made.files["boxes.csv"]


CELLS = (
    *("", " ", "nan", "inf", "-inf", "1e999", "-1", "1e308", "0x1", "1_0", "\u0663", "1.5", "44", "36", "-0.0", "1,2"),
    *("0.png", "../0.png", "/etc/passwd", "nosuch.png", ".", "\0", "x" * 70, "x" * 200_000, '"', '"a', "a\tb", "\n"),
    *("\x1b[31m", "\ud800", "\u202e", "=1+1", "\xff" * 9, "'", "a" * 64, "ball"),
)


def boxes(rng: Rng, made: Spoiled) -> None:
    """The true boxes of a folder of pictures."""
    draw = rng.random()
    if draw < 0.3:
        made.aware = False
        way = mutate_bytes if rng.random() < 0.5 else lambda r, data: mutate_text(r, data.decode())
        made.change("boxes.csv", lambda data: way(rng, data))
        return
    rows = [line.split(",") for line in made.files["boxes.csv"].decode().splitlines()]
    for _ in range(often(rng)):
        row, new = int(rng.integers(len(rows))), CELLS[rng.integers(len(CELLS))]
        where = int(rng.integers(len(rows[row]))) if rows[row] else 0
        kind = int(rng.integers(6))
        if kind < 3 and rows[row]:
            rows[row][where] = new
        elif kind == 3:
            rows[row].insert(where, new)
        elif kind == 4:
            del rows[row][where : where + 1]
        else:
            rows.insert(row, list(rows[row]) * (1 if rng.random() < 0.8 else 1000))
        made.notes.append(f"boxes.csv: row {row}, value {where}: way {kind}, {new[:20]!r}")
    made.files["boxes.csv"] = "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
