"""Loss terms against values worked out by hand, and what each variant does to the gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from spacetime_env.config import (
    BackgroundConfig,
    EncoderConfig,
    GlimpseConfig,
    LossConfig,
    ModelConfig,
    Schedule,
)
from spacetime_env.space import CountMismatch, Hints, Space, Targets, losses, objective
from spacetime_env.space.background import BackgroundOutput
from tests.helpers.latents import latents_of

VARIANTS = ("space", "space+motion", "space+motion+continuity")
TINY = ModelConfig(
    frame_size=(16, 16),
    grid=4,
    z_what_dim=3,
    encoder=EncoderConfig(layers=((4, 4, 2, 1, 2), (6, 4, 2, 1, 2)), lateral=False),
    glimpse=GlimpseConfig(size=4, encoder=((5, 4, 1, 0, 0),), decoder=((6, 0), (5, 0), (4, 0)), refine=False),
    background=BackgroundConfig(kind="fixed"),
)


def test_schedule_by_hand():
    schedule = Schedule(2.0, 4.0, 0.25, 0.75)
    assert [schedule.at(p) for p in (0, 0.25, 0.5, 0.625, 0.75, 1)] == [2, 2, 3, 3.5, 4, 4]
    assert Schedule(1.0, 0.0, 0.5, 0.5).at(0.6) == 0.0


def test_kl_normal_by_hand():
    mean, std = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]]), torch.tensor([[[1.0, 2.0]], [[1.0, 1.0]]])
    # Against N(0, 1): 0.5 for the mean of 1; 0.5 * (4 - 1 - ln 4) for the deviation of 2; mean over two frames.
    assert losses.kl_normal(mean, std, 2).item() == pytest.approx((0.5 + 0.5 * (3 - math.log(4))) / 2)
    torch_kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(-3.0, 0.5)
    ).sum()
    assert losses.kl_normal(mean, std, 2, -3.0, 0.5).item() == pytest.approx(torch_kl.item() / 2)


def test_kl_z_pres_by_hand():
    logit = torch.tensor([[[0.0], [math.log(3)]]])  # probabilities 1/2 and 3/4
    expected = math.log(0.5 / 0.1) / 2 + math.log(0.5 / 0.9) / 2
    expected += 0.75 * math.log(0.75 / 0.1) + 0.25 * math.log(0.25 / 0.9)
    assert losses.kl_z_pres(logit, 0.1).item() == pytest.approx(expected, rel=1e-5)


def test_motion_losses_by_hand():
    pres = torch.tensor([[[0.9], [0.2], [0.8]], [[0.1], [0.1], [0.1]]])
    target = torch.tensor([[[1.0], [0.0], [0.0]], [[0.0], [1.0], [0.0]]])
    assert losses.motion_z_pres(pres, target).item() == pytest.approx(
        (0.01 + 0.04 + 0.64 + 0.01 + 0.81 + 0.01) / 2
    )
    where = torch.zeros(2, 3, 4)
    where[0, 0] = torch.tensor([0.2, 0.1, 0.5, 0.5])
    where[0, 2] = torch.tensor([0.3, 0.0, 0.0, 0.0])
    wanted = torch.zeros(2, 3, 4)
    wanted[0, 0] = torch.tensor([0.1, 0.1, 0.5, 0.3])
    wanted[1, 1] = torch.tensor([0.2, 0.4, 0.0, 0.0])
    # Cell (0, 0) is hinted and predicted: twice 0.01 + 0.04. (0, 2) is predicted alone. (1, 1) is hinted alone.
    expected = 2 * (0.01 + 0.04) + 0.09 + (0.04 + 0.16)
    assert losses.motion_z_where(where, pres, wanted, target).item() == pytest.approx(expected / 2)
    # Relative: w is 1 box off, y is 0.2 / (2 * 0.1) = 1 box off; (1, 1): w and h are 1 box off. Smooth L1, beta 0.1.
    each = 1 - 0.05
    assert losses.motion_z_where_relative(where, wanted, target).item() == pytest.approx(4 * each / 2)


def test_relative_loss_weighs_small_boxes_more():
    wanted = torch.tensor([[[0.02, 0.02, 0.0, 0.0], [0.4, 0.4, 0.0, 0.0]]])
    seen, there = wanted + torch.tensor([0.0, 0.0, 0.02, 0.0]), torch.ones(1, 2, 1)
    small, large = (
        losses.motion_z_where_relative(seen[:, i : i + 1], wanted[:, i : i + 1], there[:, i : i + 1]).item()
        for i in range(2)
    )
    assert small > 100 * large > 0


def continuity_case(next_cells: dict[int, list[float]], wrap: bool = False, first: int = 5) -> float:
    """One object in cell ``first`` of a 4 x 4 grid at t=0, with z_what (1, 0); others one frame later."""
    z_pres, z_what = torch.full((2, 16, 1), 0.01), torch.zeros(2, 16, 2)
    z_where = torch.zeros(2, 16, 4)
    for cell in range(16):
        z_where[:, cell, 2:] = torch.tensor([cell % 4, cell // 4]) / 2.0 - 0.75
    z_pres[0, first], z_what[0, first] = 0.99, torch.tensor([1.0, 0.0])
    for cell, code in next_cells.items():
        z_pres[1, cell], z_what[1, cell] = 0.99, torch.tensor(code)
    latents = latents_of(z_where, z_pres, z_what)
    return losses.object_continuity(latents, 2, 4, match_weight=5.0, wrap=wrap).item() * 2


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({5: [2.0, 0.0]}, 1 - 5),  # the same object in the same cell
        ({6: [0.0, 1.0]}, 0.0),  # another object near by
        ({10: [3.0, 4.0]}, 0.6 - 5 * 0.6),  # a diagonal neighbour counts
        ({7: [1.0, 0.0]}, 0.0),  # two cells away does not
        ({5: [1.0, 0.0], 6: [0.0, 1.0]}, 1 + 0 - 5),  # the nearest is the most alike
        ({5: [0.0, 1.0], 6: [1.0, 0.0]}, 0.0),  # it is not: left out
    ],
)
def test_continuity_by_hand(cells, expected):
    assert continuity_case(cells) == pytest.approx(expected, abs=1e-6)


def test_continuity_where_nothing_is_present_teaches_nothing():
    z_what = torch.ones(2, 16, 2, requires_grad=True)
    latents = latents_of(torch.zeros(2, 16, 4), torch.full((2, 16, 1), 0.1), z_what)
    loss = losses.object_continuity(latents, 2, 4, match_weight=5.0, wrap=False)
    loss.backward()
    assert loss.item() == 0 and not z_what.grad.any()


def test_continuity_ends_at_the_edge_unless_it_wraps():
    """Cell 4 is the left edge of row 1; cell 7 the right one."""
    assert continuity_case({7: [1.0, 0.0]}, first=4) == 0.0
    assert continuity_case({7: [1.0, 0.0]}, wrap=True, first=4) == pytest.approx(-4.0)


def test_count_mismatch_where_nothing_moves():
    mismatch = CountMismatch(LossConfig())
    nothing = Targets(torch.zeros(2, 3, 1), torch.zeros(2, 3, 4), torch.zeros(2, 1, 4, 5), 2)
    assert mismatch.update(latents_of(torch.zeros(2, 3, 4), torch.full((2, 3, 1), 0.9)), nothing) == 1000.0
    assert mismatch.values == []


def batch(seed: int = 0):
    """Two stacks of three 16 x 16 frames, with one moving object each."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(6, 3, 16, 16, generator=generator)
    z_pres, z_where = torch.zeros(6, 16, 1), torch.zeros(6, 16, 4)
    z_pres[:, 5] = 1
    z_where[:, 5] = torch.tensor([0.3, 0.2, -0.25, -0.2])
    return frames, Targets(z_pres, z_where, torch.rand(6, 1, 16, 16, generator=generator), length=3)


