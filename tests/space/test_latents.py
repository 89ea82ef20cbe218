"""The layout of the image encoder's head: each channel is read as what its name says, in every form of the code."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from spacetime_env.compiled import INSTALLED
from spacetime_env.space import Space, sparse_arrays
from spacetime_env.space.latents import HEAD, POSTERIOR
from tests.space.test_losses import TINY

# What the head says of every cell: a value for each of its 11 posterior parameters, then z_what.
SAID = [0.25, -0.5, 9.0, 9.0, 0.125, -0.25, 9.0, 9.0, 0.75, 3.0, 9.0, 1.0, 2.0, -3.0]
Z_PRES = 1 / (1 + math.exp(-8.8 * math.tanh(0.75)))
SIZE = [1 / (1 + math.exp(-0.25)), 1 / (1 + math.exp(0.5))]
# Of the cell in row 1 and column 2 of a grid of 4: its centre, moved by tanh of the shift, in (-1, 1).
CENTER = [(2.5 + math.tanh(0.125)) / 2 - 1, (1.5 + math.tanh(-0.25)) / 2 - 1]


def test_the_parts_follow_each_other() -> None:
    ends = [part.stop for part in HEAD]
    assert [part.start for part in HEAD] == [0, *ends[:-1]] and POSTERIOR == ends[-2] == 11 and ends[-1] is None


@pytest.fixture
def space() -> Space:
    """A network whose head says :data:`SAID` of every cell, whatever it sees."""
    encoder = replace(TINY.encoder, norm="batch", lateral=False)
    made = Space(replace(TINY, z_what_from="map", encoder=encoder)).eval()
    head = made.foreground.encoder.head
    assert head.bias is not None
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor(SAID))
    return made


def test_the_network_reads_each_channel_by_hand(space: Space) -> None:
    found = space.encode(torch.zeros(1, 3, 16, 16))
    cell = 1 * 4 + 2
    assert found.cell.tolist() == list(range(16))
    assert found.z_pres[cell].item() == pytest.approx(Z_PRES, abs=1e-6)
    assert found.z_where[cell].tolist() == pytest.approx([*SIZE, *CENTER], abs=1e-6)
    assert found.z_depth[cell].tolist() == [3.0] and found.z_what[cell].tolist() == [1.0, 2.0, -3.0]
    with torch.no_grad():
        latents = space(torch.zeros(1, 3, 16, 16)).foreground.latents
    assert latents.z_where[0, cell].tolist() == pytest.approx([*SIZE, *CENTER], abs=1e-6)
    assert latents.z_what_map is not None and latents.z_what_map[0, cell].tolist() == [1.0, 2.0, -3.0]
    deviations = (latents.z_scale_std, latents.z_shift_std, latents.z_depth_std)
    assert all(one[0, cell].tolist() == pytest.approx([math.log1p(math.exp(9))] * one.shape[2]) for one in deviations)


@pytest.mark.parametrize("form", ["arrays", "compiled"])
def test_the_sparse_encoder_reads_each_channel_by_hand(form: str) -> None:
    if form == "compiled" and not INSTALLED:
        pytest.skip("numba is not installed")
    present = sparse_arrays.present
    if form == "compiled":
        from spacetime_env.space import sparse_compiled

        present = sparse_compiled.present
    raw, differs = np.zeros((2 * 36, len(SAID)), np.float32), np.zeros(2 * 36, bool)
    place = 36 + (1 + 1) * 6 + 2 + 1  # of the second stream, with a margin of one cell
    raw[place], differs[place] = SAID, True
    frame, z_pres, z_where, z_what = present(raw, differs, np.array([0, 1]), 4, np.float32(0), 8.8)
    assert frame.tolist() == [1] and z_pres[0] == pytest.approx(Z_PRES, abs=1e-6)
    assert z_where[0].tolist() == pytest.approx([*SIZE, *CENTER], abs=1e-6)
    assert z_what[0].tolist() == [1.0, 2.0, -3.0]
