"""Two processes that train together on the CPU: this one is rank 0, and ``python -m tests.helpers.pair`` rank 1.

Both do the same scenarios, one after the other, and each says what it found.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from spacetime_env.config import BackgroundConfig, Config, EncoderConfig, Schedule
from spacetime_env.space import CountMismatch
from spacetime_env.training import loop
from spacetime_env.training import step as training_step
from spacetime_env.training.checkpoint import State, read_checkpoint
from spacetime_env.training.examples import Examples
from spacetime_env.training.launch import join
from spacetime_env.training.pretrain import pretrain, resume_or_take, start
from spacetime_env.training.ranks import Ranks
from spacetime_env.training.shared_batch import share
from spacetime_env.training.start import Source
from spacetime_env.training.step import make_optimizers, train_step
from tests.helpers.tiny import CONFIG, MODEL, make_space

GROUP = replace(MODEL.encoder, norm="group", layers=((6, 4, 2, 1, 2), (8, 4, 2, 1, 4), (10, 4, 2, 1, 5)))
PATCHES = EncoderConfig(layers=((6, (9, 8), (9, 8), 0, 0), (8, 3, 1, 1, 0)), lateral=False, norm="batch", input="both")
BACKGROUND = BackgroundConfig(components=2, image_dim=6, mask_dim=4, component_dim=5, hidden_dim=7, share=3)
LINEAR = replace(BACKGROUND, kind="linear", components=3, share=1, input_size=32, mask_size=8)
CELLS = {"min_presence": 0.05, "max_objects": 5, "z_what_from": "map"}
MODELS = {
    "group": replace(MODEL, encoder=GROUP, **CELLS),
    "batch": replace(MODEL, **CELLS),
    "patches": replace(MODEL, encoder=PATCHES, frame_size=(36, 32), **CELLS),
    "components": replace(MODEL, frame_size=(64, 64), grid=8, background=BACKGROUND, **CELLS),
    "linear": replace(MODEL, encoder=GROUP, background=LINEAR, **CELLS),
    "background alone": replace(MODEL, encoder=GROUP, background=LINEAR),
}
LEARNED = ("linear", "background alone")  # with mirrored stacks, and with SPACE's boundary loss
STEPS = [(kind, "everywhere") for kind in MODELS]
STEPS += [("group", "first half"), ("group", "nowhere"), ("linear", "first half")]  # where objects are
STACKS, LENGTH = 4, 3


def examples(model: Any, objects: str = "everywhere") -> Examples:
    """Made-up stacks. ``objects`` may be in the first half of them alone, or nowhere."""
    generator, (height, width), cells = np.random.default_rng(0), model.frame_size, model.grid**2
    z_pres = (generator.random((STACKS, LENGTH, cells, 1)) < 0.2).astype(np.float32)
    z_pres[{"everywhere": STACKS, "first half": STACKS // 2, "nowhere": 0}[objects] :] = 0
    return Examples(
        frames=generator.integers(0, 256, (STACKS, LENGTH, 3, height, width), dtype=np.uint8),
        masks=generator.random((STACKS, LENGTH, height, width)) < 0.5,
        z_pres=z_pres,
        z_where=generator.random((STACKS, LENGTH, cells, 4), np.float32) * z_pres,
        background=generator.integers(0, 256, (3, height, width), dtype=np.uint8),
    )


def one_step(kind: str, ranks: Ranks, objects: str = "everywhere") -> dict[str, Any]:
    """One step on all stacks: its losses, the gradients before they are cut, and what it leaves."""
    model = replace(MODELS[kind], variant="space+motion+continuity")
    first = 0.5 if kind == "background alone" else 0.0
    train = replace(CONFIG.train, clip_norm=1e9, flip=kind in LEARNED, background_first=first)
    edges = Schedule(5.0, 5.0) if kind in LEARNED else CONFIG.loss.boundary
    loss = replace(CONFIG.loss, dynamic_scheduling=True, boundary=edges, boundary_width=1)
    config = replace(CONFIG, model=model, train=train, loss=loss)
    data, space = examples(model, objects), make_space(0, model).train()
    data.set_background(space)
    state = State(space, make_optimizers(space, config), CountMismatch(config.loss))
    share(state, ranks)
    torch.manual_seed(3)
    frames, targets = loop.batch_of(data, ranks.part(np.arange(STACKS)), config, space.batch)
    terms, output = train_step(space, state.optimizers, state.mismatch, frames, targets, config, 0.0, ranks)
    return {
        "terms": {name: value.item() for name, value in terms.items()},
        "gradients": {name: value.grad for name, value in space.named_parameters()},
        "cancelled": before_norms(space),
        "after": {name: value.clone() for name, value in space.state_dict().items()},
        "mismatch": list(state.mismatch.values),
        "random": torch.get_rng_state(),
        "cells": 0 if output is None else len(output.foreground.latents.cell),
    }


def before_norms(network: nn.Module) -> list[str]:
    """The biases that a BatchNorm takes away: their gradients are 0, but for rounding."""
    pairs = [
        (f"{name}.{i}.bias", after)
        for name, layers in network.named_modules()
        if isinstance(layers, nn.Sequential)
        for i, after in enumerate(layers[1:])
    ]
    return [name for name, after in pairs if isinstance(after, nn.BatchNorm2d)]


def started(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A new run with weights that rank 0 alone has read."""
    state = start(replace(CONFIG, seed=ranks.rank), examples(MODEL))
    share(state, ranks)
    source = Source("x.pt", make_space(7).state_dict(), "rgb") if ranks.main else None
    config = replace(CONFIG, train=replace(CONFIG.train, start="x.pt"))
    resume_or_take(folder / "started", state, config, source, ranks)
    return {name: value.clone() for name, value in state.space.state_dict().items()}


