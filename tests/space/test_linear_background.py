"""The background that a CPU can train: masks, and colours that change linearly and cannot paint objects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from spacetime_env.config import BackgroundConfig, ConfigError
from spacetime_env.space import Space
from spacetime_env.space.linear_background import LinearBackground, enlarging, shrink
from tests.space.test_losses import TINY

SMALL = BackgroundConfig("linear", 3, 5, 4, 3, 6, input_size=16, mask_size=8)
CONFIG = replace(TINY, frame_size=(32, 48), background=SMALL)


def background(**changes: object) -> LinearBackground:
    torch.manual_seed(0)
    return LinearBackground(replace(CONFIG, background=replace(SMALL, **changes)))


def test_shapes_and_what_adds_up() -> None:
    net = background().eval()
    found = net(torch.rand(2, 3, 32, 48))
    assert found.image.shape == (2, 3, 32, 48) and found.masks.shape == (2, 3, 1, 32, 48)
    assert found.components.shape == (2, 3, 3, 32, 48) and found.kl.shape == (2,) and (found.kl > 0).all()
    assert torch.allclose(found.masks.sum(dim=1), torch.ones(2, 1, 32, 48), atol=1e-6)
    assert torch.allclose(found.image, (found.components * found.masks).sum(dim=1))


def test_a_component_is_linear_before_its_sigmoid() -> None:
    found = background().eval()(torch.rand(1, 3, 32, 48))
    plane = torch.logit(found.components)
    for axis in (3, 4):
        steps = plane.diff(dim=axis)
        assert torch.allclose(steps, steps.mean(dim=axis, keepdim=True), atol=1e-4)
    assert plane.diff(dim=3).abs().max() > 1e-4 and plane.diff(dim=4).abs().max() > 1e-4
    assert not torch.allclose(plane.diff(dim=3).mean(), plane.diff(dim=4).mean(), atol=1e-6)


def test_it_samples_in_training_only_and_every_weight_learns() -> None:
    net = background().train()
    frames = torch.rand(4, 3, 32, 48)
    found = net(frames, sample=True)
    assert not torch.equal(found.image, net(frames, sample=True).image)
    assert torch.equal(net.eval()(frames).image, net(frames).image)
    ((found.image - frames).square().sum() + found.kl.sum()).backward()
    still = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert still == []


def test_frames_of_a_stack_may_share_it() -> None:
    net = background(share=2).eval()
    frames = torch.rand(4, 3, 32, 48)
    found = net(frames, sample=True)
    assert torch.equal(found.masks[0], found.masks[1]) and not torch.equal(found.masks[1], found.masks[2])


def test_shrinking_is_the_mean_of_what_falls_together() -> None:
    image = torch.arange(24.0).view(1, 1, 4, 6)
    assert shrink(image, 2).flatten().tolist() == [4.0, 7.0, 16.0, 19.0]
    assert shrink(torch.ones(1, 1, 5, 7), 3).flatten().tolist() == [1.0] * 9  # also where sides do not divide


def test_masks_are_enlarged_as_torch_enlarges() -> None:
    image = torch.rand(2, 1, 8, 8)
    ours = enlarging(8, 32).T @ image @ enlarging(8, 48)
    assert torch.allclose(ours, F.interpolate(image, (32, 48), mode="bilinear", align_corners=False), atol=1e-6)
    ours = enlarging(8, 5).T @ image @ enlarging(8, 48)  # a mask may be finer than the frame
    assert torch.allclose(ours, F.interpolate(image, (5, 48), mode="bilinear", align_corners=False), atol=1e-6)


def test_it_learns_two_halves() -> None:
    """A picture of a dark and a bright half, in which none of the published decoders is needed."""
    torch.manual_seed(0)
    frames = torch.full((2, 3, 32, 48), 0.2)
    frames[:, :, :, 24:] = 0.8
    net, losses = background(components=2).train(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
    for _ in range(20):
        found = net(frames, sample=True)
        loss = (found.image - frames).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"components": 1}, r"components: expected 2 or more; for one image, kind: fixed"),
        ({"input_size": 24}, r"input_size: expected a multiple of 16, got 24"),
        ({"input_size": 48}, r"input_size: expected at most the sides of the frame, \(32, 48\), got 48"),
        ({"mask_size": 12}, r"mask_size: expected a power of two, got 12"),
    ],
)
def test_sizes_that_do_not_fit(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        background(**changes)


def test_it_is_the_background_of_a_network() -> None:
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, layers=((4, (4, 6), (8, 12), 0, 2),)))
    space = Space(config)
    assert isinstance(space.background, LinearBackground) and space.image is None
    assert space(torch.rand(2, 3, 32, 48), sample=True).image.shape == (2, 3, 32, 48)
