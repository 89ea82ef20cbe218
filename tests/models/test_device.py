"""Models on other devices than the CPU. ``meta`` stands for one: it has no numbers, and refuses to mix with the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spacetime_env import load_model
from spacetime_env.config import ModelConfig
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.models.watcher import Watcher
from spacetime_env.space.device import DeviceError
from tests.helpers.tiny import CONFIG, MODEL, NATIVE, make_classifier, make_frames, make_space, write_model

MAP = replace(MODEL, z_what_from="map")
GROUPS = replace(MAP.encoder, norm="group", layers=((6, 4, 2, 1, 2), (8, 4, 2, 1, 2), (10, 4, 2, 1, 2)))
CONFIGS = (MAP, replace(MAP, encoder=replace(MAP.encoder, input="both")), replace(MAP, encoder=GROUPS))


def on_meta(config: ModelConfig) -> Model:
    settings = Settings("Pong", NATIVE, ("Player", "Ball"), config, CONFIG.scene, "", "")
    return Model(make_space(0, config).to("meta"), make_classifier(), settings)


@pytest.mark.parametrize("config", CONFIGS)
def test_all_of_a_network_is_on_its_device(config: ModelConfig) -> None:
    """The folded encoder too, and what is made while it runs."""
    model = on_meta(config)
    assert model.device.type == "meta"
    frames = model.tensor(make_frames(2))
    assert frames.device.type == "meta" and frames.shape == (2, 3, 38, 32)
    network = model._fused.foreground
    with torch.no_grad():
        found = network.encoder(frames, model._fused.image)
    assert found.shape[:2] == (2, 16) and found.device.type == "meta"
    assert {one.device.type for one in model._fused.state_dict().values()} == {"meta"}


def test_what_is_made_for_the_cpu_is_not_used_elsewhere() -> None:
    fits = replace(MAP, frame_size=(32, 32), encoder=replace(MAP.encoder, layers=((6, 8, 8, 0, 0),)))
    settings = Settings("Pong", (32, 32), ("Player", "Ball"), fits, CONFIG.scene, "", "")
    space = make_space(0, fits)
    here, there = (Model(one, make_classifier(), settings) for one in (space, make_space(0, fits).to("meta")))
    assert here.begin(1) is not None and here.sees_screens
    assert there.begin(1) is None and not there.sees_screens
    asked: list[Any] = []
    there.detect = lambda frames: asked.append(frames) or []  # type: ignore[method-assign, func-returns-value]
    Watcher(1).detect(there, [make_frames(1)[0]], [0])
    assert len(asked) == 1  # a watcher then asks for the whole frame


def test_a_device_may_be_asked_for(tmp_path: Path) -> None:
    folder, frames = write_model(tmp_path / "model"), make_frames(2)
    plain, asked = load_model(folder), load_model(folder, device="cpu")
    assert plain.device == asked.device == torch.device("cpu") and asked.to("cpu") is asked
    for one, other in zip(plain.detect(frames), asked.detect(frames), strict=True):
        assert np.array_equal(one.z_where, other.z_where) and np.array_equal(one.z_what, other.z_what)
    for name in ("gpu", "meta", 3, None):
        with pytest.raises(DeviceError):
            load_model(folder, device=name)  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="'gpu' cannot be used"):
        plain.to("gpu")


def test_a_model_that_is_moved_is_another_one() -> None:
    """It comes back as it was, and what was given stays where it is."""
    settings = Settings("Pong", NATIVE, ("Player", "Ball"), MODEL, CONFIG.scene, "", "")
    there = on_meta(MODEL)
    plain = Model(make_space(), make_classifier(), settings)
    there.space.load_state_dict({name: value.to("meta") for name, value in plain.space.state_dict().items()})
    with pytest.raises(NotImplementedError, match="meta"):  # it has no numbers that could be moved
        there.to("cpu")
    assert there.device.type == "meta" and plain.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    plain, moved = load_model("pong"), load_model("pong", device="cuda")
    frames = np.random.default_rng(0).integers(0, 256, (3, 210, 160, 3), np.uint8)
    for one, other in zip(plain.detect(frames), moved.detect(frames), strict=True):
        assert np.allclose(one.z_where, other.z_where, atol=1e-3)
    assert moved.to("cpu").device == torch.device("cpu")