def gradients(variant: str, config: LossConfig) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    torch.manual_seed(0)
    space = Space(replace(TINY, variant=variant))
    with torch.no_grad():
        space.foreground.encoder.head.bias[8] = (
            1.0  # every cell present, so that all terms have something to do
        )
    frames, targets = batch()
    output = space(frames, Hints(targets.z_pres, targets.z_where, targets.mask, 0.2))
    result = objective(
        frames,
        output.foreground,
        output.background,
        targets,
        space.config,
        config,
        0.5,
        CountMismatch(config),
    )
    result.total.backward()
    grads = {name: p.grad.clone() for name, p in space.named_parameters()}
    return grads, {k: v.item() for k, v in result.terms.items()}


def test_variants_differ_in_terms_and_gradients():
    """The switch is not inert: each variant has its own terms, and each further term moves the weights it should."""
    config = LossConfig(motion=Schedule(0.5, 0.5), dynamic_scheduling=False)
    (space, terms0), (motion, terms1), (full, terms2) = (gradients(v, config) for v in VARIANTS)
    elbo = {"nll", "kl_z_what", "kl_z_pres", "kl_z_scale", "kl_z_shift", "kl_z_depth", "kl_background"}
    assert set(terms0) == elbo
    assert set(terms1) == elbo | {"motion_z_pres", "motion_z_where", "motion_alpha"}
    assert set(terms2) == set(terms1) | {"continuity"}
    head, what = "foreground.encoder.head.weight", "foreground.glimpse_encoder.head.weight"
    assert not torch.allclose(space[head][:10], motion[head][:10])  # motion teaches place and presence
    assert torch.allclose(motion[head][8], full[head][8], rtol=1e-4)  # continuity does not touch presence
    assert not torch.allclose(motion[what], full[what])  # it teaches z_what


