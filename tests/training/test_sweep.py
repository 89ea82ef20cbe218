"""Sweeps of tiny trainings: what they leave, and that they go on after failures, Ctrl-C and kill -9."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from spacetime_env import load_model
from spacetime_env.commands.pretrain import main
from spacetime_env.config import Config, ConfigError, to_dict
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.players import Player
from spacetime_env.evaluation import figures_json
from spacetime_env.locks import LockError, hold
from spacetime_env.training import loop as training_loop
from spacetime_env.training import pretrain, sweep
from spacetime_env.training.checkpoint import checkpoints
from spacetime_env.training.game_data import GameData, gather
from spacetime_env.training.loop import Interrupted
from spacetime_env.training.step import train_step
from spacetime_env.training.sweep import run_sweep
from spacetime_env.training.sweep_data import share_data
from spacetime_env.training.sweep_plan import Sweep, SweepRun, plan
from tests.helpers.tiny import write_data, write_split

SWEEP = ("seed=0,1", "model.variant=space,space+motion")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two steps on labelled data with a test split."""
    config = write_data(tmp_path_factory.mktemp("data"), test=True)
    return replace(config, train=replace(config.train, steps=2))


@pytest.fixture(scope="module")
def config(asked: Config) -> Path:
    path = Path(asked.data.root) / "config.yaml"
    path.write_text(yaml.safe_dump(to_dict(asked)))
    return path


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four runs, by the command."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    assert main(["--config", str(config), "--run", str(folder), "--export-classifier", "--sweep", *SWEEP]) == 0
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A sweep that is done, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "sweep"))


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines()))


def trained(monkeypatch: pytest.MonkeyPatch, before: Callable[[Path], None] = lambda _: None) -> list[str]:
    """The runs that are handed to pretrain from now on; ``before`` is called first, and may raise."""
    real, names = pretrain.pretrain, []

    def watched(config: Config, out: Path, run: Path, **options: object) -> Path:
        names.append(run.name)
        before(run)
        return real(config, out, run, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "pretrain", watched)
    return names


def test_two_do_not_do_one_sweep(config: Path, copied: Path) -> None:
    before = sorted(copied.rglob("*"))
    with hold(copied), pytest.raises(LockError, match="sweep is in use by process"):
        run_sweep(plan(config, [], SWEEP, copied), restart=True)
    assert sorted(copied.rglob("*")) == before


def test_what_a_sweep_leaves(whole: Path) -> None:
    names = [
        "seed=0,variant=space",
        "seed=0,variant=space+motion",
        "seed=1,variant=space",
        "seed=1,variant=space+motion",
    ]
    assert sorted(path.name for path in whole.iterdir()) == [*names, "table.csv", "table.md"]
    for name in names:
        assert sorted(path.name for path in (whole / name).iterdir() if path.suffix != ".pkl") == [
            "checkpoints",
            "evaluation.csv",
            "evaluation.md",
            "figures.json",
            "model",
            "run.yaml",
            "sweep.json",
            "tensorboard",
        ]
    assert list(whole.glob("*/z_what-classifier_4.joblib.pkl"))
    assert load_model(whole / names[2] / "model").config.variant == "space"
    card = (whole / names[2] / "model" / "CARD.md").read_text()
    assert f"--sweep {' '.join(SWEEP)}  # seed=1 variant=space`, seed 1" in card


def test_a_run_is_the_one_that_would_be_done_alone(whole: Path, asked: Config, tmp_path: Path) -> None:
    alone = replace(asked, seed=1)  # the variant of the file is space+motion
    pretrain.pretrain(alone, tmp_path / "model", tmp_path / "run")
    inside = whole / "seed=1,variant=space+motion"
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    assert (inside / "model" / "model.safetensors").read_bytes() == weights
    assert (whole / "seed=0,variant=space+motion" / "model" / "model.safetensors").read_bytes() != weights
    assert figures_json.read(inside) == figures_json.read(tmp_path / "run")


