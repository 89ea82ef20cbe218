"""The network's calls: what they accept, what they return, and that they are the same thing said twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spacetime_env.config import BackgroundConfig, ConfigError, GlimpseConfig, ModelConfig
from spacetime_env.space import Hints, Space
from spacetime_env.space.background import ComponentBackground, stick_breaking
from spacetime_env.space.transforms import extract_glimpses
from tests.space.test_losses import TINY


@pytest.fixture
def space() -> Space:
    torch.manual_seed(3)
    network = Space(TINY).eval()
    with torch.no_grad():
        network.foreground.encoder.head.weight[8] *= 30  # some cells present, some not
    return network


def frames(count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_shapes_and_ranges(space):
    output = space(frames())
    latents = output.foreground.latents
    assert output.image.shape == (3, 3, 16, 16)
    assert output.foreground.alpha.shape == (3, 1, 16, 16)
    for name, width in {"z_pres": 1, "z_where": 4, "z_depth": 1, "z_what": 3, "z_scale_std": 2}.items():
        assert getattr(latents, name).shape == (3, 16, width), name
    assert latents.z_pres.min() > 0 and latents.z_pres.max() < 1
    assert latents.z_where[..., :2].min() > 0 and latents.z_where[..., :2].max() < 1


def test_cells_are_row_major_and_x_goes_right(space):
    with torch.no_grad():
        space.foreground.encoder.head.weight.zero_()
        space.foreground.encoder.head.bias.zero_()
    centers = space(frames(1)).foreground.latents.z_where[0, :, 2:]
    assert torch.allclose(centers[0], torch.tensor([-0.75, -0.75]))
    assert torch.allclose(centers[1], torch.tensor([-0.25, -0.75]))  # the next cell is to the right
    assert torch.allclose(centers[4], torch.tensor([-0.75, -0.25]))  # the next row is below


def test_encode_agrees_with_forward_on_present_cells(space):
    full, found = space(frames()).foreground.latents, space.encode(frames())
    present = full.z_pres.squeeze(2) > 0.5
    counts = present.sum(dim=1)
    assert 0 < counts.sum() < present.numel() and counts.unique().numel() > 1  # frames differ in their number
    assert torch.equal(torch.stack((found.frame, found.cell)), torch.stack(present.nonzero(as_tuple=True)))
    for name in ("z_where", "z_what", "z_depth"):
        assert torch.allclose(getattr(found, name), getattr(full, name)[present], atol=1e-6), name
    assert torch.allclose(found.z_pres, full.z_pres[present].squeeze(1), atol=1e-6)
    alone = space.encode(frames()[1:2])  # one frame takes a shorter way
    assert torch.allclose(alone.z_what, found.z_what[found.frame == 1], atol=1e-6)
    assert len(space.encode(frames(), threshold=0.0).cell) == 3 * 16
    assert len(space.encode(frames(), threshold=1.0).cell) == 0


def test_inference_is_deterministic_and_sampling_is_not(space):
    assert torch.equal(space(frames()).image, space(frames()).image)
    one, other = (space(frames(), sample=True).foreground.latents.z_where for _ in range(2))
    assert not torch.equal(one, other)


def test_hints_take_over_at_full_strength(space):
    z_pres, z_where = torch.zeros(3, 16, 1), torch.zeros(3, 16, 4)
    z_pres[:, 6], z_where[:, 6] = 1, torch.tensor([0.2, 0.3, 0.1, -0.4])
    mask = torch.full((3, 1, 16, 16), 0.25)
    output = space(frames(), Hints(z_pres, z_where, mask, 1.0)).foreground
    assert torch.allclose(output.latents.z_where, z_where)
    assert torch.equal((output.latents.z_pres > 0.5).float(), z_pres)
    assert torch.allclose(output.alpha, mask)
    half = space(frames(), Hints(z_pres, z_where, mask, 0.5)).foreground
    assert torch.allclose(half.alpha, (half.alpha_pure + mask) / 2)


def test_max_objects_keeps_the_most_present_cells():
    torch.manual_seed(3)
    space = Space(replace(TINY, max_objects=2)).eval()
    latents = space(frames()).foreground.latents
    expected = latents.z_pres.squeeze(2).topk(2, dim=1).indices.sort(dim=1).values
    assert latents.frame.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(latents.cell.view(3, 2), expected)
    assert (latents.z_what.abs().sum(dim=2) > 0).sum() == 6


def test_min_presence_leaves_out_cells_by_their_probability():
    torch.manual_seed(3)
    exact = Space(TINY).eval()
    everything = exact(frames()).foreground.latents
    probability = torch.sigmoid(everything.z_pres_logit).squeeze(2)
    least = probability.flatten().sort().values[-5].item() - 1e-6  # five cells reach it
    some = Space(replace(TINY, min_presence=least)).eval()
    some.load_state_dict(exact.state_dict())
    for sample in (False, True):
        latents = some(frames(), sample=sample).foreground.latents
        assert len(latents.cell) == 5
        assert torch.equal(
            torch.stack((latents.frame, latents.cell), dim=1), (probability >= least).nonzero()
        )
    found = some(frames()).foreground.latents
    assert torch.allclose(found.z_what_mean, everything.z_what[found.frame, found.cell], atol=1e-6)


def test_min_presence_keeps_one_cell_where_none_reaches_it():
    torch.manual_seed(3)
    space = Space(replace(TINY, min_presence=0.9999)).eval()
    latents = space(frames()).foreground.latents
    assert len(latents.cell) == 1
    assert latents.z_pres[latents.frame, latents.cell] == latents.z_pres.max()


def test_box_padding_widens_what_is_encoded_but_not_what_is_reported():
    torch.manual_seed(3)
    space = Space(replace(TINY, box_padding=2.0)).eval()
    assert space.foreground._pad(torch.tensor([[[0.5, 0.25, 0.1, 0.2]]])).tolist() == [
        [pytest.approx([0.75, 0.5, 0.1, 0.2])]
    ]
    plain = Space(TINY).eval()
    plain.load_state_dict(space.state_dict())
    assert torch.equal(space.encode(frames()).z_where, plain.encode(frames()).z_where)
    assert not torch.allclose(space.encode(frames(), 0.0).z_what, plain.encode(frames(), 0.0).z_what)


def test_scene_description_of_some_rows_is_of_the_whole_frame_if_its_height_is_known(space):
    class Name:
        def predict(self, z_encs):
            return ["thing"] * len(z_encs)

    seen = np.array(space.scene_description(frames(1)[0], Name())["thing"])
    rows = Space(replace(TINY, rows=(5, 21))).eval()
    rows.load_state_dict(space.state_dict())
    assert np.allclose(rows.scene_description(frames(1)[0], Name())["thing"], seen)  # of what it sees
    rows.screen_height = 40
    found = np.array(rows.scene_description(frames(1)[0], Name())["thing"])
    assert len(found) and np.allclose(found[:, [0, 2]], seen[:, [0, 2]])
    assert np.allclose(found[:, 1] * 40, seen[:, 1] * 16, atol=1e-5)  # heights, and centres, in native rows
    assert np.allclose((found[:, 3] + 1) * 20, (seen[:, 3] + 1) * 8 + 5, atol=1e-5)


def test_folding_batch_norm_changes_nothing():
    config = replace(TINY, encoder=replace(TINY.encoder, norm="batch"))
    torch.manual_seed(0)
    space = Space(config)
    space.train()
    for seed in range(5):
        space(frames(seed=seed), sample=True)  # running statistics that are not 0 and 1
    space.eval()
    fused = space.fused()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fused.foreground.encoder.modules())
    ours, theirs = fused.encode(frames()), space.encode(frames())
    assert torch.allclose(ours.z_where, theirs.z_where, atol=1e-5)
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in space.foreground.encoder.modules())  # a copy


def mapped(**changes):
    encoder = replace(TINY.encoder, norm="batch", lateral=False)
    torch.manual_seed(0)
    return Space(replace(TINY, z_what_from="map", encoder=encoder, **changes))


def test_z_what_of_the_map_is_what_encode_reports():
    space = mapped().eval()
    found = space.encode(frames(), threshold=0.0)
    with torch.inference_mode():
        raw, latents = space.foreground.encoder(frames()), space(frames()).foreground.latents
    assert raw.shape == (3, 16, 11 + TINY.z_what_dim)
    assert torch.allclose(found.z_what, raw[found.frame, found.cell, 11:], atol=1e-6)
    assert torch.allclose(latents.z_what_map[found.frame, found.cell], found.z_what, atol=1e-6)
    assert not torch.allclose(latents.z_what, latents.z_what_map)  # what is drawn comes from the glimpses


def test_the_fused_network_says_the_same_with_a_map():
    space = mapped()
    space.train()
    for seed in range(5):
        space(frames(seed=seed), sample=True)
    ours, theirs = space.eval().fused().encode(frames(), 0.2), space.encode(frames(), 0.2)
    assert torch.equal(ours.cell, theirs.cell) and len(ours.cell)
    assert torch.allclose(ours.z_what, theirs.z_what, atol=1e-5)


def both():
    """A network that sees frames and differences, on a background that has a pattern."""
    encoder = replace(TINY.encoder, norm="batch", lateral=False, input="both")
    torch.manual_seed(0)
    space = Space(replace(TINY, z_what_from="map", encoder=encoder))
    space.background.image.copy_(frames(1, seed=9)[0])
    space.train()
    for seed in range(5):
        space(frames(seed=seed), sample=True)
    return space.eval()


def test_the_difference_from_the_background_is_seen_too():
    space = both()
    seen: list[torch.Tensor] = []
    space.foreground.encoder.layers.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    output = space(frames())
    assert torch.equal(seen[0], torch.cat((frames(), frames() - frames(1, seed=9)), dim=1))
    # Each of several games brings its own; what is behind the objects may be something else, and is not seen.
    own, behind = frames(seed=7), frames(seed=8)
    other = space(frames(), backgrounds=own, behind=behind)
    assert torch.equal(seen[1], torch.cat((frames(), frames() - own), dim=1))
    assert torch.equal(other.background.image, behind)
    assert torch.equal(space(frames(), backgrounds=own).background.image, own)
    assert not torch.allclose(output.foreground.latents.z_pres, other.foreground.latents.z_pres)
    with torch.inference_mode():
        space.encode(frames())
    assert torch.equal(seen[3], seen[0])


def test_the_fused_network_knows_its_background():
    space = both()
    fused = space.fused()
    assert fused.foreground.encoder.layers[0].weight.shape[1] == 3  # a difference costs nothing at play
    ours, theirs = fused.encode(frames(), 0.2), space.encode(frames(), 0.2)
    assert torch.equal(ours.cell, theirs.cell) and len(ours.cell)
    for name in ("z_where", "z_what", "z_depth", "z_pres"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5), name
    space.background.image.zero_()
    assert not torch.allclose(space.encode(frames(), 0.0).z_what, fused.encode(frames(), 0.0).z_what, atol=1e-3)


class Signs:
    """A classifier: the sign of the first column."""

    def predict(self, z_encs, **kwargs):
        assert kwargs in ({}, {"flag": 1})
        return np.where(z_encs[:, 0] > 0, "plus", "minus")


def test_scene_description(space):
    x = frames(1)[0]
    found = space.encode(x.unsqueeze(0))
    where, what, count = found.z_where, found.z_what, len(found.cell)
    scene = space.scene_description(x, Signs(), flag=1)
    assert sum(len(v) for v in scene.values()) == count > 0
    for label, positions in scene.items():
        rows = where[(what[:, 0] > 0) == (label == "plus")]
        assert positions == [pytest.approx(row.tolist()) for row in rows]
    centers = space.scene_description(x, Signs(), size=False)
    assert all(len(p) == 2 for v in centers.values() for p in v)
    assert sorted(p for v in centers.values() for p in v) == sorted(tuple(r) for r in where[:, 2:].tolist())
    encodings, positions = space.scene_description(x, None, only_z_what=False)
    assert encodings.shape == (count, 4 + 1 + 3) and positions.shape == (count, 4)
    assert torch.equal(encodings[:, 5:], what)


def test_scene_description_of_an_empty_frame(space):
    with torch.no_grad():
        space.foreground.encoder.head.bias[8] = -1e4
    assert space.scene_description(frames(1)[0], Signs()) == {}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (torch.zeros(2, 3, 16, 15), r"expected frames \(B, 3, 16, 16\)"),
        (torch.zeros(2, 16, 16, 3), r"expected frames \(B, 3, 16, 16\)"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), r"expected float frames in \[0, 1\]"),
    ],
)
def test_wrong_frames_are_refused(space, bad, sentence):
    for call in (space, space.encode):
        with pytest.raises(ValueError, match=sentence):
            call(bad)


def test_scene_description_wants_one_frame(space):
    with pytest.raises(ValueError, match="expected one frame"):
        space.scene_description(frames(2), None)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (replace(TINY, grid=8), "into 4x4 cells, but model.grid is 8"),
        (replace(TINY, glimpse=replace(TINY.glimpse, size=8)), "draws glimpses of size 4"),
        (replace(TINY, background=BackgroundConfig()), "draws 64x64, 128x128 or 256x256"),
        (replace(TINY, background=BackgroundConfig(components=1)), "for one image, kind: fixed"),
        (
            replace(TINY, background=BackgroundConfig(), encoder=replace(TINY.encoder, input="both")),
            "input: both: only with model.background.kind: fixed",
        ),
        (
            replace(TINY, glimpse=GlimpseConfig(4, ((5, 6, 1, 0, 0),), TINY.glimpse.decoder, False)),
            "leaves nothing of a glimpse",
        ),
        (replace(TINY, encoder=replace(TINY.encoder, layers=())), "encoder.layers: expected one layer or more, got"),
        (replace(TINY, glimpse=replace(TINY.glimpse, encoder=())), "glimpse.encoder: expected one layer or more, got"),
    ],
)
def test_architectures_that_cannot_be_are_refused(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Space(config)


def test_published_size():
    counts = {k: sum(p.numel() for p in m.parameters()) for k, m in Space(ModelConfig()).named_children()}
    boundary_filter = 32 * 32  # upstream carries one unused filter
    assert counts["foreground"] + boundary_filter == 2_358_191
    assert counts["background"] == 2_950_484


def test_each_frame_may_bring_its_own_fixed_background(space):
    images = torch.arange(3.0)[:, None, None, None].div(4).expand(3, 3, 16, 16)
    output = space(frames(), backgrounds=images)
    assert torch.equal(output.background.image, images)
    alpha, image = output.foreground.alpha, output.foreground.image
    assert torch.allclose(output.image, alpha * image + (1 - alpha) * images)
    assert torch.equal(space(frames()).background.image, space.background.image.expand(3, -1, -1, -1))
    for wrong in (images[:2], images[..., :8]):
        with pytest.raises(ValueError, match=r"expected a background for each frame, \(3, 3, 16, 16\), got shape"):
            space(frames(), backgrounds=wrong)


def test_frames_of_a_stack_may_share_a_background_while_training():
    sizes = {"components": 2, "image_dim": 5, "mask_dim": 4, "component_dim": 3}
    config = replace(TINY, frame_size=(64, 64), background=BackgroundConfig(**sizes, share=3))
    torch.manual_seed(0)
    background = ComponentBackground(config).eval()  # BatchNorm as it is, so that only what goes in counts
    x = torch.rand(6, 3, 64, 64)
    torch.manual_seed(1)
    shared = background(x, sample=True)
    torch.manual_seed(1)
    means = background._infer(torch.stack([x[:3].mean(dim=0), x[3:].mean(dim=0)]), True)
    for ours, theirs in zip(shared, means, strict=True):
        assert ours.shape[0] == 6
        assert torch.equal(ours, theirs[[0, 0, 0, 1, 1, 1]])
    alone = background(x)  # at play each frame has its own
    assert not torch.allclose(alone.image[0], alone.image[1])
    with pytest.raises(ValueError, match=r"5 frames cannot share backgrounds by 3: see model.background.share"):
        background(x[:5], sample=True)
    shared.image.sum().backward()
    assert all(p.grad is not None for n, p in background.named_parameters() if n.startswith("comp_decoder"))


def test_components_background_samples_and_reconstructs():
    torch.manual_seed(0)
    config = replace(
        TINY,
        frame_size=(64, 64),
        background=BackgroundConfig(components=2, image_dim=5, mask_dim=4, component_dim=3),
    )
    background = ComponentBackground(config)
    x = torch.rand(2, 3, 64, 64)
    out = background(x)
    assert out.image.shape == (2, 3, 64, 64) and out.masks.shape == (2, 2, 1, 64, 64) and out.kl.shape == (2,)
    assert torch.allclose(out.masks.sum(dim=1), torch.ones(2, 1, 64, 64))
    assert torch.allclose(out.image, (out.components * out.masks).sum(dim=1))
    assert not torch.equal(background(x, sample=True).image, background(x, sample=True).image)


def test_stick_breaking_by_hand():
    masks = torch.tensor([0.5, 0.4, 0.9]).view(1, 3, 1, 1, 1)
    assert stick_breaking(masks).flatten().tolist() == pytest.approx([0.5, 0.2, 0.3])


def test_a_glimpse_of_the_whole_frame_is_the_frame():
    x = torch.rand(2, 3, 6, 6)
    whole = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(2, 4)
    assert torch.allclose(extract_glimpses(x, torch.tensor([0, 1]), whole, 6), x, atol=1e-6)


def test_glimpses_keep_x_and_y_apart():
    x = torch.zeros(1, 1, 5, 9)
    x[0, 0, 1, 6] = 1.0  # row 1, column 6: y = -0.5, x = 0.5
    boxes = torch.tensor([[0.0, 0.0, 0.5, -0.5], [0.0, 0.0, -0.5, 0.5]])
    seen = extract_glimpses(x, torch.tensor([0, 0]), boxes, 2)
    assert torch.allclose(seen[0], torch.ones(1, 2, 2)) and not seen[1].any()


def test_glimpses_come_from_their_own_frames_where_frames_hold_different_numbers():
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 2, 5, 7)
    frame = torch.tensor([0, 2, 2, 2, 3])  # none in frame 1
    boxes = torch.tensor([0.3, 0.4, 0.1, -0.2]).expand(5, 4)
    seen = extract_glimpses(x, frame, boxes, 3)
    assert seen.shape == (5, 2, 3, 3)
    assert torch.allclose(seen, frame.view(5, 1, 1, 1).expand(5, 2, 3, 3).float())



@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(extra=torch.zeros(1)), "the weights in x do not fit the network: unknown extra"),
        (lambda t: t.pop("foreground.encoder.head.bias"), "missing foreground.encoder.head.bias"),
        (lambda t: t.update({"foreground.encoder.head.bias": torch.zeros(7)}), r"head.bias: \(7,\) instead of \(11,\)"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(space, change, message):
    before = {name: value.clone() for name, value in space.state_dict().items()}
    given = {name: value + 1 for name, value in before.items()}
    space.load_tensors(given, "the weights in x")
    assert all(torch.equal(given[name], value) for name, value in space.state_dict().items())
    change(before)
    with pytest.raises(ValueError, match=message):
        space.load_tensors(before, "the weights in x")
    assert all(torch.equal(given[name], value) for name, value in space.state_dict().items())
