"""What is made of a few validation frames during training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spacetime_env.config import Config, SceneConfig
from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation.latents import Samples
from spacetime_env.objects.detections import Detections
from spacetime_env.training import validation
from spacetime_env.training.validation import quick_classifiers
from tests.helpers.tiny import CONFIG, make_space, write_split


@pytest.fixture
def labelled(tmp_path: Path) -> Split:
    return open_split(write_split(tmp_path, "validation", labels=True))


def test_classifiers_leave_the_network_as_it_is(labelled: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[int] = []

    def known(config: Config, found: list[Detections], split: Split) -> Samples:  # an untrained network matches nothing
        frames.append(len(found))
        return Samples(found[0].z_what, ["Ball", "Player"] * 8)

    monkeypatch.setattr(validation, "QUICK", 2)
    monkeypatch.setattr(validation, "known_samples", known)
    space = make_space().train()
    before = {name: value.clone() for name, value in space.state_dict().items()}
    found = quick_classifiers(CONFIG, space, labelled)
    assert [*found] == ["1", "4"] and found["4"].class_names == ("Ball", "Player") and frames == [2 * 3]
    assert space.training
    assert all(torch.equal(value, before[name]) for name, value in space.state_dict().items())


def test_without_labels_or_without_a_match_there_are_none(labelled: Split, tmp_path: Path) -> None:
    bare = open_split(write_split(tmp_path / "bare", "validation"))
    assert quick_classifiers(CONFIG, make_space(), bare) == {}
    nothing = replace(CONFIG, scene=SceneConfig(threshold=1.0))
    assert quick_classifiers(nothing, make_space(), labelled) == {}
