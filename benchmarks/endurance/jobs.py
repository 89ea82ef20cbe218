"""What is killed: recording, pretraining and training, each large enough for a minute on two cores."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.endurance.kills import Job
from spacetime_env.agent import run_folder, sb3_checkpoint

ROLLOUT = 4 * 128  # env steps: of 4 envs, 128 each
SAVE_FREQ = 1024
STEPS_DONE = "steps-done"  # a file with the env steps that a training has done, kept by benchmarks.endurance.counted


def record(size: int) -> Job:
    """Recording of ``size`` stacks in files of 8, by two processes."""

    def command(folder: Path) -> Sequence[str]:
        words = ["--config", "configs/pong.yaml", "--agent", "random+sticky-random", "--size", str(size), "--no-labels"]
        words += ["--workers", "2", "--data-root", str(folder), "data.shard_size=8", "data.warmup=200"]
        return [sys.executable, "create_dataset.py", *words]

    return Job("record", command, unequal_files)


def pretrain(steps: int, data: Path, size: int = 64) -> Job:
    """Pretraining of ``steps`` steps on data that are recorded by the first run, saved every 10 steps.

    Args:
        data: the folder of the data, which all runs share.
        size: stacks of the training split.
    """

    def command(folder: Path) -> Sequence[str]:
        words = ["--config", "configs/pong.yaml", "--run", str(folder / "run"), "--out", str(folder / "model")]
        words += [
            f"data.root={data}",
            f"data.size={size}",
            "data.eval_size=16",
            "data.shard_size=16",
            "train.threads=1",
        ]
        words += [f"train.steps={steps}", "train.save_every=10", "train.eval_every=50", "train.keep=2"]
        return [sys.executable, "pretrain_space.py", *words]

    return Job("pretrain", command, unequal_pretrainings)


def train(steps: int) -> Job:
    """Training of an agent for ``steps`` env steps, saved every SAVE_FREQ."""

    def command(folder: Path) -> Sequence[str]:
        conf = folder / "ppo.yml"
        entry = {
            "policy": "MlpPolicy",
            "n_envs": 4,
            "n_steps": 128,
            "batch_size": 128,
            "n_epochs": 4,
            "n_timesteps": steps,
        }
        conf.write_text(yaml.safe_dump({"default": entry}))
        words = ["--conf-file", str(conf), "--save-freq", str(SAVE_FREQ), "--eval-freq", "-1", "--final-episodes", "1"]
        words += [
            "--seed",
            "0",
            "--name",
            "agent",
            "-f",
            str(folder / "logs"),
            "--agents-folder",
            str(folder / "agents"),
        ]
        words += ["--env-kwargs", "max_num_frames_per_episode:4000"]
        return [sys.executable, "-m", "benchmarks.endurance.counted", str(folder / STEPS_DONE), *words]

    return Job("train", command, lambda folder, _: unfinished_agent(folder, steps), lost_steps, starting=6.0)


def unequal_files(folder: Path, reference: Path) -> list[str]:
    """Files that are not, to the last bit, those of the reference; what an interrupted write left does not count."""
    ours, theirs = hashes(folder), hashes(reference)
    return [f"{name} differs" for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def unequal_pretrainings(folder: Path, reference: Path) -> list[str]:
    """What of two finished pretrainings differs: the weights of the model, and all of the last checkpoint but times."""
    found = []
    one, other = (path / "model" / "model.safetensors" for path in (folder, reference))
    if one.read_bytes() != other.read_bytes():
        found.append("model.safetensors differs")
    last, wanted = (sorted((path / "run" / "checkpoints").glob("step-*.pt"))[-1] for path in (folder, reference))
    if last.name != wanted.name:
        return [*found, f"the last checkpoint is {last.name}, and {wanted.name} is that of the reference"]
    ours, theirs = (torch.load(path, weights_only=True) for path in (last, wanted))
    return found + [
        f"{key} of {last.name} differs" for key in theirs if key != "seconds" and not same(ours[key], theirs[key])
    ]


def same(one: Any, other: Any) -> bool:
    """Whether two trees of tensors and plain values are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def lost_steps(folder: Path) -> str:
    """A sentence where a kill cost more than SAVE_FREQ and a rollout; else ""."""
    counted = folder / STEPS_DONE
    done = int(counted.read_text() or 0) if counted.is_file() else 0
    saved = [sb3_checkpoint.progress_of(path).timesteps for path in (folder / "logs").rglob(run_folder.LAST)]
    lost = done - max(saved, default=0)
    allowed = SAVE_FREQ + ROLLOUT
    return f"{lost} env steps are lost, {allowed} are allowed" if lost > allowed else ""


def unfinished_agent(folder: Path, steps: int) -> list[str]:
    """What is missing of a finished training: the agent, all of its steps, one run.

    A run that had finished may be followed by another: it was killed while its process ended, and then the same command
    begins a new training.
    """
    from spacetime_env.agent.folder import describe

    about = describe(folder / "agents" / "agent")
    runs = [run_folder.read_record(path.parent) for path in (folder / "logs").rglob(run_folder.RECORD)]
    found = []
    if about["trained"]["timesteps"] < steps:
        found.append(f"the agent has {about['trained']['timesteps']} of {steps} env steps")
    if left := sum(not run.get("finished") for run in runs):
        found.append(f"of {len(runs)} runs {left} were left in place of being resumed")
    return found
