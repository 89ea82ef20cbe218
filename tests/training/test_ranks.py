"""Two processes train as one would: gradients, noise, statistics, stops, errors. All of it is one pair of processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spacetime_env.locks import hold
from spacetime_env.training import loop as training_loop
from spacetime_env.training.checkpoint import checkpoints
from spacetime_env.training.pretrain import pretrain
from spacetime_env.training.ranks import Ranks
from tests.helpers.pair import STEPS, both, checkpoint, one_step
from tests.helpers.tiny import make_space, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and a run of one process that was stopped after three of six steps."""
    folder = tmp_path_factory.mktemp("pair")
    config = write_data(folder / "data")
    real, calls = training_loop.train_step, []

    def presses(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(training_loop.Interrupted):
        patch.setattr(training_loop, "train_step", presses)
        pretrain(config, folder / "of-one" / "model", folder / "of-one" / "run")
    (folder / "held" / "run").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    with hold(folder / "held" / "run"):
        return both(folder)


@pytest.mark.parametrize(("kind", "objects"), STEPS)
def test_a_step_is_that_of_one_process_with_the_whole_batch(
    kind: str, objects: str, found: list[dict[str, Any]]
) -> None:
    """Sampled, with the dynamic schedule. In two cases a part has no object, in one there is none at all."""
    one = one_step(kind, Ranks(), objects)
    two = [ranks[f"{kind}, {objects}"] for ranks in found]
    assert one["terms"] == pytest.approx(two[0]["terms"], rel=1e-5) and two[0]["terms"] == two[1]["terms"]
    assert one["mismatch"] == pytest.approx(two[0]["mismatch"], rel=1e-5)
    assert torch.equal(one["random"], two[0]["random"]) and torch.equal(one["random"], two[1]["random"])
    assert one["cells"] == two[0]["cells"] + two[1]["cells"]
    fits = {"everywhere": two[1]["cells"] > 1, "first half": two[1]["cells"] == 0, "nowhere": one["cells"] == 1}
    assert fits[objects] or kind == "background alone"
    for name, gradient in one["gradients"].items():
        if gradient is None:  # of the foreground, where the background trains alone
            assert kind == "background alone" and two[0]["gradients"][name] is None, name
            continue
        near = 1e-5 * gradient.abs().max().item() + 1e-9
        if name in one["cancelled"]:
            near = 1e-7 * one["terms"]["gradient_norm"]
        assert torch.allclose(gradient, two[0]["gradients"][name], rtol=0, atol=near), name
    for name, value in one["after"].items():
        assert torch.equal(two[0]["after"][name], two[1]["after"][name]), name
        if "running" in name or "batches" in name:
            assert torch.allclose(value, two[0]["after"][name], rtol=1e-5, atol=1e-6), name


def test_a_step_of_half_the_batch_is_another_one(found: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail: statistics and noise of the first half alone."""
    monkeypatch.setattr("tests.helpers.pair.STACKS", 2)
    half = one_step("batch", Ranks())
    assert half["terms"]["nll"] != pytest.approx(found[0]["batch, everywhere"]["terms"]["nll"], rel=1e-3)


def test_weights_to_start_with_are_read_by_rank_0_alone(found: list[dict[str, Any]]) -> None:
    wanted = make_space(7).state_dict()
    for name, value in found[0]["started"].items():
        assert torch.equal(value, found[1]["started"][name]), name
        assert torch.equal(value, wanted[name]) or name == "background.image", name


def test_an_error_in_one_is_an_error_in_both_and_rank_0_says_it(found: list[dict[str, Any]]) -> None:
    zero, one = (ranks["errors"] for ranks in found)
    assert (zero["each"], one["each"]) == ("returned 0", "returned 1")
    assert zero["each, rank 0"] == "FileNotFoundError: [Errno 2] No such file: 'x.yaml'"
    assert one["each, rank 0"] == "Told: process 0 of 2: x.yaml: No such file."
    assert zero["each, rank 1"] == "RankError: process 1 of 2: no game 'Pog'."
    assert one["each, rank 1"] == "Told: process 1 of 2: no game 'Pog'."
    assert zero["each, rank 1, unforeseen"] == "RankError: process 1 of 2: KeyError: 'z'"
    assert one["each, rank 1, unforeseen"] == "KeyError: 'z'"  # with its traceback
    assert (zero["only"], one["only"]) == ("returned torch.Size([3])", "returned None")
    assert (zero["only, rank 0"], one["only, rank 0"][:5]) == ("ValueError: no game 'Pog'.", "Told:")
    assert (zero["first"], one["first"][:5]) == ("RankError: process 1 of 2: no game 'Pog'.", "Told:")
    assert (zero["number"], one["number"]) == ("returned 0.25", "returned 0.25")
    assert zero["any"] == one["any"] == "returned (True, False)"
    assert zero["drawn"] == one["drawn"]  # though only rank 0 drew before
    assert (zero["printed"], one["printed"]) == ("shown\nshown\n", "")
    for said in (zero, one):
        hint = r"ConfigError: .* 5 stacks .* 2 processes. Give train.batch_size=4 or 6, .*: 1\."
        assert re.fullmatch(hint, said["batch"])
        assert "'cuda:0' is one GPU" in said["gpu"]
        assert torch.cuda.is_available() or "has 0 GPUs that torch can use, and 2 processes" in said["gpus"]
    assert (zero["joint"], one["joint"]) == ("[[0, 3], [0, 5]]", "[[1, 0], [1, 1]]")  # by game, as the batch has them


def test_rank_0_alone_writes(found: list[dict[str, Any]], folder: Path) -> None:
    zero, one = (ranks["trainings"] for ranks in found)
    assert zero["whole"].startswith("returned model\n") and "step 3: motion_f1" in zero["whole"]
    assert one["whole"].strip() == "returned model"
    run = folder / "whole" / "run"
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-0000004.pt", "step-0000006.pt"]
    (events,) = (run / "tensorboard").iterdir()
    scalars = EventAccumulator(str(events)).Reload()
    assert [event.step for event in scalars.Scalars("train/total")] == [2, 4, 6]
    assert [event.step for event in scalars.Scalars("validation/motion_f1")] == [3, 6]


def test_ctrl_c_in_one_stops_both_after_the_step_and_the_rest_is_the_same_to_the_bit(
    found: list[dict[str, Any]], folder: Path
) -> None:
    zero, one = (ranks["trainings"] for ranks in found)
    assert zero["stopped"].startswith("Interrupted: interrupted at step 3 of 6")
    assert one["stopped"].startswith("Interrupted: interrupted at step 3 of 6")
    assert f"resuming {folder / 'stopped' / 'run'} at step 3 of 6" in zero["resumed"]
    whole, resumed = (checkpoint(folder / run, 6) for run in ("whole", "stopped"))
    assert all(torch.equal(value, resumed["space"][name]) for name, value in whole["space"].items())
    assert [{*one} for one in whole["ranks"]] == [{"cpu"}, {"cpu"}]
    assert all(torch.equal(one["cpu"], whole["rng"]) for one in (*whole["ranks"], *resumed["ranks"]))


def test_a_run_goes_on_with_another_number_of_processes(found: list[dict[str, Any]], folder: Path) -> None:
    """One after two and two after one. Their random numbers end where those of two alone end."""
    said = found[0]["trainings"]["of one"]
    assert f"resuming {folder / 'of-one' / 'run'} at step 3 of 6" in said and said.startswith("returned model")
    ended = checkpoint(folder / "whole", 6)
    assert torch.equal(checkpoint(folder / "of-one", 6)["rng"], ended["rng"])

    config = write_data(folder / "again")
    run = Path(shutil.copytree(folder / "whole" / "run", folder / "of-two" / "run"))
    (run / "checkpoints" / "step-0000006.pt").unlink()
    pretrain(config, folder / "of-two" / "model", run)
    alone = checkpoint(folder / "of-two", 6)
    assert torch.equal(alone["rng"], ended["rng"]) and "ranks" not in alone
    for name, value in alone["space"].items():
        assert torch.allclose(value.float(), ended["space"][name].float(), atol=5e-3), name


def test_what_is_not_finite_in_one_stops_both(found: list[dict[str, Any]], folder: Path) -> None:
    zero, one = (ranks["trainings"] for ranks in found)
    for said in (zero, one):
        assert re.match(r"TrainingError: nll became nan after step 3\. The checkpoints in .* are from", said["nan"])
        assert re.match(r"TrainingError: z_where became nan or inf in process . of 2 after step 1\.", said["exploded"])
    assert [path.name for path in checkpoints(folder / "nan" / "run" / "checkpoints")] == [
        "step-0000002.pt",
        "step-0000003.pt",
    ]


def test_what_is_refused_is_said_by_rank_0(found: list[dict[str, Any]], folder: Path) -> None:
    zero, one = (ranks["trainings"] for ranks in found)
    assert zero["odd"].startswith("ConfigError: train.batch_size: a batch of 3 stacks cannot be shared out evenly")
    assert zero["held"].startswith(f"HeldError: {folder / 'held' / 'run'} is in use by process {os.getpid()}")
    assert all(one[kind].startswith("Told: process 0 of 2: ") for kind in ("odd", "held"))
    assert not (folder / "odd" / "run").exists()
