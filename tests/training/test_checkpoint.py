"""Checkpoints: whole, few, resumed to the bit, and refused where they do not fit."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spacetime_env.config import Config, ConfigError, Scope, differences
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.classifier_file import read_classifiers
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training.checkpoint import (
    CheckpointError,
    State,
    checkpoints,
    load_checkpoint,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from spacetime_env.training.step import make_optimizers
from tests.helpers.forged import claiming
from tests.helpers.tiny import CONFIG, MODEL, make_classifier, make_space


def state(step: int = 0, seed: int = 0, config: Config = CONFIG) -> State:
    space = make_space(seed, config.model)
    made = State(space, make_optimizers(space, config), CountMismatch(config.loss), step)
    if step:
        space.foreground.encoder.head.bias.sum().backward()
        made.optimizers[0].step()
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_of_the_state_comes_back(tmp_path: Path) -> None:
    before = state(step=7)
    before.best, before.seconds, before.mismatch.values = 0.25, 12.5, [0.5, -0.125]
    path = save_checkpoint(tmp_path / "new" / "folder", before, CONFIG, keep=2, best=False)
    assert path.name == "step-0000007.pt"
    drawn = torch.rand(3)
    after = state(seed=1)
    load_checkpoint(path, after, CONFIG)
    assert (after.step, after.best, after.seconds, after.mismatch.values) == (7, 0.25, 12.5, [0.5, -0.125])
    assert torch.equal(torch.rand(3), drawn)
    for name, value in before.space.state_dict().items():
        assert torch.equal(after.space.state_dict()[name], value), name
    head = before.space.foreground.encoder.head.bias
    moments = before.optimizers[0].state[head]
    again = after.optimizers[0].state[after.space.foreground.encoder.head.bias]
    assert moments["step"] == again["step"] == 1 and torch.equal(moments["exp_avg_sq"], again["exp_avg_sq"])
    assert moments["exp_avg_sq"].any()


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 10, 12):
        save_checkpoint(tmp_path, state(step), CONFIG, keep=2, best=step == 4)
    assert names(tmp_path) == ["best.pt", "step-0000010.pt", "step-0000012.pt"]
    assert read_checkpoint(tmp_path / "best.pt")["step"] == 4
    assert [p.name for p in checkpoints(tmp_path)] == ["step-0000010.pt", "step-0000012.pt"]


def test_classifiers_lie_beside_their_checkpoints(tmp_path: Path) -> None:
    """They are removed with them, and where a later best has none, those of the one before go too."""
    made = state()

    def classify(space: Space) -> dict[str, LinearClassifier]:
        assert space is made.space
        torch.rand(1)
        return {} if made.step == 9 else {str(made.step): make_classifier(seed=made.step)}

    made.classify = classify
    random = torch.get_rng_state()
    for made.step in (2, 4, 6):
        save_checkpoint(tmp_path, made, CONFIG, keep=2, best=made.step == 4)
    files = ["best", "step-0000004", "step-0000006"]
    assert names(tmp_path) == [f"{name}.{end}" for name in files for end in ("classifiers.safetensors", "pt")]
    for name, step in zip(files, (4, 4, 6), strict=True):
        (found,) = read_classifiers(tmp_path / f"{name}.classifiers.safetensors").items()
        assert found[0] == str(step) and (found[1].coef == make_classifier(seed=step).coef).all()
    made.step = 9
    save_checkpoint(tmp_path, made, CONFIG, keep=2, best=True)
    assert torch.equal(torch.get_rng_state(), random)  # the training goes on with those that are saved
    assert names(tmp_path) == [
        "best.pt",
        "step-0000006.classifiers.safetensors",
        "step-0000006.pt",
        "step-0000009.pt",
    ]


def test_the_last_is_the_last_by_number(tmp_path: Path) -> None:
    for step in (9_999_999, 10_000_000):
        save_checkpoint(tmp_path, state(step), CONFIG, keep=2, best=False)
    found = state()
    assert resume(tmp_path, found, CONFIG) == tmp_path / "step-10000000.pt" and found.step == 10_000_000


def test_nothing_to_resume(tmp_path: Path) -> None:
    assert resume(tmp_path / "none", state(), CONFIG) is None


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    middle = data.index(b"data/0") + 200  # in the first tensor, of whose bytes torch checks nothing
    spoiled = {
        "emptied": b"",
        "cut off": data[: len(data) // 2],
        "one byte changed": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "text": b"not a checkpoint",
    }
    path.write_bytes(spoiled[how])


@pytest.mark.parametrize("how", ["emptied", "cut off", "one byte changed", "text"])
def test_a_damaged_one_falls_back_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    for step in (3, 6):
        save_checkpoint(tmp_path, state(step), CONFIG, keep=2, best=False)
    spoil(tmp_path / "step-0000006.pt", how)
    found = state()
    assert resume(tmp_path, found, CONFIG) == tmp_path / "step-0000003.pt" and found.step == 3
    assert "step-0000006.pt is damaged" in (said := capsys.readouterr().out) and "the one before it" in said
    # It does not count among those that are kept.
    found.step = 5
    save_checkpoint(tmp_path, found, CONFIG, keep=1, best=False)
    assert resume(tmp_path, state(), CONFIG) == tmp_path / "step-0000005.pt"
    spoil(tmp_path / "step-0000005.pt", how)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read. Start anew with --restart"):
        resume(tmp_path, state(), CONFIG)


def test_something_else_in_its_place(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"step": 1}, tmp_path / "half.pt")
    torch.save({"config": [1], "space": {}}, tmp_path / "other.pt")
    for name in ("list.pt", "half.pt", "other.pt"):
        with pytest.raises(CheckpointError, match=f"{name} is damaged: it holds something else"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"cannot read .*none.pt: No such file"):
        read_checkpoint(tmp_path / "none.pt")
    path = save_checkpoint(tmp_path, state(1), CONFIG, 1, best=False)
    content = torch.load(path)
    content["space"].pop("background.image")
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"of another version of spacetime_env.*background.image"):
        load_checkpoint(path, state(), CONFIG)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(Path(__file__).parent / "made-by-pickle"),)


def test_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({"config": {}, "space": Evil()}, tmp_path / "step-0000001.pt")
    (tmp_path / "step-0000002.pt").write_bytes(pickle.dumps(Evil()))
    for path in checkpoints(tmp_path):
        with pytest.raises(CheckpointError, match="is damaged"):
            read_checkpoint(path)
    assert not (Path(__file__).parent / "made-by-pickle").exists()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(4), CONFIG, 2, best=False)
    other = replace(CONFIG, seed=3, train=replace(CONFIG.train, steps=9, learning_rate=0.5))
    with pytest.raises(ConfigError, match="was started with other settings: seed: 0 then, 3 now; ") as caught:
        resume(tmp_path, state(), other)
    assert "train.learning_rate: 0.001 then, 0.5 now; train.steps: 6 then, 9 now" in str(caught.value)
    assert "--restart" in str(caught.value)


def test_how_a_run_is_watched_may_change(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(4), CONFIG, 2, best=False)
    train = replace(CONFIG.train, eval_every=1, save_every=9, log_every=7, picture_every=5, keep=3, threads=2)
    other = replace(CONFIG, name="other", data=replace(CONFIG.data, root="there", workers=5), train=train)
    assert differences(CONFIG, other, Scope.CHECKPOINT) == []
    assert resume(tmp_path, state(), other) is not None


def test_differences_name_each_key() -> None:
    layers = replace(MODEL.encoder, layers=MODEL.encoder.layers[:2])
    other = replace(CONFIG, model=replace(MODEL, encoder=layers), scene=replace(CONFIG.scene, slots={"Ball": 2}))
    found = differences(CONFIG, other, Scope.CHECKPOINT)
    assert len(found) == 2 and found[0].startswith("model.encoder.layers: [[6, 4, 2, 1, 0],")
    assert found[1] == "scene.slots.Ball: None then, 2 now"


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(4), CONFIG, 2, best=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code = """
import resource, sys
from pathlib import Path
from typing import Any
from spacetime_env.training.checkpoint import save_checkpoint
from tests.training.test_checkpoint import CONFIG, state
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
try:
    save_checkpoint(Path(sys.argv[1]), state(5), CONFIG, 1, best=True)
