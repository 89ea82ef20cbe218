"""Weights that a training starts with: from each kind of file, what fits is taken, and the rest is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.fuzz.seed_published import upstream_state
from spacetime_env.commands.pretrain import main
from spacetime_env.config import Config, ConfigError, ModelConfig, to_dict
from spacetime_env.models.settings import read_settings
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space
from spacetime_env.training.checkpoint import CheckpointError, read_checkpoint, save_checkpoint
from spacetime_env.training.examples import JointExamples
from spacetime_env.training.pretrain import pretrain, start
from spacetime_env.training.start import Source, read_source, take
from tests.helpers.tiny import CONFIG, MODEL, make_space, write_data, write_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """``best.pt`` of a run in ``run``, with the weights of ``make_space(1)``, and a later one with others."""
    folder = tmp_path / "run" / "checkpoints"
    for step, seed in ((2, 1), (4, 2)):
        state = start(CONFIG, JointExamples([], False))
        state.space.load_state_dict(make_space(seed).state_dict())
        state.step = step
        save_checkpoint(folder, state, CONFIG, keep=2, best=step == 2)
    return folder / "best.pt"


def the_same(space: Space, other: Space, but: tuple[str, ...] = ()) -> bool:
    own, its = space.state_dict(), other.state_dict()
    return all(torch.equal(own[name], its[name]) is (name not in but) for name in own)


@pytest.mark.parametrize("way", ["best.pt", "run", "run/checkpoints", "run/checkpoints/step-0000004.pt", "model"])
def test_each_kind_is_read(way: str, checkpoint: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    path = checkpoint if way == "best.pt" else tmp_path / way
    space, seed = make_space(5), {"model": 0, "run/checkpoints/step-0000004.pt": 2}.get(way, 1)
    space.background.image.fill_(0.5)  # type: ignore[operator, union-attr]
    said = take(read_source(path), space)
    count = len(space.state_dict())
    title = f"path/to/{'model' if way == 'model' else path.name if path.suffix else 'best.pt'}"
    assert re.fullmatch(
        rf"Started with the weights in {title} \(SHA-256 [0-9a-f]{{12}}\): {count - 1} of {count} tensors were taken; "
        r"not taken: background\.image \(that of the data is used\)(; \d of its tensors have no place here)?\.",
        said,
    ), said
    assert the_same(space, make_space(seed), but=("background.image",))


def test_a_checkpoint_of_the_published_code(tmp_path: Path) -> None:
    state = upstream_state()
    torch.save({"model": state}, tmp_path / "x.pth")
    source = read_source(tmp_path / "x.pth")
    bgr = Space(replace(ModelConfig(), color_order="bgr"))
    count = len(bgr.state_dict())
    assert f": {count} of {count} tensors were taken." in take(source, bgr)
    first = state["fg_module.img_encoder.enc.0.weight"]
    assert torch.equal(bgr.foreground.encoder.layers[0].weight, first)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"in the order bgr.*has rgb: set model.color_order=bgr"):
        take(source, Space(ModelConfig()))


def test_what_does_not_fit_is_left_and_said() -> None:
    given = make_space(1).state_dict()
    other = replace(MODEL, z_what_dim=4)
    space, before = make_space(5, other), make_space(5, other)
    given["foreground.encoder.layers.0.weight"] = given["foreground.encoder.layers.0.weight"].double()
    del given["foreground.encoder.layers.1.bias"]
    said = take(Source("x", {**given, "more": torch.zeros(1)}, "rgb"), space)
    assert "foreground.encoder.layers.0.weight (torch.float64 there)" in said
    assert "foreground.encoder.layers.1.bias (missing there)" in said
    assert "foreground.glimpse_encoder.head.weight ((6, 32) there and (8, 32) here)" in said
    assert said.endswith("; 1 of its tensors have no place here.") and "\n" not in said
    changed = [n for n, value in space.state_dict().items() if not torch.equal(value, before.state_dict()[n])]
    assert "foreground.encoder.layers.3.weight" in changed and not {*changed} & {
        "foreground.encoder.layers.0.weight",
        "foreground.encoder.layers.1.bias",
        "foreground.glimpse_encoder.head.weight",
        "background.image",
    }


def test_nothing_is_taken_of_what_is_wrong(tmp_path: Path, checkpoint: Path) -> None:
    space, given = make_space(5), make_space(1).state_dict()
    given["foreground.encoder.head.bias"][0] = float("inf")
    with pytest.raises(ConfigError, match=r"foreground\.encoder\.head\.bias in x has a number that is NaN or infinite"):
        take(Source("x", given, "rgb"), space)
    huge = {name: torch.zeros(1).expand(2**40) for name in given}
    with pytest.raises(ConfigError, match=r"no tensor in x fits .*\(1099511627776,\) there"):
        take(Source("x", huge, "rgb"), space)
    with pytest.raises(ConfigError, match="no tensor in x fits"):
        take(Source("x", {"a": 3, "background.image": [1]}, "rgb"), space)
    assert the_same(space, make_space(5))
    with pytest.raises(ConfigError, match=r"train\.start \(--from\): expected a model, a checkpoint .*no model"):
        read_source("nobody")
    with pytest.raises(ConfigError, match=r"expected a model, .*is no model folder"):
        read_source(tmp_path)
    for name, error in (("no.pt", CheckpointError), ("no.pth", ValueError)):
        with pytest.raises(error, match=rf"{name}: No such file|no checkpoint file .*{name}"):
            read_source(tmp_path / name)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-99])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_source(checkpoint)
    write_model(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        read_source(tmp_path / "model")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return write_data(tmp_path_factory.mktemp("data"))


def test_a_run_starts_with_them_at_step_0_and_says_so(
    data: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In run.yaml, config.yaml, model.yaml, the card and each checkpoint; it is resumed without the weights."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "first")
    config = replace(data, train=replace(data.train, steps=4, save_every=1, keep=9))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(to_dict(config)))
    words = ["--config", "c.yaml", "--from", "./first", "--out", "model", "--run", "run"]
    assert main(words) == 0
    # Said when it starts, and in the card, which is printed.
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Started with the weights in")]
    said = lines[0]
    assert len(lines) == 2 and lines[1] == said
    assert said.startswith("Started with the weights in first (SHA-256 ")
    assert said in (tmp_path / "model" / "CARD.md").read_text()
    assert read_settings(tmp_path / "model").trained["start"] == said
    run = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert run["start"] == said and run["config"]["train"]["start"] == "./first"
    assert yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())["train"]["start"] == "./first"
    step = tmp_path / "run" / "checkpoints" / "step-0000001.pt"
    assert read_checkpoint(step)["start"] == said
    one_step = read_checkpoint(step)["space"]["foreground.encoder.head.bias"]
    assert 0 < (one_step - make_space(0).foreground.encoder.head.bias).abs().max() <= 1.01e-3  # one step of Adam's

    whole = (tmp_path / "model" / "model.safetensors").read_bytes()
    for path in (tmp_path / "run" / "checkpoints").glob("*.pt"):
        if path.name not in ("step-0000001.pt", "step-0000002.pt"):
            path.unlink()
    (tmp_path / "first" / "model.yaml").unlink()  # they are not needed any more
    assert main(words) == 0
    assert "resuming run at step 2 of 4" in capsys.readouterr().out
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == whole
    assert said in (tmp_path / "model" / "CARD.md").read_text()
    assert main([*words[:2], "--from", "other", *words[4:]]) == 1
    assert "train.start: './first' then, 'other' now" in capsys.readouterr().err


def test_nothing_is_recorded_where_there_are_no_such_weights(tmp_path: Path) -> None:
    config = replace(
        CONFIG, data=replace(CONFIG.data, root=str(tmp_path / "data")), train=replace(CONFIG.train, start="nobody")
    )
    with pytest.raises(ConfigError, match=r"train\.start"):
        pretrain(config, tmp_path / "model", tmp_path / "run")
    assert not (tmp_path / "data").exists()
