"""The card, the pictures and where a run comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spacetime_env.data.split import open_split
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.objects.detections import from_boxes
from spacetime_env.space import Targets
from spacetime_env.training import card
from spacetime_env.training.pictures import picture
from tests.helpers.tiny import CONFIG, MODEL, NATIVE, make_space, write_split

SCORES = DetectionScores(
    frames=12,
    objects=24,
    precision=0.5,
    recall=0.25,
    f1=0.75,
    center_precision=0.75,
    center_recall=0.875,
    center_f1=0.875,
    perfect=0.5,
    overcount=0.25,
    undercount=0.25,
    error_rate=0.375,
    class_recall={"Ball": 0.125},
    name_accuracy=0.625,
)
FIGURES = card.Figures(
    detection=SCORES,
    relevant=replace(SCORES, f1=0.6875),
    few_shot={1: (0.5, 0.25), 16: (1.0, 0.0)},
    target_f1=0.9375,
    agent="pong-ppo",
    seed="5",
)


def test_card(tmp_path: Path) -> None:
    split = open_split(write_split(tmp_path, "train"))
    config = replace(CONFIG, seed=9, scene=replace(CONFIG.scene, ignore=((0, 0, 36, 7),)))
    text = card.card(config, {"test-pong-ppo": FIGURES}, {"data": 61.4, "training": 12.6}, split, "make it")
    for part in (
        "# Pong: a space+motion model",
        "Made by `make it`, seed 9, commit ",
        "6 stacks of 3 frames, policy 'random', seed 0",
        "Validation data: policy 'random'",
        "Trained for 6 steps of 2 stacks",
        "data 61 s (less where it was there already), training with its evaluations 13 s",
        "### test-pong-ppo: 12 frames, policy 'pong-ppo', seed 5",
        "| F1 at IoU 0.5 | 0.7500 |",
        "| recall of Ball | 0.1250 |",
        "| F1 at IoU 0.5 where all but the scene's classes is false | 0.6875 |",
        "| F1 of the motion targets themselves | 0.9375 |",
        "| 1-shot accuracy, mean of 5 draws (spread) | 0.5000 (0.2500) |",
        "Nothing is reported in [(0, 0, 36, 7)]",
    ):
        assert part in text, part
    bare = card.card(CONFIG, {}, {"data": 0, "training": 0}, split, "")
    assert "None: no test split with ground truth" in bare and "Nothing is reported in" not in bare
    assert "Made by `spacetime_env.training.pretrain.pretrain(config)`" in bare


def test_a_mix_in_words(tmp_path: Path) -> None:
    meta = open_split(write_split(tmp_path, "train")).meta
    mixed = replace(meta, agent="random+sticky-random+pong-ppo", size=13)  # files of 4: 4, 4, 4, 1
    assert card.who_played(mixed) == (
        "policies in turn, a shard each: 'random' (2 of 4 shards, 5 stacks), 'sticky-random' (1 of 4 shards, 4 stacks) "
        "and 'pong-ppo' (1 of 4 shards, 4 stacks)"
    )


def test_boxes_as_detections() -> None:
    found = from_boxes(np.array([[9.0, 11.0, 18.0, 22.0]]), NATIVE)
    assert found.boxes.tolist() == [[9, 11, 18, 22]] and found.z_where.tolist() == [[0.5, 0.5, 0, 0]]
    assert found.names == ["moving"] and found.confidence.tolist() == [1]
    assert len(from_boxes(np.zeros((0, 4), np.float32), NATIVE)) == 0


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_picture_has_a_row_a_frame_and_is_rgb(order: str) -> None:
    space = make_space(config=replace(MODEL, color_order=order))
    red = torch.tensor([1.0, 0.0, 0.0])
    frames = (red if order == "rgb" else red.flip(0))[None, :, None, None].expand(6, 3, 38, 32)
    with torch.no_grad():
        output = space(frames)
    z_pres, z_where = torch.zeros(6, 16, 1), torch.zeros(6, 16, 4)
    z_pres[:, 5], z_where[:, 5] = 1, torch.tensor([0.5, 0.5, 0.0, 0.0])
    targets = Targets(z_pres, z_where, torch.zeros(6, 1, 38, 32), 3)
    found = picture(frames, output, targets, order, count=2)
    assert found.shape == (2 * 38 * 3, 5 * 32 * 3, 3) and found.dtype == np.uint8
    assert (found[:, : 32 * 3] == (255, 0, 0)).all()  # the frames themselves
    # The box around the middle of the black mask: red lines 2 px outside of 24 to 72, 28.5 to 85.5.
    mask = found[: 38 * 3, 4 * 32 * 3 :]
    ys, xs = np.nonzero(mask.any(-1))
    assert (mask[ys, xs] == (255, 0, 0)).all()
    assert (xs.min(), xs.max()) == (22, 73) and (ys.min(), ys.max()) == (26, 87)
    assert picture(frames[:1], output, targets, order).shape[0] == 38 * 3
