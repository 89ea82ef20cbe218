"""The sparse renderer is the dense formula, in value and in gradient, in float64 and float32."""

from __future__ import annotations

import pytest
import torch

from spacetime_env.space.renderer import render
from tests.helpers.dense import render_dense

FRAME = (20, 28)  # H, W


def sparse(color, alpha, importance, z_where, frame_size, cells):
    """``render`` called like ``render_dense``: (B, K, ...) each."""
    batch, boxes = color.shape[:2]
    frame = torch.arange(batch).repeat_interleave(boxes)
    flat = (t.flatten(0, 1) for t in (color, alpha, importance, z_where))
    return render(*flat, frame, (batch, *frame_size), cells)[:2]


def objects(dtype: torch.dtype, batch: int = 2, cells: int = 9, size: int = 5, seed: int = 0):
    """Random glimpses; boxes of all sizes, some over the edge of the frame."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(dtype)

    alpha = rand(batch, cells, 1, size, size)
    color = rand(batch, cells, 3, size, size) * alpha
    importance = alpha * 100 * rand(batch, cells, 1, 1, 1)
    z_where = torch.cat((rand(batch, cells, 2) * 0.9 + 0.02, rand(batch, cells, 2) * 2 - 1), dim=2)
    return [t.requires_grad_() for t in (color, alpha, importance, z_where)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_values_equal_the_dense_formula(dtype, tolerance):
    color, alpha, importance, z_where = objects(dtype)
    ours = sparse(color, alpha, importance, z_where, FRAME, cells=9)
    theirs = render_dense(color, alpha, importance, z_where, FRAME)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max().item() < tolerance
    assert ours[1].max() > 0.2  # something was drawn


def test_gradients_equal_the_dense_formula():
    results = []
    for function in (lambda *a: sparse(*a, FRAME, cells=9), lambda *a: render_dense(*a, FRAME)):
        inputs = objects(torch.float64, seed=1)
        image, alpha = function(*inputs)
        generator = torch.Generator().manual_seed(2)
        weight = torch.rand(image.shape, generator=generator, dtype=image.dtype)
        ((image * weight).sum() + (alpha * weight[:, :1]).sum()).backward()
        results.append([t.grad for t in inputs])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() <= 1e-9 * b.abs().max()


def test_absent_cells_may_be_left_out():
    """A cell of presence 0 adds exp(0) to the denominator whether it is passed in or counted in ``cells``."""
    color, alpha, importance, z_where = (t.detach() for t in objects(torch.float64))
    for t in (color, alpha, importance):
        t[:, 4:] = 0
    everything = sparse(color, alpha, importance, z_where, FRAME, cells=9)
    present = sparse(color[:, :4], alpha[:, :4], importance[:, :4], z_where[:, :4], FRAME, cells=9)
    for a, b in zip(everything, present, strict=True):
        assert torch.allclose(a, b, atol=1e-14, rtol=0)


def test_one_opaque_object_by_hand():
    """A white glimpse over the left half: alpha e^100 / (e^100 + 0) there, and nothing on the right."""
    one = torch.ones(1, 1, 1, 4, 4, dtype=torch.float64)
    z_where = torch.tensor([[[0.5, 1.0, -0.5, 0.0]]], dtype=torch.float64)
    image, alpha = sparse(one.expand(1, 1, 3, 4, 4), one, one * 100, z_where, (6, 9), cells=1)
    assert torch.allclose(image[0, :, :, :4], torch.ones(3, 6, 4, dtype=torch.float64))
    assert torch.equal(alpha[0, 0, :, 6:], torch.zeros(6, 3, dtype=torch.float64))


def test_the_nearer_object_covers_the_other():
    one = torch.ones(1, 2, 1, 3, 3, dtype=torch.float64)
    color = torch.stack((one[:, 0].expand(1, 3, 3, 3), 0.25 * one[:, 0].expand(1, 3, 3, 3)), dim=1)
    importance = torch.tensor([10.0, 90.0], dtype=torch.float64).view(1, 2, 1, 1, 1) * one
    z_where = torch.tensor([[[1.0, 1.0, 0.0, 0.0]] * 2], dtype=torch.float64)
    image, _ = sparse(color, one, importance, z_where, (5, 7), cells=2)
    assert torch.allclose(image, torch.full((1, 3, 5, 7), 0.25, dtype=torch.float64))


def test_borders_are_summed_and_change_nothing_else():
    """By hand: a box of the whole frame shows each sample of the border at its pixel, and two boxes add up."""
    alpha, z_where = torch.full((2, 1, 3, 3), 0.5), torch.tensor([[1.0, 1.0, 0.0, 0.0]] * 2)
    border = torch.arange(18.0).view(2, 1, 3, 3)
    args = (torch.rand(2, 3, 3, 3) * alpha, alpha, alpha * 9, z_where, torch.tensor([0, 0]), (1, 3, 3), 4)
    image, covered, drawn = render(*args, border=border)
    assert torch.allclose(drawn, border.sum(dim=0, keepdim=True), atol=1e-4)
    plain = render(*args)
    assert torch.equal(image, plain[0]) and torch.equal(covered, plain[1]) and plain[2] is None
