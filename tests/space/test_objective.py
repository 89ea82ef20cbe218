"""The objective as it is wired: each variant's total is the sum of its terms, weighed as the config says.

The sums are written out here a second time, term by term, for made-up weights that are all different and for the loss
settings of every shipped configuration.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spacetime_env.config import (
    BackgroundConfig,
    Config,
    EncoderConfig,
    GlimpseConfig,
    LossConfig,
    ModelConfig,
    Schedule,
    load_config,
)
from spacetime_env.space import CountMismatch, Hints, Space, SpaceOutput, Targets, losses, objective
from spacetime_env.space.objective import Objective

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
LENGTH = 3
# 16 x 12 pixels, 4 x 4 cells of 4 x 3 pixels.
MODEL = ModelConfig(
    frame_size=(16, 12),
    grid=4,
    z_what_dim=3,
    encoder=EncoderConfig(layers=((5, (4, 3), (4, 3), 0, 0), (6, 3, 1, 1, 0)), lateral=False, norm="batch"),
    glimpse=GlimpseConfig(size=4, encoder=((5, 4, 1, 0, 0),), decoder=((6, 0), (5, 0), (4, 0)), refine=False),
    background=BackgroundConfig(kind="fixed"),
)
# No two weights are alike, and none is the complement of another.
LOSS = LossConfig(
    sigma_fg=0.3,
    sigma_bg=0.2,
    prior_z_pres=Schedule(0.2, 0.02),
    prior_scale_mean=Schedule(-1.0, -2.0),
    prior_scale_std=0.7,
    motion=Schedule(0.9, 0.1),
    motion_z_pres=3.0,
    motion_z_where=5.0,
    motion_alpha=7.0,
    continuity=11.0,
    match_weight=2.5,
    z_what_map=13.0,
    z_where_loss="relative",
    dynamic_scheduling=False,
)
ELBO = {"nll", "kl_z_what", "kl_z_pres", "kl_z_scale", "kl_z_shift", "kl_z_depth", "kl_background"}
MOTION = {"motion_z_pres", "motion_z_where", "motion_alpha"}


def scheduled(schedule: Schedule, progress: float) -> float:
    """A schedule's value, as its fields say: a line from ``start`` to ``end`` between ``begin`` and ``until``."""
    if schedule.begin == schedule.until:
        return schedule.start if progress < schedule.until else schedule.end
    part = (progress - schedule.begin) / (schedule.until - schedule.begin)
    return schedule.start + (schedule.end - schedule.start) * min(max(part, 0.0), 1.0)