def test_continuity_weight_is_the_only_difference_of_the_full_variant():
    config = LossConfig(motion=Schedule(0.5, 0.5), dynamic_scheduling=False, continuity=0.0)
    motion, full = (gradients(v, config)[0] for v in VARIANTS[1:])
    assert all(torch.equal(motion[name], full[name]) for name in motion)


def test_motion_variants_ask_for_targets():
    space, (frames, _) = Space(TINY), batch()
    output = space(frames)
    with pytest.raises(ValueError, match="learns from motion: pass targets"):
        objective(
            frames,
            output.foreground,
            output.background,
            None,
            TINY,
            LossConfig(),
            0.0,
            CountMismatch(LossConfig()),
        )


def test_terms_are_means_over_frames():
    """Twice the same frames: the same losses."""
    config = LossConfig(motion=Schedule(0.5, 0.5), dynamic_scheduling=False)
    space, (frames, targets) = Space(TINY), batch()
    values = []
    for times in (1, 2):
        x, t = (v.repeat(times, *[1] * (v.dim() - 1)) for v in (frames, targets.z_pres))
        many = Targets(t, targets.z_where.repeat(times, 1, 1), targets.mask.repeat(times, 1, 1, 1), 3)
        output = space(x, Hints(many.z_pres, many.z_where, many.mask, 0.2))
        result = objective(
            x, output.foreground, output.background, many, TINY, config, 0.5, CountMismatch(config)
        )
        values.append(np.array([v.item() for v in result.terms.values()]))
    assert np.allclose(values[0], values[1], rtol=1e-4)


def test_fixed_background_likelihood_is_complete_where_objects_are():
    """Leaving out untouched pixels changes the value by a constant, not the gradient."""
    space, (frames, _) = Space(replace(TINY, max_objects=2)), batch()
    grads = []
    for full in (False, True):
        space.zero_grad()
        output = space(frames)
        background = output.background
        if full:  # two equal components with equal masks are the same background, and take the full path
            half = torch.full_like(background.masks, 0.5)
            background = background._replace(
                components=background.components.repeat(1, 2, 1, 1, 1), masks=torch.cat((half, half), dim=1)
            )
        losses.negative_log_likelihood(frames, output.foreground, background, 0.2, 0.1).backward()
        grads.append(space.foreground.glimpse_decoder.head.weight.grad.clone())
    assert grads[0].abs().max() > 0
    assert torch.allclose(*grads, rtol=1e-3, atol=1e-3 * grads[0].abs().max().item())


def test_z_what_map_by_hand_and_the_glimpses_teach():
    """Two of six cells are encoded: ((1 - 3)^2 + (2 - 2)^2 + (0 - 1)^2 + (5 - 1)^2) / 2 frames."""
    said = torch.zeros(2, 3, 2)
    said[0, 2], said[1, 0] = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0])
    said[1, 1] = 99.0  # not encoded
    said.requires_grad_()
    seen = torch.tensor([[3.0, 2.0], [1.0, 1.0]], requires_grad=True)
    latents = replace(
        latents_of(torch.zeros(2, 3, 4), torch.zeros(2, 3, 1) + 0.5),
        frame=torch.tensor([0, 1]),
        cell=torch.tensor([2, 0]),
        z_what_mean=seen,
        z_what_map=said,
    )
    loss = losses.z_what_map(latents)
    assert loss.item() == pytest.approx((4 + 0 + 1 + 16) / 2)
    loss.backward()
    assert seen.grad is None and said.grad[1, 0].tolist() == [-1.0, 4.0] and not said.grad[1, 1].any()


def test_boundary_by_hand():
    alpha = torch.tensor([0.5, 0.0, 1.0, 0.2]).view(2, 1, 1, 2)
    border = torch.tensor([1.4, 3.0, 0.7, 0.0]).view(2, 1, 1, 2)
    # overlaps 0.7, 0, 0.7, 0: two times half of one, over two frames
    assert losses.boundary(alpha, border).item() == pytest.approx(0.5)


def test_background_nll_by_hand():
    """Two components: log of the weighted densities, at a pixel of three channels."""
    frames = torch.tensor([0.5, 0.5, 0.25]).view(1, 3, 1, 1)
    components = torch.tensor([[0.5, 0.5, 0.25], [0.25, 0.75, 0.25]]).view(1, 2, 3, 1, 1)
    masks = torch.tensor([0.75, 0.25]).view(1, 2, 1, 1, 1)
    scene = BackgroundOutput((components * masks).sum(1), components, masks, torch.zeros(1))
    unit = 1 / (0.5 * math.sqrt(2 * math.pi))
    apart = math.exp(-0.5 * (0.25 / 0.5) ** 2)
    first = unit * (0.75 + 0.25 * apart)
    expected = -(2 * math.log(first) + math.log(unit))
    assert losses.background_nll(frames, scene, 0.5).item() == pytest.approx(expected, rel=1e-4)
