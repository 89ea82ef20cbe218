"""Our network and losses against outputs of the published code, recorded on eight Pong frames.

``tests/files/reference.*`` say how the weights are filled; noise is off: every sample is its mean.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spacetime_env.config import LossConfig, Schedule
from spacetime_env.space import CountMismatch, Hints, Space, Targets, load_upstream, losses, objective
from spacetime_env.space.latents import PRES_SCALE, Latents
from spacetime_env.space.objective import elbo_terms
from spacetime_env.space.transforms import extract_glimpses, tent_weights
from tests.helpers.latents import latents_of

DATA = Path(__file__).parents[1] / "files"
FRAMES = 8  # two stacks of four


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    with np.load(DATA / "reference.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


@pytest.fixture(scope="module")
def notes() -> dict:
    return json.loads((DATA / "reference.json").read_text())


@pytest.fixture(scope="module")
def upstream_state(notes: dict) -> dict[str, Tensor]:
    """An upstream state dict, filled by the rule, with every key that a real one has."""
    rule = notes["weights_rule"]
    state: dict = {}
    for key, shape in rule["filled"].items():
        generator = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
        value = generator.standard_normal(shape).astype("float32") * np.float32(0.05)
        if key.endswith("weight") and len(shape) == 1:
            value = value + np.float32(1)
        total, first = rule["fill_check"][key]
        assert value.sum(dtype=np.float64) == pytest.approx(total, abs=1e-2, rel=1e-4)
        assert value.flat[0] == pytest.approx(first, rel=1e-6)
        state[key] = torch.from_numpy(value)
    for key, shape in rule["skipped"].items():
        state[key] = torch.ones(shape) if key.endswith("running_var") else torch.zeros(shape)
    return {**state, **rule["non_tensor"]}


@pytest.fixture(scope="module")
def frames(reference: dict[str, Tensor]) -> Tensor:
    bgr = reference["frames_rgb_u8"].flip(-1).reshape(FRAMES, 128, 128, 3)
    # Contiguous: GroupNorm is less exact on channels-last memory, which z_what amplifies to 1e-3.
    return bgr.permute(0, 3, 1, 2).contiguous().float() / 255


@pytest.fixture(scope="module")
def space(upstream_state: dict[str, Tensor]) -> Space:
    return load_upstream(upstream_state, components=3)


@pytest.fixture(scope="module")
def evaluated(space: Space, frames: Tensor):
    with torch.no_grad():
        return space(frames[:4])


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max().item() <= tolerance


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("z_pres_prob", "z_pres"),
        ("z_where", "z_where"),
        ("z_depth", "z_depth"),
        ("z_what", "z_what"),
        ("z_scale_mean", "z_scale_mean"),
        ("z_scale_std", "z_scale_std"),
        ("z_shift_mean", "z_shift_mean"),
        ("z_shift_std", "z_shift_std"),
        ("z_depth_std", "z_depth_std"),
        ("z_what_std", "z_what_std"),
    ],
)
def test_latents(evaluated, reference, name, attribute):
    ours, theirs = getattr(evaluated.foreground.latents, attribute), reference[f"eval/{name}"]
    close(ours.view(theirs.shape), theirs)  # z_what_std comes cell after cell: all 256 of each frame are encoded


def test_renders_and_background(evaluated, reference):
    close(evaluated.foreground.image[:1], reference["eval/fg_y_nobg"])
    close(evaluated.foreground.alpha[:1], reference["eval/alpha_map"])
    close(evaluated.background.image[:1], reference["eval/bg"])
    close(evaluated.background.masks[:1], reference["eval/bg_masks"])
    close(evaluated.image[:1], reference["eval/y"])


def test_background_encoding(space, frames, reference):
    with torch.no_grad():
        close(space.background.image_enc(frames[:4]), reference["eval/bg_enc"])


def of_frame(values: Tensor | None, i: int) -> Tensor | None:
    """Frame ``i`` of four: of (4, 256, D), or of (4 * 256, D), cell after cell."""
    return None if values is None else values.chunk(4)[i]


def test_elbo_terms_in_eval(evaluated, frames, reference):
    """Frame by frame, at the step 100000 of the published Pong config: schedules at their ends."""
    config = LossConfig()
    for i in range(4):
        fg, bg = evaluated.foreground, evaluated.background
        latents = Latents(**{name: of_frame(value, i) for name, value in vars(fg.latents).items()})
        one = replace(
            fg,
            latents=latents,
            image=fg.image[i : i + 1],
            alpha=fg.alpha[i : i + 1],
            alpha_pure=fg.alpha[i : i + 1],
        )
        back = type(bg)(*(v[i : i + 1] for v in bg))
        terms = {k: v.item() for k, v in elbo_terms(frames[i : i + 1], one, back, config, 1.0).items()}
        for name, theirs in (
            ("kl_z_what", "kl_z_what"),
            ("kl_z_pres", "kl_z_pres"),
            ("kl_z_scale", "kl_z_scale"),
            ("kl_z_shift", "kl_z_shift"),
            ("kl_z_depth", "kl_z_depth"),
            ("kl_background", "kl_bg"),
        ):
            assert terms[name] == pytest.approx(reference[f"eval/{theirs}"][i].item(), rel=1e-5), name
        assert terms["nll"] == pytest.approx(-reference["eval/log_like"][i].item(), rel=1e-5)
        mse = (evaluated.image[i] - frames[i]).square().sum().item()
        assert mse == pytest.approx(reference["eval/mse"][i].item(), rel=1e-5)


def test_scene_description(space, frames, reference):
    encodings, positions = space.scene_description(frames[0], z_classifier=None)
    close(encodings, reference["scene/z_encs_frame0"])
    close(positions, reference["scene/pos_frame0"])


STEPS = {"motion_enabled_step500": 500, "sparse_motion_enabled_step2000": 2000}
# The published Pong schedules (steps of 5000) and weights; its sums over the batch are FRAMES times our means.
PUBLISHED = LossConfig(
    prior_z_pres=Schedule(0.1, 1e-10, 0.2, 1.0),
    prior_scale_mean=Schedule(-2.0, -2.5),
    hint=Schedule(1.0, 0.0, 0.0, 0.6),
    motion_z_pres=1000.0 * FRAMES,
    motion_z_where=10000.0 * FRAMES,
    motion_alpha=100.0 * FRAMES,
    continuity=10.0 * FRAMES,
    continuity_wrap=True,
)


@pytest.mark.parametrize("name", STEPS)
def test_training_terms(name, upstream_state, notes, reference, frames):
    """Every loss term of a train-mode forward with motion hints, the total and its gradient."""
    theirs = notes["train_scalars"][name]
    state = dict(upstream_state)
    if name.startswith("sparse"):
        key = "space.fg_module.img_encoder.z_pres_net"
        state[f"{key}.weight"] = state[f"{key}.weight"] * 8.0
        state[f"{key}.bias"] = torch.full_like(state[f"{key}.bias"], -10.6)
    space = load_upstream(state, components=3).train()
    progress = STEPS[name] / 5000
    targets = Targets(
        reference["motion_z_pres"].view(FRAMES, 256, 1),
        reference["motion_z_where"].view(FRAMES, 256, 4),
        reference["motion"].view(FRAMES, 1, 128, 128),
        length=4,
    )
    strength = 1 - STEPS[name] / 3000
    output = space(frames, Hints(targets.z_pres, targets.z_where, targets.mask, strength))
    mismatch = CountMismatch(PUBLISHED)
    result = objective(
        frames, output.foreground, output.background, targets, space.config, PUBLISHED, progress, mismatch
    )
    ours = {key: value.item() for key, value in result.terms.items()}
    expected = {
        "nll": -theirs["log_like_mean"],
        "kl_z_what": theirs["kl_z_what_mean"],
        "kl_z_pres": theirs["kl_z_pres_mean"],
        "kl_z_scale": theirs["kl_z_scale_mean"],
        "kl_z_shift": theirs["kl_z_shift_mean"],
        "kl_z_depth": theirs["kl_z_depth_mean"],
        "kl_background": theirs["kl_bg_mean"],
        "motion_z_pres": theirs["flow_loss"] / FRAMES,
        "motion_z_where": theirs["flow_loss_z_where"] / FRAMES,
        "motion_alpha": theirs["flow_loss_alpha_map"] / FRAMES,
        "continuity": theirs["z_what_loss_objects"] / FRAMES,
    }
    assert set(ours) == set(expected)
    for key, value in expected.items():
        assert ours[key] == pytest.approx(value, rel=1e-5), key
    mse = (output.image - frames).square().sum().item() / FRAMES
    assert mse == pytest.approx(theirs["mse_mean"], rel=1e-5)
    assert result.total.item() == pytest.approx(theirs["loss_total"], rel=1e-5)
    result.total.backward()
    norm = (
        torch.stack([p.grad.double().norm() for p in space.parameters() if p.grad is not None]).norm().item()
    )
    assert norm == pytest.approx(theirs["grad_global_norm"], rel=1e-3)


def test_continuity_and_its_gradient(reference):
    z_what = reference["unit/zwhat_in_z_what"].clone().requires_grad_()
    latents = latents_of(
        reference["unit/zwhat_in_z_where"], reference["unit/zwhat_in_z_pres_prob"].double(), z_what
    )
    loss = losses.object_continuity(latents, 4, 16, match_weight=5.0, wrap=True) * FRAMES
    assert loss.item() == pytest.approx(reference["unit/zwhat_loss"].item(), rel=1e-5)
    loss.backward()
    close(z_what.grad, reference["unit/zwhat_grad_z_what"])


def test_count_mismatch_over_three_calls(reference):
    mismatch = CountMismatch(LossConfig())
    for call in range(3):
        inputs = {k: reference[f"unit/count{call}_in_{k}"] for k in ("z_where_pure", "z_pres_prob_pure")}
        targets = Targets(
            reference[f"unit/count{call}_in_motion_z_pres"],
            reference[f"unit/count{call}_in_motion_z_where"],
            torch.zeros(0),
            length=4,
        )
        value = mismatch.update(latents_of(inputs["z_where_pure"], inputs["z_pres_prob_pure"]), targets)
        assert value == pytest.approx(reference["unit/count_values"][call].item(), rel=1e-5)


def test_motion_losses(reference):
    z_pres, z_where = reference["unit/count0_in_z_pres_prob_pure"], reference["unit/count0_in_z_where_pure"]
    target_pres = reference["unit/count0_in_motion_z_pres"]
    target_where = reference["unit/count0_in_motion_z_where"]
    ours = losses.motion_z_pres(z_pres, target_pres).item() * FRAMES
    assert ours == pytest.approx(reference["unit/flow_z_pres"].item(), rel=1e-5)
    ours = losses.motion_z_where(z_where, z_pres, target_where, target_pres).item() * FRAMES
    assert ours == pytest.approx(reference["unit/flow_z_where"].item(), rel=1e-5)


def test_spatial_transforms(reference):
    """The reference holds eight boxes, and frames and inverse renders of the first two of them."""
    z_where = reference["unit/st_z_where"][:2]
    close(
        extract_glimpses(reference["unit/st_in128"], torch.arange(2), z_where, 32),
        reference["unit/spatial_t_out"][:2],
    )
    w, h, x, y = z_where.unbind(1)
    start = torch.zeros(2)
    vertical = tent_weights(start, 128, 128, y, h, 32).unsqueeze(1)
    horizontal = tent_weights(start, 128, 128, x, w, 32).unsqueeze(1)
    inverse = vertical @ reference["unit/st_in32"][:2] @ horizontal.transpose(2, 3)
    close(inverse, reference["unit/inverse_st_out"])


def test_pres_scale_is_the_published_one():
    assert PRES_SCALE == 8.8
