"""Where a network looks for centres, settled on validation frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spacetime_env.config import BackgroundConfig
from spacetime_env.data.split import open_split
from spacetime_env.space import Space
from spacetime_env.training import centers
from tests.helpers.tiny import CONFIG, write_split


@pytest.mark.parametrize(("some", "chosen"), [(1000, "drawn"), (999, "drawn"), (998, "beside")])
def test_one_in_a_thousand_may_be_missed(
    some: int, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def detect_all(model: Any, split: Any, stacks: Sequence[int]) -> list[str]:
        assert list(stacks) == list(range(len(split)))
        assert model.settings.model.centers == "drawn"
        return ["x" * some]

    monkeypatch.setattr(centers, "detect_all", detect_all)
    config = replace(CONFIG, model=replace(CONFIG.model, background=BackgroundConfig("fixed")))
    split = open_split(write_split(tmp_path, "validation"))
    found = centers.settle_centers(config, Space(config.model), split, ["x" * 600, "x" * 400])  # type: ignore[list-item]
    assert found.model.centers == chosen and found == replace(config, model=replace(config.model, centers=chosen))
    assert f"{some} of 1000 objects" in capsys.readouterr().out


def test_without_a_fixed_background_nothing_is_settled(tmp_path: Path) -> None:
    split = open_split(write_split(tmp_path, "validation"))
    config = replace(CONFIG, model=replace(CONFIG.model, background=BackgroundConfig("components")))
    assert centers.settle_centers(config, Space(CONFIG.model), split, []) is config
    drawn = replace(CONFIG, model=replace(CONFIG.model, background=BackgroundConfig("fixed"), centers="drawn"))
    assert centers.settle_centers(drawn, Space(drawn.model), split, []) is drawn
