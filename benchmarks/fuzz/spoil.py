"""How the files of each kind are broken. Files are name -> content; what was changed is said in words."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import yaml

from benchmarks.fuzz.blobs import mutate_safetensors
from benchmarks.fuzz.raw import evil_pickle, mutate_bytes
from benchmarks.fuzz.trees import brief, mutate_text, mutate_tree, to_yaml
from benchmarks.fuzz.values import Rng, value
from benchmarks.fuzz.zips import entries_of, mutate_zip, zip_of


@dataclass
class Spoiled:
    """The files of a case."""

    files: dict[str, bytes]
    notes: list[str] = field(default_factory=list)
    aware: bool = True  # hashes, lengths and checksums around the changes are right
    words: list[str] = field(default_factory=list)  # for the loader: settings, or which way it takes

    def change(self, name: str, way: Callable[[bytes], tuple[bytes, str]]) -> None:
        """Change a file."""
        self.files[name], said = way(self.files[name])
        self.notes.append(f"{name}: {said}")


def often(rng: Rng) -> int:
    """How many changes: one of two times one, at most four."""
    return min(int(rng.geometric(0.5)), 4)


def sha256(data: bytes) -> str:
    """As the YAML files have it."""
    return hashlib.sha256(data).hexdigest()


def in_yaml(rng: Rng, made: Spoiled, name: str, tree: Any, changes: int, below: tuple[str, ...] = ()) -> None:
    """Write a tree with some changes; with ``below``, only where one of these keys is on the way."""
    for _ in range(changes):
        tree, said = mutate_tree(rng, tree, only=(lambda at: not {*at}.isdisjoint(below)) if below else None)
        made.notes.append(f"{name}: {said}")
    made.files[name] = to_yaml(tree).encode("utf-8", "surrogatepass")


def unaware(rng: Rng, made: Spoiled) -> None:
    """Any bytes of any files, and nothing else set right."""
    made.aware = False
    for _ in range(often(rng)):
        name = list(made.files)[rng.integers(len(made.files))]
        if name.endswith((".yaml", ".yml")) and rng.random() < 0.5:
            text = made.files[name].decode("utf-8", "replace")
            made.change(name, lambda _, text=text: mutate_text(rng, text))  # type: ignore[misc]
        else:
            made.change(name, lambda data: mutate_bytes(rng, data))


def a_model(rng: Rng, made: Spoiled) -> None:
    """A model folder, of one game or of several."""
    if rng.random() < 0.25:
        unaware(rng, made)
        return
    if rng.random() < 0.3:
        made.words = [("", "Breakout", "Alien")[rng.integers(3)]]
    tree = yaml.safe_load(made.files["model.yaml"])
    in_weights = rng.random() < 0.4
    if in_weights:
        way = mutate_safetensors if rng.random() < 0.9 else mutate_bytes
        for _ in range(1 if way is mutate_safetensors else often(rng)):
            made.change("model.safetensors", lambda data: way(rng, data))
    tree["sha256"] = sha256(made.files["model.safetensors"])
    below = ("scene", "native", "class_names") if rng.random() < 0.4 else ()  # the network still fits the weights
    in_yaml(rng, made, "model.yaml", tree, often(rng) if not in_weights or rng.random() < 0.2 else 0, below)


def settings(rng: Rng, made: Spoiled) -> None:
    """Config files of a run, and settings of a command line."""
    tree = yaml.safe_load(made.files["config.yaml"])
    draw = rng.random()
    if draw < 0.2:
        made.change("config.yaml", lambda data: mutate_text(rng, data.decode()))
        made.aware = False
    elif draw < 0.3:
        links = (
            "config.yaml",
            "a.yaml",
            "../outside.txt",
            "nosuch.yaml",
            "default.yaml",
            ".",
            "/etc/passwd",
            "a\0b",
            "x" * 300,
        )
        names = [links[i] for i in rng.integers(len(links), size=3)]
        made.files["a.yaml"] = to_yaml({"base": names[1]}).encode()
        tree["base"] = names[0]
        if rng.random() < 0.5:
            tree |= {"game": "", "games": {"Pong": names[2], "Breakout": {"threshold": 0.1}}}
        made.notes.append(
            f"config.yaml: base {names[0][:20]!r}, whose base is {names[1][:20]!r}; a scene from {names[2][:20]!r}"
        )
        in_yaml(rng, made, "config.yaml", tree, 0)
    elif draw < 0.7:
        in_yaml(rng, made, "config.yaml", tree, often(rng))
    if draw >= 0.7 or rng.random() < 0.2:
        for _ in range(often(rng)):
            made.words.append(setting(rng, tree))
        made.notes += [f"setting {brief(word)}" for word in made.words]


def setting(rng: Rng, tree: Any) -> str:
    """A ``key=value`` of a command line."""
    keys = [
        "seed",
        "train.steps",
        "model.grid",
        "scene.slots.Ball",
        "data.size",
        "name",
        "game",
        "games.Pong.threshold",
    ]
    keys += [
        "model.glimpse.size",
        "model.encoder.layers",
        "loss.hint.start",
        "motion.trail",
        "data.agent",
        "base",
        "scene",
    ]
    odd = ("", "=", ".", "..", "seed.x", "nosuch", "model", "train..steps", "\0", "x" * 9999, "a." * 3000 + "b")
    key = keys[rng.integers(len(keys))] if rng.random() < 0.85 else odd[rng.integers(len(odd))]
    new = value(rng, 3)
    if not isinstance(new, (str, int, float, bool, type(None))):
        return f"{key}={to_yaml({'x': new})[3:]}"
    return f"{key}={new}" if rng.random() < 0.97 else key


def in_torch(rng: Rng, data: bytes, new: bool = True) -> tuple[bytes, str]:
    """What torch saved, with one change: to the tree, to the zip, or to the pickle in it.

    Without ``new`` it is in the form of before 2020, which is no zip; then the tree alone is changed.
    """
    draw = rng.random() if new else 1.0
    if draw < 0.2:
        return mutate_zip(rng, data)
    if draw < 0.3:
        entries = entries_of(data)
        name = next(name for name in entries if name.endswith("data.pkl"))
        content = entries[name]
        assert isinstance(content, bytes)
        entries[name], said = (evil_pickle(), "runs code") if rng.random() < 0.5 else mutate_bytes(rng, content)
        return zip_of(entries), f"data.pkl: {said}"
    tree, said = mutate_tree(rng, torch.load(io.BytesIO(data), weights_only=True), tensor)
    buffer = io.BytesIO()
    try:
        torch.save(tree, buffer, _use_new_zipfile_serialization=new)
    except Exception:  # what torch cannot save is no file
        torch.save({}, buffer)
        said = "nothing in it"
    return buffer.getvalue(), said


def tensor(rng: Rng, there: Any) -> Any:
    """Another value for a place in what torch saved."""
    if not isinstance(there, torch.Tensor) or rng.random() < 0.15:
        return value(rng, there, raws=False) if rng.random() < 0.9 else torch.zeros(2, 3)
    ways: tuple[Callable[[], torch.Tensor], ...] = (
        lambda: torch.full_like(there, float("nan")) if there.is_floating_point() else there - 1,
        lambda: torch.full_like(there, float("inf")) if there.is_floating_point() else there + 1,
        lambda: there.flatten(),
        lambda: there[..., :0] if there.dim() else there[None],
        lambda: there.double() if there.is_floating_point() else there.float(),
        lambda: there.to(torch.complex64),
        lambda: there.to(torch.int64),
        lambda: there.to(torch.bfloat16),
        lambda: torch.zeros(1).expand(2**31),  # a view of one number
        lambda: there.to_sparse() if there.dim() else there,
        lambda: torch.empty(there.shape, device="meta"),
        lambda: there.t() if there.dim() == 2 else there.unsqueeze(0),
        lambda: there * 1e30 if there.is_floating_point() else there,
        lambda: torch.nn.Parameter(there) if there.is_floating_point() else there,
    )
    return ways[rng.integers(len(ways))]()