except ValueError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"CheckpointError cannot save a checkpoint to {tmp_path}: ")
    assert "The last one is still there" in done.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def put(content: dict[str, Any], *keys: Any, value: Any) -> None:
    for key in keys[:-1]:
        content = content[next(iter(content)) if key is ... else key]
    content[keys[-1]] = value


NAN, ITSELF = float("nan"), [[]]
ITSELF[0] = ITSELF
SWOLLEN: list[Any] = [None] * 5000
SWOLLEN[-1] = SWOLLEN  # each look into it finds 5000 values more
DEEP: Any = {}
for _ in range(150):
    DEEP = {"x": DEEP}
WRONG: dict[str, Any] = {
    "an optimizer without state": (("optimizers", 0, "state"), None),
    "no optimizer": (("optimizers", 0), None),
    "a state of another optimizer": (("optimizers", 0, "state"), {0: {"exp_avg": torch.zeros(77)}}),
    "a state of no parameter": (("optimizers", 0, "state"), {10**6: {"exp_avg": torch.zeros(77)}}),
    "moments that are text": (("optimizers", 0, "state", ..., "exp_avg"), "x"),
    "a complex count of steps": (("optimizers", 0, "state", ..., "step"), torch.tensor(2 + 0j)),
    "a setting of another optimizer": (("optimizers", 0, "param_groups", 0, "betas"), (0.5, 0.999)),
    "parameters that are a tensor": (("optimizers", 0, "param_groups", 0, "params", 3), torch.zeros(2, 3)),
    "moments that are NaN": (("optimizers", 0, "state"), {0: {"step": torch.tensor(NAN)}}),
    "a learning rate that is text": (("optimizers", 0, "param_groups", 0, "lr"), "x"),
    "a learning rate that is NaN": (("optimizers", 0, "param_groups", 0, "lr"), NAN),
    "a step that is text": (("step",), "x"),
    "a negative step": (("step",), -1),
    "a step that is huge": (("step",), 10**30),
    "a best that is NaN": (("best",), NAN),
    "a best that no float holds": (("best",), 10**400),
    "seconds that are text": (("seconds",), "long"),
    "a mismatch that is NaN": (("mismatch",), [NAN]),
    "a mismatch that is text": (("mismatch",), ["x"]),
    "numbers drawn from nothing": (("rng",), torch.zeros(3, dtype=torch.uint8)),
    "weights that are NaN": (("space", "foreground.encoder.head.bias"), None),
    "a config that has itself": (("config", "train"), {"steps": ITSELF}),
    "a config that swells": (("config", "train"), {"steps": SWOLLEN}),
    "a config of 150 levels": (("config", "train"), DEEP),
    "a config whose key no text holds": (("config", "train"), {10**5000: 1}),
    "a config that is a list": (("config",), [1]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_value_changes_nothing_and_the_checkpoint_before_is_taken(tmp_path: Path, kind: str) -> None:
    save_checkpoint(tmp_path, state(step=3), CONFIG, keep=2, best=False)
    last = save_checkpoint(tmp_path, state(step=7, seed=2), CONFIG, keep=2, best=False)
    content = torch.load(last, weights_only=True)
    keys, value = WRONG[kind]
    if keys[0] == "space":
        value = torch.full_like(content["space"][keys[1]], NAN)
    put(content, *keys, value=value)
    torch.save(content, last)
    asked, random = state(seed=1), torch.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in asked.space.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"step-0000007.pt is damaged"):
        load_checkpoint(last, asked, CONFIG)
    assert torch.equal(torch.get_rng_state(), random) and not asked.optimizers[0].state and asked.step == 0
    for name, tensor in asked.space.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert resume(tmp_path, asked, CONFIG) == tmp_path / "step-0000003.pt" and asked.step == 3


def test_a_long_name_in_its_config_is_cut(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, state(step=3), CONFIG, keep=2, best=False)
    content = torch.load(path, weights_only=True)
    content["config"] |= {f"{i}{'x' * 100_000}": "y" * 100_000 for i in range(9)}
    torch.save(content, path)
    with pytest.raises(ConfigError, match="was started with other settings: 0xxx") as caught:
        load_checkpoint(path, state(), CONFIG)
    assert len(str(caught.value)) < 1500


def test_a_checkpoint_whose_tensor_claims_gigabytes(tmp_path: Path) -> None:
    """torch reads the form of before 2020 where a file begins with it, and makes as large a tensor as it says."""
    path = save_checkpoint(tmp_path, state(step=3), CONFIG, keep=2, best=False)
    path.write_bytes(claiming(6, 2**31 - 1, "space") + path.read_bytes())
    found = state()
    load_checkpoint(path, found, CONFIG)
    assert found.step == 3


def test_a_checkpoint_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, state(step=3), CONFIG, keep=2, best=False)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/bomb", bytes(50_000_000))
    with pytest.raises(CheckpointError, match="bytes when unpacked; expected at most"):
        read_checkpoint(path)


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "directory"])
def test_a_checkpoint_that_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "step-0000003.pt"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(kind)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read"):
        resume(tmp_path, state(), CONFIG)
