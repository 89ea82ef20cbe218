"""c: what a training step costs: CPU seconds and memory a frame, each measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import (
    MISSING,
    ROOT,
    Table,
    cpu_seconds,
    in_turns,
    memory,
    peak_memory,
    ratios,
    reset_peak_memory,
    spread,
    threads,
)
from spacetime_env.config import Config, LossConfig, ModelConfig, load_config

LENGTH = 4  # T
THEIRS = "published code, all cells, K = 3 backgrounds"


def run(repeats: int, checkout: Path | None) -> list[Table]:
    """Published size against the published code; the shipped size against batch, grid and objects."""
    return [against_published(repeats, checkout), scaling(repeats)]


def against_published(repeats: int, checkout: Path | None) -> Table:
    """One stack of 4 frames with 3 objects in each."""
    cells = ModelConfig().grid ** 2
    present = {"size": "published"}
    sizes: dict[str, dict[str, Any]] = {
        "ours, all cells, K = 3 backgrounds": {**present, "exact": True},
        "ours, present cells, K = 3 backgrounds": present,
        "ours, present cells, K = 3 backgrounds a stack, bfloat16": {**present, "share": LENGTH, "amp": True},
        "ours, present cells, fixed background": {**present, "fixed": True},
    }
    if checkout is not None:
        sizes[THEIRS] = {"checkout": str(checkout)}
    found = measure(sizes, repeats)
    head = ["one step", f"cells drawn a frame, of {cells}", "CPU s a frame", "published code's time / this"]
    head += ["MiB a frame", "this / published code's memory"]
    note = (
        "Forward, backward, clipping, update. The published size (G 16, glimpse 32, z_what 32, the published widths) "
        "on noise, T = 4, one stack, one core, one thread, no compiled loops in training. 'Present cells' encodes and "
        "draws cells of probability 0.05 or more (`model.min_presence`), here the 3 that the hints name in each frame; "
        "the published code draws all cells, so the first row is the like of it; the others save work that it does. "
        "'A stack': its frames share their backgrounds (`model.background.share`); bfloat16: `train.amp=on`; 'fixed': "
        "no network for the background (the published code has K = 3)."
    )
    if checkout is None:
        note += " The published code was not measured: no `--published`."
    table = Table("c. A training step at the published size", head, note=note)
    base = found.get(THEIRS)
    for name, one in found.items():
        faster = less = MISSING
        if base:
            faster = "1" if one is base else ratios(base.cpu, one.cpu, ".1f")
            less = "1" if one is base else ratios(one.memory, base.memory, ".3f")
        table.rows.append((name, one.cells, spread(one.cpu, ".4f"), faster, spread(one.memory), less))
    if not base:
        table.rows.append((THEIRS, *[MISSING] * 5))
    return table


def scaling(repeats: int) -> Table:
    """The shipped size, one thing changed at a time."""
    sizes: dict[str, dict[str, Any]] = {f"{n} stacks": {"stacks": n} for n in (1, 4, 16)}
    sizes |= {f"grid {g} x {g}": {"grid": g} for g in (8, 16, 32)}
    sizes |= {f"{n} objects a frame": {"objects": n} for n in (1, 4, 16, 64)}
    found = measure(sizes, repeats)
    note = (
        "configs/pong.yaml on noise, one core, one thread. One thing is changed in each row; the rest is 4 stacks of 4 "
        "frames, grid 16, 3 objects a frame, of which present cells are drawn. So '4 stacks' and 'grid 16 x 16' are "
        "the same step, measured twice."
    )
    head = ["", "cells drawn a frame", "CPU ms a frame", "MiB a frame"]
    table = Table("c. A training step at Pong's size", head, note=note)
    for name, one in found.items():
        row = (name, one.cells, spread([c * 1e3 for c in one.cpu], ".2f"), spread(one.memory, ".1f"))
        table.rows.append(row)
    return table


@dataclass
class Cost:
    """What a step costs, a frame's share, turn by turn."""

    cpu: list[float]  # seconds
    memory: list[float]  # MiB
    cells: str  # drawn


def measure(sizes: Mapping[str, dict[str, Any]], repeats: int) -> dict[str, Cost]:
    """The cost of each, in turns."""
    memories: dict[str, list[float]] = {name: [] for name in sizes}
    drawn: dict[str, str] = {}

    def one(name: str) -> float:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [sys.executable, "-m", "benchmarks.training", json.dumps(sizes[name])]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{name} did not run:\n{done.stderr.strip()[-1500:]}")
        cost, held, cells = json.loads(done.stdout.splitlines()[-1])
        memories[name].append(held)
        drawn[name] = f"{cells:g}"
        return cost

    print("CPU seconds a frame of a training step")
    costs = in_turns({name: (lambda name=name: one(name)) for name in sizes}, repeats)
    # the first was to warm up
    return {name: Cost(costs[name], memories[name][1:], drawn[name]) for name in sizes}


