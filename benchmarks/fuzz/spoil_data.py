"""How recorded splits, checkpoints of pretraining and pictures are broken. See :mod:`benchmarks.fuzz.spoil`."""

from __future__ import annotations

import yaml

from benchmarks.fuzz.blobs import mutate_npz
from benchmarks.fuzz.pictures import picture
from benchmarks.fuzz.seeds import PONG, SMALL
from benchmarks.fuzz.spoil import Spoiled, in_torch, in_yaml, often, sha256, unaware
from benchmarks.fuzz.values import Rng


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


def a_picture(rng: Rng, made: Spoiled) -> None:
    """A picture to look at, or the background of a split."""
    (way,) = made.words
    data, said, made.aware = picture(rng, PONG if way == "look" else SMALL)
    made.files["picture.png" if way == "look" else "background-mode.png"] = data
    made.notes.append(f"{way}: {said}")
