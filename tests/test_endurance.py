"""The endurance runs at a hundredth of their length, and a job that breaks what they look at."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.endurance import __main__ as endurance
from benchmarks.endurance import jobs
from benchmarks.endurance.kills import Job, Killing, finish, kill_again_and_again, kill_once
from benchmarks.endurance.soak import Soak, compare, differ_by_rounding, soak
from spacetime_env.agent.run_folder import begin
from spacetime_env.objects.detections import Detections

ROOT = Path(__file__).parents[1]

# Writes the numbers 0 to 23 into a file each, with the package's own atomic writes, and goes on where it stopped.
COUNTING = """
import os, subprocess, sys, time
from pathlib import Path
from spacetime_env.files import write_atomically
folder, fault = Path(sys.argv[1]), sys.argv[2]
def slowly(path):
    path.write_text(f"{path.name.split('.')[1]}")
    time.sleep(0.02)
if fault == "a child that stays":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
for i in range(24):
    if not (folder / f"{i}").exists():
        time.sleep(0.02)
        if fault == "half a file":
            with open(folder / f"{i}", "w") as file:
                file.flush()
                time.sleep(0.05)
                file.write(f"{i}")
        else:
            write_atomically(folder / f"{i}", slowly)
"""


def counting(fault: str = "none") -> Job:
    def command(folder: Path) -> list[str]:
        return [sys.executable, "-c", COUNTING, str(folder), fault]

    return Job("counting", command, jobs.unequal_files, starting=0.6)


def test_what_is_written_whole_survives_each_kill(tmp_path: Path) -> None:
    told = kill_again_and_again(counting(), tmp_path, kills=4, a_round=2, seed=0, least=0.0)
    assert told.faults == []
    assert told.kills == 4
    assert told.rounds >= 2
    assert told.writing >= 1  # every third waits for a temporary file
    assert sorted(int(path.name) for path in (tmp_path / "reference").glob("[0-9]*")) == list(range(24))


def test_half_a_file_is_a_fault(tmp_path: Path) -> None:
    told = kill_again_and_again(counting("half a file"), tmp_path, kills=3, a_round=3, seed=1, least=0.0)
    assert any(fault.endswith("differs") for fault in told.faults)


def test_a_child_that_stays_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.endurance.kills.GONE", 0.5)
    told = Killing("counting")
    assert kill_once(counting("a child that stays"), tmp_path / "a", told, 0.8, alone=True, patience=0.0) is None
    assert told.alone == told.kills == 1
    assert ["1 processes went on" in fault for fault in told.faults] == [True]


def test_a_run_that_is_too_short_or_fails_is_a_fault(tmp_path: Path) -> None:
    told = kill_again_and_again(counting(), tmp_path / "short", kills=0, a_round=1, seed=0, least=999.0)
    assert "at least 999 are wanted" in told.faults[0]
    failing = Job("failing", lambda folder: [sys.executable, "-c", "raise SystemExit(3)"], jobs.unequal_files)
    assert "status 3" in kill_again_and_again(failing, tmp_path / "failing", 1, 1, 0, 0.0).faults[0]


def test_trees_are_the_same_to_the_last_bit() -> None:
    tree = {"a": [torch.tensor([1.0, 2.0]), 3], "b": {"c": None}}
    assert jobs.same(tree, {"a": [torch.tensor([1.0, 2.0]), 3], "b": {"c": None}})
    assert not jobs.same(
        tree, {"a": [torch.tensor([1.0, np.nextafter(np.float32(2), np.float32(3))]), 3], "b": {"c": None}}
    )
    assert not jobs.same(tree, {"a": [torch.tensor([1.0, 2.0]).double(), 3], "b": {"c": None}})
    assert not jobs.same(tree, {"a": [torch.tensor([1.0, 2.0])], "b": {"c": None}})
    assert not jobs.same(tree, {"a": tree["a"]})


def test_a_soak_compares_and_measures() -> None:
    found = soak("Pong", "pong", steps=240, envs=2, workers=1)
    assert (found.steps, found.unequal) == (240, 0)
    assert len(found.memory) == len(found.workers) >= 20
    assert min(found.memory) > 100
    assert min(found.workers) > 50


def test_what_differs_is_counted() -> None:
    found, rows = Soak("Pong"), np.zeros((3, 2, 7), np.float32)
    ends = np.zeros(3, bool)
    other = rows.copy()
    other[0, 1, 3], other[1, 0, 0] = 1e-7, 0.5
    compare(found, (rows, np.zeros(3), ends, ends), (other, np.zeros(3), ends, ends))
    assert (found.unequal, found.rounded) == (1, 1)
    compare(found, (rows, np.array([0.0, 0.0, 1.0]), ends, ends), (rows, np.zeros(3), ends, ends))
    assert (found.unequal, found.rounded) == (2, 1)
    # What rounding decided, and what the tracker makes of it until both are equal again.
    for explained, counts in ((True, (2, 3)), (False, (2, 5))):
        compare(found, (rows, ends, ends, ends), (other, ends, ends, ends), lambda env, told=explained: told)
        assert (found.unequal, found.rounded) == counts
    compare(found, (rows, ends, ends, ends), (rows, ends, ends, ends), lambda env: True)
    compare(found, (rows, ends, ends, ends), (other, ends, ends, ends), lambda env: False)
    assert (found.unequal, found.rounded) == (3, 6)


def test_what_rounding_may_decide() -> None:
    def seen(*objects: tuple[float, float, int]) -> Detections:
        x, confidence, names = (np.array(part) for part in zip(*objects, strict=True))
        z_where = np.stack([0 * x + 0.1, 0 * x + 0.2, x, 0 * x], axis=1).astype(np.float32)
        what = np.zeros((len(x), 2), np.float32)
        return Detections(z_where * 100, z_where, names.astype(np.int64), confidence, what, ("Ball", "Player"))

    one = seen((0.3, 0.9, 0), (-0.5, 0.8, 1))
    assert differ_by_rounding(one, seen((-0.5, 0.8, 1), (0.30001, 0.9, 0)), 0.5)
    assert differ_by_rounding(one, seen((-0.5, 0.8, 1), (0.3, 0.9, 0), (0.7, 0.50001, 1)), 0.5)
    assert not differ_by_rounding(one, seen((-0.5, 0.8, 1), (0.3, 0.9, 0), (0.7, 0.6, 1)), 0.5)
    assert not differ_by_rounding(one, seen((-0.5, 0.8, 0), (0.3, 0.9, 0)), 0.5)  # another name
    assert not differ_by_rounding(seen((0.3, 0.9, 0)), one, 0.5)


def test_memory_that_grows_is_a_fault() -> None:
    found = Soak("Pong", memory=[100.0, 101.0, 100.0], workers=[100.0, 100.0, 100.0])
    assert found.growth == pytest.approx(0.005)
    assert not endurance.wrong(found)
    found.memory[1] = 105.0
    assert endurance.wrong(found)
    assert "| Pong | 0 | 0 | 0 | 0 | 100, 100, 105 | 100, 100, 100 | 2.5% |" in endurance.report([found], [])


def test_the_games_are_those_with_a_model_of_their_own() -> None:
    assert len(endurance.games()) == 14
    assert "Pong" in endurance.games()


def test_a_killed_recording_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    job = jobs.record(24)
    reference, told = tmp_path / "reference", Killing("record")
    assert finish(job, reference) == 0
    (split,) = (reference / "Pong").iterdir()
    assert len(list(split.glob("frames-*.npz"))) == 3
    assert kill_once(job, tmp_path / "killed", told, 1.0, alone=False, patience=60.0) is None
    assert told.writing == 1
    assert finish(job, tmp_path / "killed") == 0
    assert jobs.unequal_files(tmp_path / "killed", reference) == []
    assert told.faults == []


def test_lost_steps_are_counted(tmp_path: Path) -> None:
    """A training that is killed in its third rollout, of which nothing can be saved."""
    job, told = jobs.train(3 * jobs.ROLLOUT), Killing("train")
    folder = tmp_path / "killed"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder.mkdir()
    process = subprocess.Popen(
        list(job.command(folder)), cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        counted = folder / jobs.STEPS_DONE
        while process.poll() is None and not (counted.is_file() and int(counted.read_text() or 0) > 2 * jobs.ROLLOUT):
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert jobs.lost_steps(folder) == ""
    counted.write_text(str(3 * jobs.ROLLOUT + jobs.SAVE_FREQ + 1))  # as if it had not saved after the second
    assert "are lost" in jobs.lost_steps(folder)
    assert told.faults == []


def test_a_training_that_is_left_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that had finished may be followed by another; one that had not has to be resumed."""
    monkeypatch.setattr("spacetime_env.agent.folder.describe", lambda folder: {"trained": {"timesteps": 512}})
    for number, finished in ((1, True), (2, True)):
        run = begin(tmp_path / "logs", {"algo": "ppo", "env": f"SpaceTime/Pong-v5-{number}"}, 0)
        run.write(finished=finished)
    assert jobs.unfinished_agent(tmp_path, 512) == []
    assert jobs.unfinished_agent(tmp_path, 513) == ["the agent has 512 of 513 env steps"]
    run.write()
    assert jobs.unfinished_agent(tmp_path, 512) == ["of 2 runs 1 were left in place of being resumed"]