def explained(model: ModelConfig, border: int = 0) -> tuple[torch.Tensor, SpaceOutput, Targets]:
    """Two stacks of three frames, what an untrained network makes of them, and targets in two cells of each."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(2 * LENGTH, 3, *model.frame_size, generator=generator)
    z_pres, z_where = torch.zeros(2 * LENGTH, 16, 1), torch.zeros(2 * LENGTH, 16, 4)
    z_pres[:, [5, 10]] = 1
    z_where[:, 5] = torch.tensor([0.3, 0.2, -0.25, -0.2])
    z_where[:, 10] = torch.tensor([0.1, 0.15, 0.25, 0.3])
    mask = torch.rand(2 * LENGTH, 1, *model.frame_size, generator=generator)
    targets = Targets(z_pres, z_where, mask, LENGTH)
    torch.manual_seed(1)
    space = Space(model)
    with torch.no_grad():  # a few cells present, with probabilities that are not 0 or 1
        space.foreground.encoder.head.bias[8] = 0.1
    hints = Hints(z_pres, z_where, mask, 0.2) if model.variant != "space" else None
    return frames, space(frames, hints, border=border), targets


def judged(model: ModelConfig, loss: LossConfig, progress: float) -> tuple[Objective, SpaceOutput, Targets]:
    frames, output, targets = explained(model, 1 if loss.boundary.start > 0 else 0)
    mismatch = CountMismatch(loss)
    given = (frames, output.foreground, output.background, targets)
    return objective(*given, model, loss, progress, mismatch), output, targets


def weights(model: ModelConfig, loss: LossConfig, progress: float, output: SpaceOutput, targets: Targets) -> dict:
    """The weight of each term that the variant has."""
    found = dict.fromkeys(ELBO, 1.0)
    if loss.boundary.start > 0:
        found["boundary"] = scheduled(loss.boundary, progress)
    if model.z_what_from == "map":
        found["z_what_map"] = loss.z_what_map
    if model.variant == "space":
        return found
    motion = scheduled(loss.motion, progress)
    continuity = 1 - motion
    if loss.dynamic_scheduling:
        continuity = loss.steepness ** -CountMismatch(loss).update(output.foreground.latents, targets)
        motion *= 1 - continuity
    for name in MOTION:
        found[name] = motion * getattr(loss, name)
    if model.variant == "space+motion+continuity":
        found["continuity"] = continuity * loss.continuity
    return found


def require_sum(model: ModelConfig, loss: LossConfig, progress: float) -> dict[str, float]:
    """The total is the weighted sum of exactly the terms that the variant has; returns the weighted terms."""
    found, output, targets = judged(model, loss, progress)
    expected = weights(model, loss, progress, output, targets)
    assert set(found.terms) == set(expected)
    parts = {name: found.terms[name].item() * weight for name, weight in expected.items()}
    assert found.total.item() == pytest.approx(sum(parts.values()), rel=1e-5)
    return parts


@pytest.mark.parametrize("progress", [0.0, 0.25, 0.8])
@pytest.mark.parametrize("source", ["map", "glimpse"])
@pytest.mark.parametrize("variant", ["space", "space+motion", "space+motion+continuity"])
def test_the_total_is_the_weighted_sum(variant: str, source: str, progress: float) -> None:
    """At a quarter, motion weighs 0.7 and continuity 0.3: neither is its own complement."""
    model = replace(MODEL, variant=variant, z_what_from=source)
    parts = require_sum(model, LOSS, progress)
    total = sum(abs(part) for part in parts.values())
    for name in {"z_what_map", *MOTION, "continuity"} & set(parts):
        assert abs(parts[name]) > 1e-4 * total, f"{name} is too small here to be missed"


@pytest.mark.parametrize("progress", [0.1, 0.7])
def test_the_dynamic_schedule(progress: float) -> None:
    """Continuity has the weight steepness ^ -mismatch, and motion what is left of its own."""
    loss = replace(LOSS, dynamic_scheduling=True, steepness=4.0)
    model = replace(MODEL, variant="space+motion+continuity")
    _, output, targets = judged(model, loss, progress)
    continuity = weights(model, loss, progress, output, targets)["continuity"] / loss.continuity
    assert 0.05 < continuity < 0.95, "a weight of 0 or 1 would hide the other one"
    require_sum(model, loss, progress)


def test_the_weights_of_a_quarter_by_hand() -> None:
    """Motion: 0.9 + 0.25 * (0.1 - 0.9) = 0.7. Continuity: 1 - 0.7 = 0.3, times 11."""
    model = replace(MODEL, variant="space+motion+continuity", z_what_from="map")
    _, output, targets = judged(model, LOSS, 0.25)
    found = weights(model, LOSS, 0.25, output, targets)
    assert {name: found[name] for name in (*sorted(MOTION), "continuity", "z_what_map", "nll")} == pytest.approx(
        {
            "motion_z_pres": 2.1,
            "motion_z_where": 3.5,
            "motion_alpha": 4.9,
            "continuity": 3.3,
            "z_what_map": 13.0,
            "nll": 1.0,
        }
    )


@pytest.mark.parametrize("kind", ["relative", "squared"])
def test_each_term_is_the_function_of_its_name(kind: str) -> None:
    """With the settings of its own: no two sigmas, priors or box losses are mixed up."""
    loss = replace(LOSS, z_where_loss=kind)
    model = replace(MODEL, variant="space+motion+continuity", z_what_from="map")
    found, output, targets = judged(model, loss, 0.25)
    frames = explained(model)[0]
    fg, latents, count = output.foreground, output.foreground.latents, len(frames)
    boxes = {
        "relative": losses.motion_z_where_relative(latents.z_where_pure, targets.z_where, targets.z_pres),
        "squared": losses.motion_z_where(
            latents.z_where_pure, latents.z_pres_pure, targets.z_where, targets.z_pres
        ),
    }
    assert boxes["relative"].item() != pytest.approx(boxes["squared"].item(), rel=0.1)
    what, std = latents.z_what_mean, latents.z_what_std
    assert what is not None and std is not None
    expected = {
        "nll": losses.negative_log_likelihood(frames, fg, output.background, 0.3, 0.2),
        "kl_z_what": losses.kl_normal(what, std, count),
        "kl_z_pres": losses.kl_z_pres(latents.z_pres_logit, 0.2 - 0.25 * 0.18),
        "kl_z_scale": losses.kl_normal(latents.z_scale_mean, latents.z_scale_std, count, -1.25, 0.7),
        "kl_z_shift": losses.kl_normal(latents.z_shift_mean, latents.z_shift_std, count),
        "kl_z_depth": losses.kl_normal(latents.z_depth_mean, latents.z_depth_std, count),
        "kl_background": output.background.kl.mean(),
        "z_what_map": losses.z_what_map(latents),
        "motion_z_pres": losses.motion_z_pres(latents.z_pres_pure, targets.z_pres),
        "motion_z_where": boxes[kind],
        "motion_alpha": losses.motion_alpha(fg.alpha, fg.alpha_pure),
        "continuity": losses.object_continuity(latents, LENGTH, 4, 2.5, wrap=False),
    }
    assert {name: term.item() for name, term in found.terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}
    )


@pytest.mark.parametrize("wrap", [False, True])
def test_continuity_is_told_whether_the_screen_wraps(wrap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    module = importlib.import_module("spacetime_env.space.objective")  # beside it, the room has a function of that name
    monkeypatch.setattr(module, "object_continuity", lambda *words: said.append(words) or torch.zeros(()))
    judged(replace(MODEL, variant="space+motion+continuity"), replace(LOSS, continuity_wrap=wrap), 0.5)
    assert [words[1:] for words in said] == [(LENGTH, 4, 2.5, wrap)]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("progress", [0.15, 0.55])
def test_the_objective_of_every_shipped_configuration(name: str, progress: float) -> None:
    """Its variant, its source of z_what and all its loss settings, on a network of a few hundred weights."""
    config: Config = load_config(CONFIGS / f"{name}.yaml")
    model = replace(MODEL, variant=config.model.variant, z_what_from=config.model.z_what_from)
    parts = require_sum(model, config.loss, progress)
    assert ("boundary" in parts) == (config.loss.boundary.at(progress) > 0) and parts.get("boundary", 1.0) > 0
    if config.model.variant == "space":
        assert "motion_z_where" not in parts
    else:
        assert parts["motion_z_where"] > 0 and parts["z_what_map"] > 0
        assert (parts["continuity"] != 0) == (config.loss.continuity > 0)
