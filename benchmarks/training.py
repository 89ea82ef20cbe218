"""c: what a training step costs: CPU seconds and memory a frame, each measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import ROOT, Table, cpu_seconds, in_turns, memory, peak_memory, ratios, reset_peak_memory, spread
from spacetime_env.config import Config, LossConfig, ModelConfig, load_config

LENGTH = 4  # T


def run(repeats: int, checkout: Path | None) -> list[Table]:
    """Published size against the published code; the shipped size against batch, grid and objects."""
    return [against_published(repeats, checkout), scaling(repeats)]


def against_published(repeats: int, checkout: Path | None) -> Table:
    """One stack of 4 frames with 3 objects in each."""
    sizes: dict[str, dict[str, Any]] = {
        "ours, all 256 cells drawn, K = 3 backgrounds": {"size": "published", "exact": True},
        "ours, objects only, K = 3 backgrounds": {"size": "published"},
        "ours, objects only, K = 3 backgrounds a stack, bfloat16": {"size": "published", "share": LENGTH, "amp": True},
        "ours, objects only, fixed background": {"size": "published", "fixed": True},
    }
    if checkout is not None:
        sizes["published code"] = {"checkout": str(checkout)}
    costs, memories = measure(sizes, repeats)
    head = ["one step, a frame's share", "CPU s", "times faster", "MiB", "of the published memory"]
    note = (
        "The published size (G 16, glimpse 32, z_what 32, the published widths), T = 4, one stack, one core. "
        "'Objects only' encodes and draws cells of probability 0.05 or more (`model.min_presence`); 'a stack': its "
        "frames share their backgrounds (`model.background.share`); bfloat16: `train.amp=on`."
    )
    table = Table("c. A training step at the published size", head, note=note)
    base = costs.get("published code")
    for name in sizes:
        faster = ratios(base, costs[name], ".1f") if base else "not measured"
        less = ratios(memories[name], memories["published code"], ".3f") if base else "not measured"
        row = (name, spread(costs[name], ".4f"), faster, spread(memories[name], ".0f"), less)
        table.rows.append(row)
    return table


def scaling(repeats: int) -> Table:
    """The shipped size, one thing changed at a time."""
    sizes: dict[str, dict[str, Any]] = {f"{n} stacks": {"stacks": n} for n in (1, 4, 16)}
    sizes |= {f"grid {g} x {g}": {"grid": g} for g in (8, 16, 32)}
    sizes |= {f"{n} objects a frame": {"objects": n} for n in (1, 4, 16, 64)}
    costs, memories = measure(sizes, repeats)
    note = "configs/pong.yaml, one core; where nothing else is said 4 stacks of 4 frames, grid 16, 3 objects a frame."
    table = Table("c. A training step at Pong's size", ["", "CPU ms a frame", "MiB a frame"], note=note)
    for name in sizes:
        row = (name, spread([c * 1e3 for c in costs[name]], ".2f"), spread(memories[name], ".1f"))
        table.rows.append(row)
    return table


def measure(
    sizes: Mapping[str, dict[str, Any]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """CPU seconds and MiB a frame of each, in turns."""
    memories: dict[str, list[float]] = {name: [] for name in sizes}

    def one(name: str) -> float:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [sys.executable, "-m", "benchmarks.training", json.dumps(sizes[name])]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        if done.returncode:
            raise SystemExit(f"{name} did not run:\n{done.stderr.strip()[-1500:]}")
        cost, held = json.loads(done.stdout.splitlines()[-1])
        memories[name].append(held)
        return cost

    print("CPU seconds a frame of a training step")
    costs = in_turns({name: (lambda name=name: one(name)) for name in sizes}, repeats)
    return costs, {name: values[1:] for name, values in memories.items()}  # the first was to warm up


def step_of_ours(
    size: str = "pong",
    stacks: int = 0,
    grid: int = 16,
    objects: int = 3,
    exact: bool = False,
    fixed: bool = False,
    share: int = 1,
    amp: bool = False,
) -> tuple[Any, int]:
    """A call that trains one step, and its frames."""
    from spacetime_env.optimize import make_optimizers, train_step
    from spacetime_env.space import CountMismatch, Space, Targets

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
    # At the start the hints say where objects are, so that there are as many as are asked for.
    return lambda: train_step(space, optimizers, mismatch, frames, targets, config, progress=0.0), count


def step_of_published(checkout: str) -> tuple[Any, int]:
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

    def step() -> None:
        loss, _ = network(frames, mask, z_pres, z_where, 500)
        foreground.zero_grad(set_to_none=True)
        background.zero_grad(set_to_none=True)
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        foreground.step()
        background.step()

    return step, LENGTH


def main() -> None:
    """One measurement: ``python -m benchmarks.training '{"stacks": 2}'`` prints CPU seconds and MiB a frame."""
    torch.set_num_threads(1)
    asked = json.loads(sys.argv[1])
    step, frames = step_of_published(**asked) if "checkout" in asked else step_of_ours(**asked)
    before = memory()
    reset_peak_memory()
    step()
    cost = cpu_seconds(step, at_least=0.8) / frames
    print(json.dumps([cost, (peak_memory() - before) / frames]))


if __name__ == "__main__":
    main()
