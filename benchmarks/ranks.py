"""``python -m benchmarks.ranks``: does a training in two processes give the losses of one, and how much faster is it?

It does the first steps of a config as it is, sampling and all, under torchrun with 1 process and with 2, and says how
far the losses differ. Beside that it says how far they differ if one process has 2 threads instead of 1: sums are then
rounded in another order, and training enlarges that tenfold in a dozen steps. So later losses agree no better than
those of one process with itself.

Then it times one process of 1 thread without torchrun, the same under torchrun, and 2 processes in turns. No network is
validated or saved: rank 0 does them alone. Missing data are recorded first. It takes 5 minutes with
``configs/pong.yaml``; for the times, nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import ROOT, Table, machine, ratios, spread
from spacetime_env.config import load_config
from spacetime_env.data.players import policy_for
from spacetime_env.space.finite import require_finite
from spacetime_env.training.game_data import gather
from spacetime_env.training.launch import join
from spacetime_env.training.loop import batch_of
from spacetime_env.training.pretrain import start, training_data
from spacetime_env.training.shared_batch import share
from spacetime_env.training.shared_ranks import SharedRanks
from spacetime_env.training.step import train_step

WARM = 20  # steps that are not timed, and the losses at the beginning and at the end that are compared


@dataclass(frozen=True)
class Run:
    """Some steps of a training."""

    losses: list[float]  # ``total`` of each step
    wall: float  # seconds a step, the median of the steps
    cpu: float  # CPU seconds a step, of all processes


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if the losses differ."""
    asked = arguments().parse_args(words)
    if asked.one:
        one(asked)
        return 0
    whole, parts = run(asked, 1, 1), run(asked, asked.processes)
    rounded = run(asked, 1, 2)
    ways: dict[str, list[Run]] = {"1 process": [], "1 under torchrun": [], f"{asked.processes} processes": []}
    for _ in range(asked.repeats):
        alone, single, several = ways.values()
        alone.append(run(asked, 1, 1, torchrun=False))
        single.append(run(asked, 1, 1))
        several.append(run(asked, asked.processes))
    table = Table(f"{asked.steps} steps of {asked.config}", ["", *ways])
    table.rows = [
        ("steps a second", *(spread([1 / one.wall for one in found], ".2f") for found in ways.values())),
        ("CPU seconds a step", *(spread([one.cpu for one in found], ".4f") for found in ways.values())),
    ]
    print(f"{table.text()}\n{machine()}")
    *slower, fast = ([one.wall for one in way] for way in ways.values())
    for name, slow in zip(ways, slower, strict=False):
        print(f"Steps a second, {asked.processes} processes / {name}: {ratios(slow, fast)}")
    print(f"Losses: largest relative difference in the first {WARM} steps, and that of the mean of the last {WARM}")
    found = {f"1 process / {asked.processes}": parts, "1 thread / 2": rounded}
    apart = [differences(whole.losses, other.losses) for other in found.values()]
    for name, (first, last) in zip(found, apart, strict=True):
        print(f"  {name}: {first:.1e}, {last:.2%}")
    first, last = apart[0]
    return 0 if first <= 1e-4 and last <= 0.02 else 1


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description=__doc__)
    parser.add_argument("--config", default="configs/pong.yaml")
    parser.add_argument("--data", default="data", help="where the splits are, or will be recorded")
    parser.add_argument("--steps", type=int, default=200, help=f"more than {2 * WARM}")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="of the times")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="settings of the config to change")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # a process that torchrun starts
    return parser


def differences(whole: Sequence[float], parts: Sequence[float]) -> tuple[float, float]:
    """Largest relative difference of the first losses, and the relative difference of the mean of the last."""
    one, two = np.array(whole), np.array(parts)
    first = np.abs(two[:WARM] / one[:WARM] - 1).max()
    return float(first), float(abs(two[-WARM:].mean() / one[-WARM:].mean() - 1))


def run(asked: argparse.Namespace, processes: int, threads: int = 0, torchrun: bool = True) -> Run:
    """Some steps in processes of their own; 0 threads: as the config says."""
    before = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if torchrun else []
    words = ["--one", "--config", asked.config, "--data", asked.data, "--steps", str(asked.steps)]
    settings = ["--set", *asked.set, *([f"train.threads={threads}"] if threads else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *before, "benchmarks.ranks", *words, *settings]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{processes} processes did not run; see above.")
    found = Run(**json.loads(done.stdout.splitlines()[-1]))
    about = f"{processes} processes{f', {threads} threads' if threads else ''}{', torchrun' if torchrun else ''}"
    print(f"  {about}: {found.wall:.4f} s a step, {found.cpu:.4f} CPU s", flush=True)
    return found


def one(asked: argparse.Namespace) -> None:
    """The steps, in one of the processes; rank 0 prints what it found."""
    config = load_config(Path(asked.config), [*asked.set, f"data.root={asked.data}"])
    with join() as ranks, ranks.quiet():
        ranks.use(config.train.device)
        torch.set_num_threads(ranks.threads(config.train.threads))
        players = policy_for(config.data.agent), policy_for(config.data.eval_agent)
        config, examples, _ = training_data(config, {config.game: ranks.first(lambda: gather(config, *players))})
        state = start(config, examples)
        share(state, ranks)
        batches = examples.order(config.train.batch_size, config.seed, 0)
        losses, walls, cpu = [], [], 0.0
        for step in range(asked.steps):
            began = time.perf_counter()
            if step == WARM:
                cpu = time.process_time()
            frames, targets = batch_of(examples, ranks.part(next(batches)), config, state.space.batch)
            progress = step / config.train.steps
            terms, _ = train_step(
                state.space, state.optimizers, state.mismatch, frames, targets, config, progress, ranks
            )
            require_finite(terms)
            losses.append(terms["total"].item())
            ranks.any(False)
            walls.append(time.perf_counter() - began)
        timed, used = asked.steps - WARM, time.process_time() - cpu
        wall = float(np.median(walls[WARM:]))
        cpu = (ranks.sum(torch.tensor(used)).item() if isinstance(ranks, SharedRanks) else used) / timed
        print(json.dumps({"losses": losses, "wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    sys.exit(main())