def said_by(work: Callable[[], object]) -> str:
    """The kind of error that ``work`` ends with, and its message."""
    try:
        return f"returned {work()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def errors(ranks: Ranks) -> dict[str, str]:
    """Each way of doing something together, with an error in one of the two."""

    def fails(rank: int, error: Exception) -> Any:
        if ranks.rank == rank:
            raise error
        return ranks.rank

    mine, theirs = FileNotFoundError(2, "No such file", "x.yaml"), ValueError("no game 'Pog'.")
    found = {
        "each": said_by(lambda: ranks.each(lambda: ranks.rank)),
        "each, rank 0": said_by(lambda: ranks.each(lambda: fails(0, mine))),
        "each, rank 1": said_by(lambda: ranks.each(lambda: fails(1, theirs))),
        "each, rank 1, unforeseen": said_by(lambda: ranks.each(lambda: fails(1, KeyError("z")))),
        "only": said_by(lambda: ranks.only(lambda: torch.rand(3).shape)),
        "only, rank 0": said_by(lambda: ranks.only(lambda: fails(0, theirs))),
        "first": said_by(lambda: ranks.first(lambda: fails(1, theirs))),
        "number": said_by(lambda: ranks.number(lambda: 0.25 + ranks.rank)),
        "any": said_by(lambda: (ranks.any(ranks.rank == 1), ranks.any(False))),
        "batch": said_by(lambda: ranks.require_batch(5)),
        "gpu": said_by(lambda: ranks.use("cuda:0")),
        "gpus": said_by(lambda: ranks.use("cuda")),
        "joint": str(ranks.part(np.array([[1, 0], [0, 3], [1, 1], [0, 5]])).tolist()),
        "drawn": str(torch.rand(2).tolist()),
    }
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out), ranks.quiet():
        print("shown")
        print("shown", file=sys.stderr)
    return found | {"printed": out.getvalue()}


@contextlib.contextmanager
def changed(ranks: Ranks, module: ModuleType, name: str, change: Callable[[int, Any], Any]) -> Iterator[None]:
    """In rank 1, let ``change`` have what each call of a function returns, with its number."""
    real, calls = getattr(module, name), []

    def called(*args: Any) -> Any:
        calls.append(1)
        return change(len(calls), real(*args))

    with mock.patch.object(module, name, called) if ranks.rank == 1 else contextlib.nullcontext():
        yield


def training(ranks: Ranks, config: Config, folder: Path, **changes: Any) -> str:
    """A whole run in ``folder``, and what this rank prints."""
    config = replace(config, train=replace(config.train, **changes))
    with contextlib.redirect_stdout(io.StringIO()) as out, ranks.quiet():
        ended = said_by(lambda: pretrain(config, folder / "model", folder / "run", ranks=ranks).name)
    return f"{ended}\n{out.getvalue()}"


def trainings(ranks: Ranks, folder: Path) -> dict[str, str]:
    """Whole runs: one that ends, one that Ctrl-C in rank 1 stops and that is resumed, and some that cannot go on."""

    def presses(step: int, returned: Any) -> Any:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)  # torchrun passes it on
        return returned

    def breaks(step: int, returned: Any) -> Any:
        return (returned[0], returned[1] | {"nll": torch.tensor(torch.nan)}) if step == 4 else returned

    config = replace(CONFIG, data=replace(CONFIG.data, root=str(folder / "data")))
    found = {"whole": training(ranks, config, folder / "whole")}
    with changed(ranks, loop, "train_step", presses):
        found["stopped"] = training(ranks, config, folder / "stopped")
    found["resumed"] = training(ranks, config, folder / "stopped")
    found["of one"] = training(ranks, config, folder / "of-one")
    with changed(ranks, training_step, "objective", breaks):
        found["nan"] = training(ranks, config, folder / "nan")
    found["exploded"] = training(ranks, config, folder / "exploded", learning_rate=1e30)
    found["odd"] = training(ranks, config, folder / "odd", batch_size=3)
    found["held"] = training(ranks, config, folder / "held")
    return found


def scenarios(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """All of them, in the order in which both ranks do them."""
    steps = {f"{kind}, {objects}": one_step(kind, ranks, objects) for kind, objects in STEPS}
    others = {"started": started(ranks, folder), "errors": errors(ranks), "trainings": trainings(ranks, folder)}
    return steps | others


def meet(rank: int, folder: Path) -> dict[str, Any]:
    """Do the scenarios as one of the two."""
    torch.set_num_threads(1)
    address = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2, timeout=timedelta(seconds=100))
    try:
        with join() as ranks:
            return scenarios(ranks, folder)
    finally:
        dist.destroy_process_group()


def both(folder: Path) -> list[dict[str, Any]]:
    """What the two ranks found. ``folder`` has the runs afterwards."""
    command = [sys.executable, "-m", "tests.helpers.pair", str(folder)]
    with open(folder / "rank-1.log", "w") as log, subprocess.Popen(command, stdout=log, stderr=log) as other:
        try:
            mine = meet(0, folder)
            assert other.wait(60) == 0, (folder / "rank-1.log").read_text()
        finally:
            other.kill()
    return [mine, torch.load(folder / "rank-1.pt", weights_only=True)]


def checkpoint(folder: Path, step: int) -> dict[str, Any]:
    """A checkpoint of a run."""
    return read_checkpoint(folder / "run" / "checkpoints" / f"step-{step:07d}.pt")


if __name__ == "__main__":
    torch.save(meet(1, Path(sys.argv[1])), Path(sys.argv[1]) / "rank-1.pt")