def step_of_ours(
    size: str = "pong",
    stacks: int = 0,
    grid: int = 16,
    objects: int = 3,
    exact: bool = False,
    fixed: bool = False,
    share: int = 1,
    amp: bool = False,
) -> tuple[Callable[[], float], int]:
    """A call that trains one step and says how many cells of a frame it drew, and the number of frames."""
    from spacetime_env.space import CountMismatch, Space, Targets
    from spacetime_env.training.step import make_optimizers, train_step

    if size == "published":
        model = ModelConfig() if exact else ModelConfig(min_presence=0.05)
        if fixed:
            model = replace(model, background=replace(model.background, kind="fixed"))
        model = replace(model, background=replace(model.background, share=share))
        config = Config(model=model, loss=LossConfig(hint=replace(LossConfig().hint, until=1.0)))
        config = replace(config, train=replace(config.train, amp="on" if amp else "off"))
        stacks = stacks or 1
    else:
        config = load_config(ROOT / "configs" / "pong.yaml")
        patch = config.model.frame_size[0] // grid
        layers = ((32, patch, patch, 0, 0), *config.model.encoder.layers[1:])
        encoder = replace(config.model.encoder, layers=layers)
        model = replace(config.model, grid=grid, encoder=encoder, max_objects=max(8, objects))
        config = replace(config, model=model)
        stacks = stacks or 4
    torch.manual_seed(0)
    space, count = Space(config.model).train(), stacks * LENGTH
    frames = torch.rand(count, 3, *config.model.frame_size)
    cells = config.model.grid**2
    z_pres, z_where = torch.zeros(count, cells, 1), torch.zeros(count, cells, 4)
    for i in range(count):
        chosen = torch.from_numpy(np.random.default_rng(i).permutation(cells)[:objects])
        z_pres[i, chosen] = 1.0
        z_where[i, chosen] = torch.cat((torch.full((objects, 2), 0.06), torch.rand(objects, 2) * 1.6 - 0.8), dim=1)
    targets = Targets(z_pres, z_where, torch.rand(count, 1, *config.model.frame_size).round(), LENGTH)
    optimizers, mismatch = make_optimizers(space, config), CountMismatch(config.loss)

    def step() -> float:
        # At the start the hints say where objects are, so that there are as many as are asked for.
        _, output = train_step(space, optimizers, mismatch, frames, targets, config, progress=0.0)
        return len(output.foreground.latents.cell) / count

    return step, count


def step_of_published(checkout: str) -> tuple[Callable[[], float], int]:
    """The published training step: forward, backward, clipping, both optimisers."""
    from benchmarks.published import load

    network, _ = load(Path(checkout))
    network.train()
    frames = torch.rand(1, LENGTH, 3, 128, 128)
    z_pres, z_where = torch.zeros(1, LENGTH, 256, 1), torch.zeros(1, LENGTH, 256, 4)
    z_pres[:, :, [20, 100, 150]], z_where[:, :, [20, 100, 150]] = 1.0, 0.06
    mask = torch.zeros(1, LENGTH, 1, 128, 128)
    foreground = torch.optim.RMSprop(network.space.fg_module.parameters(), lr=3e-5)
    background = torch.optim.Adam(network.space.bg_module.parameters(), lr=1e-3)

    def step() -> float:
        loss, _ = network(frames, mask, z_pres, z_where, 500)
        foreground.zero_grad(set_to_none=True)
        background.zero_grad(set_to_none=True)
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        foreground.step()
        background.step()
        return float(z_pres.shape[2])  # it draws every cell

    return step, LENGTH


def main(words: str) -> None:
    """One measurement: ``python -m benchmarks.training '{"stacks": 2}'`` prints CPU seconds, MiB and cells a frame."""
    asked = json.loads(words)
    with threads(1):
        step, frames = step_of_published(**asked) if "checkout" in asked else step_of_ours(**asked)
        before = memory()
        reset_peak_memory()
        cells = step()
        cost = cpu_seconds(step, at_least=0.8) / frames
    print(json.dumps([cost, (peak_memory() - before) / frames, cells]))


if __name__ == "__main__":
    main(sys.argv[1])
