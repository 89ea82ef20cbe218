"""e: from nothing to F1 on Pong: what is reached after how many seconds, data and start included."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import ROOT, Table


def run(seeds: list[int]) -> list[Table]:
    """The documented command for each seed, in an empty folder, on the data of that seed."""
    note = (
        "`python pretrain_space.py --config configs/pong.yaml seed=S train.eval_every=400`, no training data there: "
        "recording, training, names and final figures included. The seed is that of the weights and of the order of "
        "the data; validation and test splits are the shipped ones, whose seeds are not trained on. Seconds are of the "
        "wall, from the start of the process; torch has the threads of `train.threads` in configs/pong.yaml. Rows are "
        "runs of the same command, compared with nothing."
    )
    head = ["seed", "seconds: F1 on 256 validation frames", "seconds in all", "test F1", "Ball recall", "16-shot"]
    table = Table("e. From nothing to F1 on Pong", head, note=note)
    for seed in seeds:
        table.rows.append(one(seed))
    return [table]


def one(seed: int) -> tuple[str, ...]:
    """One run: its curve and its end."""
    print(f"Pong from nothing, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        shutil.copytree(ROOT / "data" / "Pong", data / "Pong", ignore=shutil.ignore_patterns("train-*"))
        words = [sys.executable, "-u", str(ROOT / "pretrain_space.py"), "--config", str(ROOT / "configs" / "pong.yaml")]
        words += ["--out", f"{folder}/model", "--run", f"{folder}/run", f"data.root={data}", f"seed={seed}"]
        words += ["train.eval_every=400"]
        began, said, curve = time.perf_counter(), "", []
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if step := re.search(r"step \d+: .*?\bf1 ([\d.]+)", line):
                    curve.append(f"{time.perf_counter() - began:.0f}: {float(step[1]):.3f}")
        passed = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"seed {seed} failed:\n{said[-1500:]}")
    end = said[said.rindex("### all test splits") :]

    def figure(name: str) -> str:
        found = re.search(rf"\| {name}[^|]*\| ([\d.]+)", end)
        assert found is not None, name
        return found[1]

    f1, ball, shots = figure("F1 at IoU 0.5"), figure("recall of Ball"), figure("16-shot accuracy")
    print(f"  {passed:.0f} s, F1 {f1}")
    return str(seed), ", ".join(curve), f"{passed:.0f}", f1, ball, shots
