"""b: what it costs to look at a frame, on one core."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ale_py
import cv2
import numpy as np
import torch

from benchmarks.common import Table, in_turns, ratios, seconds, spread
from spacetime_env import fast, load_model, scene, screens, tracker
from spacetime_env.config import ModelConfig
from spacetime_env.games import ale_spec
from spacetime_env.space import Space, sparse
from spacetime_env.space.foreground import Foreground

OBJECTS = 5  # present cells in a frame of the published size, whose weights are not trained here


def run(names: list[str], repeats: int, checkout: Path | None) -> list[Table]:
    """Shipped models in batches; the published size beside the published code."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tables = [shipped(name, repeats) for name in names]
    return [*tables, published_size(repeats, checkout)]


def shipped(name: str, repeats: int) -> Table:
    """``detect``: resize, network, decoding and names."""
    model = load_model(name)
    frames = played(model.game, 64)

    def detect(count: int, compiled: bool) -> float:
        with contextlib.nullcontext() if compiled else without_numba():
            return seconds(lambda: model.detect(frames[:count])) / count * 1e6

    counts = [1, 2, 4, 8, 16, 32, 64]
    forms = {"torch alone": False} | ({} if fast.loops is None else {"with numba": True})
    print(f"detect with {name}, microseconds a frame")
    found = in_turns(
        {f"{n} {form}": lambda n=n, how=how: detect(n, how) for n in counts for form, how in forms.items()}, repeats
    )
    objects = np.mean([len(one) for one in model.detect(frames)])
    note = f"`load_model({name!r}).detect(frames)`, one core; {objects:.1f} objects a frame on average."
    head = ["frames in a call", *(part for form in forms for part in (f"µs a frame, {form}", "frames/s"))]
    table = Table(f"b. Seeing with the shipped model {name}", head, note=note)
    for n in counts:
        micros = [found[f"{n} {form}"] for form in forms]
        table.rows.append((str(n), *(part for one in micros for part in (spread(one), f"{1e6 / np.median(one):.0f}"))))
    return table


@contextlib.contextmanager
def without_numba() -> Iterator[None]:
    """As if it were not installed."""
    modules = (sparse, scene, screens, tracker)
    kept = [module.loops for module in modules]
    for module in modules:
        module.loops = None
    try:
        yield
    finally:
        for module, loops in zip(modules, kept, strict=True):
            module.loops = loops


def published_size(repeats: int, checkout: Path | None) -> Table:
    """``scene_description`` of one frame: ours of the published size, and the published code."""
    frame = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    space = with_objects(frame)
    contenders: dict[str, Any] = {
        "ours": lambda: seconds(lambda: space.scene_description(frame, None), at_least=0.5),
    }
    if checkout is not None:
        from benchmarks.published import load

        _, theirs = load(checkout)
        theirs.eval()

        def describe() -> None:
            with torch.no_grad():
                theirs.scene_description(frame, None)

        contenders["published code"] = lambda: seconds(describe, at_least=0.5)
    print("scene_description of one frame, seconds")
    found = in_turns(contenders, repeats)
    table = Table(
        "b. scene_description at the published size",
        ["", "ms a frame", "times faster than the published code"],
        note=f"One frame, one core. Ours finds {OBJECTS} objects; the published code's cost does not depend on them.",
    )
    for name, values in found.items():
        faster = ratios(found["published code"], values, ".0f") if checkout is not None else "not measured"
        table.rows.append((name, spread([v * 1e3 for v in values], ".1f"), faster))
    return table


def with_objects(frame: torch.Tensor) -> Space:
    """A network of the published size that finds ``OBJECTS`` objects in ``frame``."""
    torch.manual_seed(0)
    space = Space(ModelConfig()).eval().requires_grad_(False)
    foreground: Foreground = space.foreground
    bias = foreground.encoder.head.bias
    assert bias is not None
    said = foreground.encoder(frame.unsqueeze(0))[0, :, 8].sort(descending=True).values
    bias[8] -= (said[OBJECTS - 1] + said[OBJECTS]) / 2
    assert len(space.encode(frame.unsqueeze(0)).cell) == OBJECTS
    return space


def played(game: str, count: int) -> np.ndarray:
    """(count, H, W, 3) uint8: frames of a random game."""
    env = ale_py.AtariEnv(**ale_spec(game).kwargs)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    frames = []
    while len(frames) < count:
        for _ in range(10):
            frame, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))  # type: ignore[attr-defined]
            if terminated or truncated:
                env.reset()
        frames.append(frame)
    return np.stack(frames)
