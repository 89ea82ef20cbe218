"""A model and the network that it was made of."""

from __future__ import annotations

from typing import Any

import ale_py
import numpy as np
import pytest
import torch

from spacetime_env.config import SceneConfig
from spacetime_env.models.folder import load_model
from spacetime_env.models.model import Model
from spacetime_env.models.screens import Screen
from spacetime_env.models.settings import Settings
from spacetime_env.space import Space
from tests.helpers.tiny import make_classifier, make_frames, make_space


def state_of(space: Space) -> dict[str, Any]:
    """All of a network that a caller could miss: modes, gradients' flags, and values, buffers among them."""
    modes = {name: module.training for name, module in space.named_modules()}
    flags = {name: one.requires_grad for name, one in space.named_parameters()}
    tensors = {name: one.detach().clone() for name, one in [*space.named_parameters(), *space.named_buffers()]}
    return {"modes": modes, "flags": flags, "tensors": tensors, "screen_height": space.screen_height}


def require_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert {key: one[key] for key in one if key != "tensors"} == {key: other[key] for key in other if key != "tensors"}
    assert one["tensors"].keys() == other["tensors"].keys()
    for name, value in one["tensors"].items():
        assert torch.equal(value, other["tensors"][name]), name


@pytest.mark.parametrize("training", [True, False])
def test_the_network_that_is_given_stays_as_it_is(training: bool) -> None:
    """Also while it is in training, when a pass through its BatchNorm would change running statistics."""
    shipped = load_model("pong")
    space = Space(shipped.config).train(training)
    space.load_state_dict(shipped.space.state_dict())
    space.background.requires_grad_(False)
    for i, parameter in enumerate(space.parameters()):
        parameter.requires_grad_(i % 2 == 0)
    before = state_of(space)
    assert set(before["modes"].values()) == {training} and set(before["flags"].values()) == {True, False}

    model = Model(space, shipped.classifier, shipped.settings)
    env: Any = ale_py.AtariEnv("pong", frameskip=4)
    frames = [env.reset(seed=3)[0], *(env.step(2)[0] for _ in range(40))]
    found = model.detect(frames)
    assert sum(map(len, found)) > 40
    memory = model.begin(1)
    assert memory is not None
    for frame in frames[-2:]:
        model.follow([frame], [0], memory)
    model.follow([Screen(env.ale.getScreen())], [0], memory)
    model.detect(np.random.default_rng(0).integers(0, 256, (1, 210, 160, 3), np.uint8))  # by the whole network
    model.reconstruct(frames[-1])
    model.with_classifier(shipped.classifier).detect(frames[-1])
    require_same_state(before, state_of(space))
    for one, other in zip(found, shipped.detect(frames), strict=True):
        assert np.array_equal(one.z_where, other.z_where) and np.array_equal(one.z_what, other.z_what)


def test_what_happens_to_the_network_later_does_not_change_the_model() -> None:
    space = make_space()
    settings = Settings("Pong", (44, 36), ("Player", "Ball"), space.config, SceneConfig(threshold=0.4), "", "")
    model, frames = Model(space, make_classifier(), settings), make_frames(2)
    found, drawn = model.detect(frames), model.reconstruct(frames)
    with torch.no_grad():
        for parameter in space.parameters():
            parameter.zero_()
    again = model.detect(frames)
    assert sum(map(len, found)) and all(np.array_equal(a.boxes, b.boxes) for a, b in zip(found, again, strict=True))
    assert all(np.array_equal(picture, drawn[name]) for name, picture in model.reconstruct(frames).items())