def test_runs_of_the_same_data_read_them_once(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, read = gather, []

    def watched(one: Config, *policies: Player) -> GameData:
        read.append((one.scene.threshold, one.seed, one.model.variant))
        return real(one, *policies)

    monkeypatch.setattr(pretrain, "gather", watched)
    words = ["seed=0,1", "model.variant=space,space+motion", "scene.threshold=0.0,0.01"]
    assert not run_sweep(plan(config, ["train.steps=1"], words, tmp_path / "sweep"))
    assert read == [(0.0, 0, "space"), (0.01, 0, "space")]  # their samples and targets may differ


def test_the_tables_have_what_the_runs_measured(whole: Path) -> None:
    rows = table(whole)
    assert [(row["seed"], row["variant"], row["state"]) for row in rows] == [
        ("0", "space", "done"),
        ("1", "space", "done"),
        ("0", "space+motion", "done"),
        ("1", "space+motion", "done"),
    ]
    f1 = {}
    for row in rows:
        found = figures_json.read(whole / f"seed={row['seed']},variant={row['variant']}")
        assert found is not None and found["test-random"]["detection.frames"] == 12
        assert {name: float(row[f"test-random: {name}"]) for name in found["test-random"]} == found["test-random"]
        assert float(row["wall_seconds"]) > 0
        f1[row["seed"], row["variant"]] = found["test-random"]["detection.center_f1"]
    lines = (whole / "table.md").read_text().splitlines()
    at = lines.index("## test-random")
    assert lines[at + 2].startswith(
        "| variant | n | F1 at IoU 0.5 | F1 at IoU 0.75 | F1 by centre distance | target F1 | 1-shot accuracy |"
    )
    for line, variant in zip(lines[at + 4 :], ("space", "space+motion"), strict=True):
        mean = (f1["0", variant] + f1["1", variant]) / 2
        assert line.split(" | ")[:2] == [f"| {variant}", "2"] and line.split(" | ")[4].startswith(f"{mean:.4f} ± ")


def test_what_is_done_is_not_done_again(
    copied: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = trained(monkeypatch)
    before = table(copied)
    assert run_sweep(plan(config, [], SWEEP, copied)) == [] and names == []
    said = capsys.readouterr().out
    assert "run 2 of 4: seed=1 variant=space: it is done already" in said and "4 of 4 runs are done" in said
    assert table(copied) == before
    # What is not whole is finished: its training is done, so that takes no step.
    shutil.rmtree(copied / "seed=1,variant=space" / "model")
    (copied / "seed=0,variant=space+motion" / "sweep.json").write_text("{")
    (copied / "seed=0,variant=space" / "figures.json").write_text('{"test-random": 1}')
    assert run_sweep(plan(config, [], SWEEP, copied)) == []
    assert names == ["seed=0,variant=space", "seed=1,variant=space", "seed=0,variant=space+motion"]
    said = capsys.readouterr().out
    assert said.count("at step 2 of 2") == 3 and "run 3 of 4: seed=0 variant=space+motion\n" in said
    without_time = [
        [{k: v for k, v in row.items() if k != "wall_seconds"} for row in rows] for rows in (before, table(copied))
    ]
    assert without_time[0] == without_time[1]
    assert float(table(copied)[0]["wall_seconds"]) > float(before[0]["wall_seconds"])  # of all sessions


def test_restart_does_all_again(copied: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "seed=1,variant=space" / "notes.txt").write_text("mine")
    left = {path.name: len(checkpoints(path / "checkpoints")) for path in copied.iterdir() if path.is_dir()}
    assert set(left.values()) == {1}
    found = []

    def pressed(run: Path) -> None:
        found.append([len(checkpoints(copied / name / "checkpoints")) for name in left])
        raise KeyboardInterrupt

    names = trained(monkeypatch, pressed)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan(config, ["train.steps=1"], SWEEP, copied), restart=True)  # also of other settings
    assert names == ["seed=0,variant=space"] and found == [[0, 0, 0, 0]]
    assert [row["state"] for row in table(copied)] == ["not done"] * 4
    assert (copied / "seed=1,variant=space" / "notes.txt").read_text() == "mine"


def test_one_that_fails_is_reported_and_the_rest_goes_on(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = {
        "seed=0": DatasetError("there is no data."),
        "seed=1": RuntimeError("shapes\ndiffer"),
        "seed=2": OSError(28, "No space left on device", "a.pt"),
    }

    def fail(run: Path) -> None:
        if run.name in errors:
            raise errors[run.name]

    words = ["--config", str(config), "--run", str(tmp_path), "--sweep", "seed=0,1,2,3"]
    with monkeypatch.context() as patch:
        trained(patch, fail)
        assert main(words) == 1
    said = capsys.readouterr()
    assert (
        "run 1 of 4: seed=0 failed: there is no data. (" in said.err and "seed=1 failed: RuntimeError: sha" in said.err
    )
    assert "seed=2 failed: a.pt: No space left on device." in said.err and "Traceback" not in said.err + said.out
    assert "3 failed: seed=0; seed=1; seed=2. The same command tries them again." in said.err
    assert "1 of 4 runs are done" in said.out
    assert "Traceback" in (tmp_path / "seed=1" / "error.txt").read_text()
    assert [row["state"] for row in table(tmp_path)] == ["failed"] * 3 + ["done"]
    assert "Not in it: seed=0 (failed), seed=1 (failed), seed=2 (failed)." in (tmp_path / "table.md").read_text()
    names = trained(monkeypatch)
    assert main(words) == 0 and names == ["seed=0", "seed=1", "seed=2"]
    assert [row["state"] for row in table(tmp_path)] == ["done"] * 4 and not list(tmp_path.glob("*/error.txt"))


def test_ctrl_c_stops_all_and_the_same_command_goes_on(
    config: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pressed in the first step of one run, then in the last of another."""
    real, steps = train_step, []

    def pressed(*args: object, **kwargs: object) -> object:
        steps.append(len(steps))
        if len(steps) in (1, 4):
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    words = ["--config", str(config), "--run", str(tmp_path / "s"), "--sweep", "seed=0,1"]
    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "train_step", pressed)
        assert main(words) == 130
        assert "interrupted at step 1 of 2" in capsys.readouterr().err
        assert [row["state"] for row in table(tmp_path / "s")] == ["not done"] * 2
        assert main(words) == 130
        said = capsys.readouterr()
        assert "interrupted at step 2 of 2" in said.err and "step 1 of 2" in said.out  # seed=0 was resumed
        assert [row["state"] for row in table(tmp_path / "s")] == ["done", "not done"]
        assert main(words) == 0 and len(steps) == 4
    for seed in (0, 1):
        mine, other = tmp_path / "s" / f"seed={seed}", whole / f"seed={seed},variant=space+motion"
        weights = [(run / "model" / "model.safetensors").read_bytes() for run in (mine, other)]
        assert weights[0] == weights[1]


def test_kill_9_and_the_same_command_again(config: Path, whole: Path, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from spacetime_env.training import loop as training_loop
from spacetime_env.commands import pretrain as pretrain_cli
real, calls = training_loop.train_step, []
def dying(*args, **kwargs):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
training_loop.train_step = dying
pretrain_cli.main(sys.argv[1:])
"""
    words = ["--config", str(config), "--run", str(tmp_path / "s"), "--sweep", "seed=0,1", "train.save_every=1"]
    killed = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [row["state"] for row in table(tmp_path / "s")] == ["done", "not done"]
    assert main(words) == 0
    weights = [
        (run / "model" / "model.safetensors").read_bytes()
        for run in (tmp_path / "s" / "seed=1", whole / "seed=1,variant=space+motion")
    ]
    assert weights[0] == weights[1]


def test_a_folder_of_other_settings_is_refused_before_anything_starts(
    copied: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = trained(monkeypatch)
    shutil.rmtree(copied / "seed=0,variant=space")
    with pytest.raises(ConfigError, match=r"variant=space was begun with other settings: train.steps: 2 then, 3 now"):
        run_sweep(plan(config, ["train.steps=3"], SWEEP, copied))
    assert names == []


class Elsewhere(Executor):
    """Does nothing here: each task is answered with ``outcome`` at once."""

    def __init__(self, outcome: BaseException | None = None) -> None:
        self.outcome = outcome

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.outcome is not None:
            future.set_exception(self.outcome)
        else:
            future.set_result(None)
        return future


def without_time(folder: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "wall_seconds"} for row in table(folder)]


def test_a_pool_leaves_what_one_process_leaves(
    config: Path, copied: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copied / "seed=1,variant=space")
    (copied / "seed=0,variant=space+motion" / "sweep.json").unlink()
    with ThreadPoolExecutor(1) as pool:
        assert run_sweep(plan(config, [], SWEEP, copied), pool=pool) == []
    assert without_time(copied) == without_time(whole)
    weights = [(folder / "seed=1,variant=space/model/model.safetensors").read_bytes() for folder in (copied, whole)]
    assert weights[0] == weights[1]
    said = capsys.readouterr()
    assert "run 1 of 4: seed=0 variant=space: it is done already" in said.out and "4 of 4 runs are done" in said.out
    assert "sweep pong:" in said.err and "8/8" in said.err  # steps of all runs


def test_a_run_that_fails_in_a_pool(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: Path) -> None:
        raise DatasetError("there is no data.") if run.name == "seed=0" else MemoryError

    trained(monkeypatch, fail)
    asked = plan(config, [], ["seed=0,1"], tmp_path)
    with ThreadPoolExecutor(1) as pool:
        assert [run.title for run in run_sweep(asked, pool=pool)] == ["seed=0", "seed=1"]
    said = capsys.readouterr().err
    assert f"run 1 of 2: seed=0 failed: there is no data. ({tmp_path}/seed=0/error.txt)" in said
    assert "run 2 of 2: seed=1 failed: it ran out of memory. (" in said
    assert "DatasetError" in (tmp_path / "seed=0" / "error.txt").read_text()
    assert [row["state"] for row in table(tmp_path)] == ["failed"] * 2
    # Such as of a pool that lost its workers, or whose machines have disks of their own.
    assert len(run_sweep(asked, pool=Elsewhere(ValueError("4 workers were lost.")))) == 2
    assert "seed=0 failed: 4 workers were lost. (" in capsys.readouterr().err
    assert len(run_sweep(asked, pool=Elsewhere())) == 2
    assert f"{tmp_path}/seed=1 has nothing of it: all machines must share the sweep's folder" in capsys.readouterr().err


def test_runs_in_a_pool_that_are_stopped(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopped = Interrupted("interrupted at step 1 of 2.")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(plan(config, [], ["seed=0,1"], tmp_path), restart=True, pool=Elsewhere(stopped))
    assert "Leave out --restart to resume" in capsys.readouterr().err
    assert [row["state"] for row in table(tmp_path)] == ["not done"] * 2


def test_a_run_that_a_lost_worker_still_does_is_waited_for(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = plan(config, [], ["seed=0,1"], tmp_path).runs[:1]
    run.folder.mkdir()
    locks, waits = [hold(run.folder)], []

    def waited(folder: Path, wait: float = 0.0) -> object:
        waits.append(wait)
        locks.pop().close()
        return hold(folder, wait)

    monkeypatch.setattr(sweep, "hold", waited)
    trained(monkeypatch, lambda folder: hold(folder).close())
    sweep.do_run_apart(run, "", False)
    assert waits == [sweep.PATIENCE] and run.done()


def test_data_are_shared_or_lie_apart(asked: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each data size the training split is written once; test and validation splits are those that are there."""
    root, folder = tmp_path / "data", tmp_path / "s"
    shutil.copytree(asked.data.root, root)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(to_dict(replace(asked, data=replace(asked.data, root=str(root))))))
    made = []

    def prepare(run: Path) -> None:
        size = 9 if "size=9" in run.name else 6
        own = folder / "data" / f"size={size}"
        assert sorted(p.name for p in (own / "Pong").glob("*-random") if p.name[:5] != "train") == [
            "test-random",
            "validation-random",
        ]
        if not (own / "Pong" / "train-random").exists():
            made.append(size)
            write_split(own, "train", replace(asked, data=replace(asked.data, size=size)))

    (root / "Pong" / "test-unfinished").mkdir()
    names = trained(monkeypatch, prepare)
    assert run_sweep(plan(path, ["train.steps=1"], ["seed=0,1", "data.size=6,9"], folder)) == []
    assert made == [6, 9] and len(names) == 4
    assert [row["test-random: detection.frames"] for row in table(folder)] == ["12"] * 4


def test_a_validation_split_of_other_settings_is_not_copied(asked: Config, tmp_path: Path) -> None:
    def shared(**changes: int) -> list[str]:
        root = tmp_path / "".join(changes)
        config = replace(asked, data=replace(asked.data, root=str(root), **changes))
        share_data(SweepRun({}, config, tmp_path, asked.data.root))
        return sorted(path.name for path in (root / "Pong").iterdir())

    assert shared(size=9) == ["test-random", "validation-random"]
    assert shared(length=2) == ["test-random"]


def test_errors_of_the_command_are_sentences(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for words, message in (
        (["--out", "m", "--sweep", "seed=0,1"], "--out is not for --sweep"),
        (["--sweep", "train.steps=1,0"], "steps=0: train.steps: expected 1 or more, got 0"),
        (["--sweep", "seed=1"], "nothing to vary"),
        (["--run", str(tmp_path / "file" / "s"), "--sweep", "seed=0,1"], "Not a directory"),
    ):
        assert main(["--config", str(config), *words]) == 1
        said = capsys.readouterr().err
        assert said.startswith("pretrain_space.py: ") and message in said and "Traceback" not in said


def test_words_before_sweep_hold_for_all_runs(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr("spacetime_env.commands.pretrain.run_sweep", lambda sweep, *_: found.append(sweep) or [])
    words = ["--config", str(config), "scene.classes=[Player,Ball]", "train.steps=1", "--run", str(tmp_path)]
    assert main([*words, "--sweep", "seed=0,1", "train.batch_size=1", "--restart"]) == 0
    one: Sweep = found[0]
    assert [run.title for run in one.runs] == ["seed=0", "seed=1"]
    for run in one.runs:
        assert run.config.scene.classes == ("Player", "Ball")
        assert (run.config.train.steps, run.config.train.batch_size) == (1, 1)


def test_interrupted_is_no_failure(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(run: Path) -> None:
        raise Interrupted("stopped.")

    names = trained(monkeypatch, stop)
    with pytest.raises(Interrupted):
        run_sweep(plan(config, [], ["seed=0,1"], tmp_path))
    assert names == ["seed=0"] and not (tmp_path / "seed=0" / "error.txt").exists()
