"""b: what it costs to look at a frame, on one core."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import ale_py
import numpy as np
import torch

from benchmarks.common import MISSING, Table, in_turns, ratios, seconds, spread, threads
from benchmarks.compiled import without_numba
from spacetime_env import load_model
from spacetime_env.compiled import INSTALLED
from spacetime_env.config import ModelConfig
from spacetime_env.games import ale_spec
from spacetime_env.space import Space
from spacetime_env.space.foreground import Foreground
from spacetime_env.space.latents import HEAD

FRAMES = 64
COUNTS = (1, 2, 4, 8, 16, 32, 64)  # frames in a call
OBJECTS = 5  # present cells in a frame of the published size, whose weights are not trained here

Some = TypeVar("Some", np.ndarray, list)


def run(names: list[str], repeats: int, checkout: Path | None) -> list[Table]:
    """Shipped models in batches; the published size beside the published code."""
    with threads(1):
        tables = [shipped(name, repeats) for name in names]
        return [*tables, published_size(repeats, checkout)]


def chunks(frames: Some, count: int) -> Iterator[Some]:
    """All of them, ``count`` at a time; the last may be fewer."""
    for start in range(0, len(frames), count):
        yield frames[start : start + count]


def shipped(name: str, repeats: int) -> Table:
    """``detect``: resize, network, decoding and names."""
    model = load_model(name)
    frames = played(model.game, FRAMES)

    def detect(count: int, numba: bool) -> float:
        def all_frames() -> None:
            for some in chunks(frames, count):
                model.detect(some)

        with contextlib.nullcontext() if numba else without_numba():
            return seconds(all_frames) / len(frames) * 1e6

    forms = {"without numba": False, "with numba": True}
    measured = {form: numba for form, numba in forms.items() if not numba or INSTALLED}
    print(f"detect with {name}, microseconds a frame")
    contenders: dict[str, Callable[[], float]] = {
        f"{n} {form}": lambda n=n, numba=numba: detect(n, numba) for n in COUNTS for form, numba in measured.items()
    }
    found = in_turns(contenders, repeats)
    objects = np.mean([len(one) for one in model.detect(frames)])
    note = (
        f"`load_model({name!r}).detect`, one core, one thread. Every row is the mean of the same {FRAMES} frames, 10 "
        f"steps of a random game apart, so many in a call; {objects:.1f} objects a frame on average. 'Without numba': "
        "the same code with the compiled loops off; the ratio is of times, row by row."
    )
    head = ["frames in a call", "µs a frame without numba", "frames/s", "µs a frame with numba", "frames/s"]
    table = Table(f"b. Seeing with the shipped model {name}", [*head, "without / with"], note=note)
    for n in COUNTS:
        row = [str(n)]
        for form in forms:
            micros = found.get(f"{n} {form}")
            row += [spread(micros), f"{1e6 / np.median(micros):.0f}"] if micros else [MISSING, MISSING]
        both = found.get(f"{n} with numba")
        table.rows.append([*row, ratios(found[f"{n} without numba"], both) if both else MISSING])
    return table


def published_size(repeats: int, checkout: Path | None) -> Table:
    """``scene_description`` of one frame: ours of the published size, and the published code."""
    frame = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    cells = ModelConfig().grid ** 2
    contenders: dict[str, Any] = {}
    for objects in (OBJECTS, cells):
        space = with_objects(frame, objects)
        contenders[f"ours, {objects} of {cells} cells encoded"] = lambda space=space: seconds(
            lambda: space.scene_description(frame, None), at_least=0.5
        )
    theirs = f"published code, {cells} of {cells} cells encoded and drawn"
    if checkout is not None:
        contenders[theirs] = published_description(checkout, frame)
    print("scene_description of one frame, seconds")
    found = in_turns(contenders, repeats)
    note = (
        f"One frame of noise, {tuple(frame.shape[1:])} pixels, one core, one thread, no classifier; both networks have "
        "the published widths and no training. Each code's own `scene_description`: the published one runs its whole "
        "forward pass, backgrounds and reconstruction included, whatever it finds; ours runs the image encoder on the "
        f"frame and encodes present cells only. The first row finds {OBJECTS} objects, by a shifted bias, as many as a "
        "game has; the second finds one in every cell. The ratio is the published code's time to the row's."
    )
    if checkout is None:
        note += " The published code was not measured: no `--published`."
    head = ["", "ms a frame", "published code's time / this"]
    table = Table("b. scene_description at the published size", head, note=note)
    for name, values in found.items():
        faster = ratios(found[theirs], values, ".1f") if theirs in found else MISSING
        table.rows.append((name, spread([v * 1e3 for v in values], ".1f"), "1" if name == theirs else faster))
    if checkout is None:
        table.rows.append((theirs, MISSING, MISSING))
    return table


def published_description(checkout: Path, frame: torch.Tensor) -> Callable[[], float]:
    """Measures the published code's ``scene_description``."""
    from benchmarks.published import load

    _, theirs = load(checkout)
    theirs.eval()

    def describe() -> None:
        with torch.no_grad():
            theirs.scene_description(frame, None)

    return lambda: seconds(describe, at_least=0.5)


def with_objects(frame: torch.Tensor, objects: int) -> Space:
    """A network of the published size that finds so many objects in ``frame``."""
    torch.manual_seed(0)
    space = Space(ModelConfig()).eval().requires_grad_(False)
    foreground: Foreground = space.foreground
    bias = foreground.encoder.head.bias
    assert bias is not None
    raw = foreground.encoder(frame.unsqueeze(0))[0, :, HEAD.pres.start].sort(descending=True).values
    bias[HEAD.pres] -= (raw[objects - 1] + raw[objects]) / 2 if objects < len(raw) else raw[-1] - 1
    assert len(space.encode(frame.unsqueeze(0)).cell) == objects
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
