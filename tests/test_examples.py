"""What the scripts in examples/ are made of. Those that need a package of the extra ``examples`` skip without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spacetime_env.data.env_players import RandomActions
from spacetime_env.data.env_recording import EnvRecording, record_env
from spacetime_env.data.pictures import open_pictures
from spacetime_env.data.true_boxes import TrueBoxes


def test_the_true_boxes_of_minigrid_hold_what_is_drawn(tmp_path: Path) -> None:
    """By colour: the agent is red, the balls are blue, and each box is that of the coloured pixels to a pixel."""
    pytest.importorskip("minigrid", reason="MiniGrid is not installed: pip install 'spacetime-env[examples]'")
    asked = EnvRecording(
        "minigrid:MiniGrid-Dynamic-Obstacles-8x8-v0", {"highlight": False, "agent_start_pos": None}, size=1, length=2
    )
    boxes = TrueBoxes("examples.minigrid_boxes:boxes")
    record_env(tmp_path / "balls", asked, RandomActions(), boxes, progress=False)
    test = open_pictures(tmp_path / "balls" / "test", 2)
    assert test.native == (256, 256) and test.meta.classes == ("Agent", "Ball")
    frames, directions = test.frames().reshape(-1, 256, 256, 3).astype(int), set()
    for f, frame in enumerate(frames):
        names = test.labels.names_of(f)
        assert names == ["Agent"] + ["Ball"] * 4
        for name, (x, y, w, h) in zip(names, test.labels[f], strict=True):
            left, top = int(x // 32 * 32), int(y // 32 * 32)
            tile = frame[top + 1 : top + 32, left + 1 : left + 32]
            ys, xs = np.nonzero(tile[..., 0 if name == "Agent" else 2] > 60)
            drawn = (left + 1 + xs.min(), top + 1 + ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
            np.testing.assert_allclose((x, y, w, h), drawn, atol=2)
            directions.add((name, w > h))
    assert len(directions) == 3  # agents that look along both axes, and round balls
