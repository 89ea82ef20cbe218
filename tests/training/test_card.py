"""The cards of models of one game and of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from spacetime_env.config import SceneConfig
from spacetime_env.data.split import open_split
from spacetime_env.objects.detections import from_boxes
from spacetime_env.training import card
from tests.helpers.made import EVALUATION, SCORES, SPLIT_SCORES
from tests.helpers.tiny import CONFIG, JOINT_NATIVES, NATIVE, write_joint_data, write_split


def test_card(tmp_path: Path) -> None:
    split = open_split(write_split(tmp_path, "train"))
    config = replace(CONFIG, seed=9, scene=replace(CONFIG.scene, ignore=((0, 0, 36, 7),)))
    text = card.card_text(config, EVALUATION, {"data": 61.4, "training": 12.6}, split, "make it")
    for part in (
        "# Pong: a space+motion model",
        "Made by `make it`, seed 9, commit ",
        "6 stacks of 3 frames, policy 'random', seed 0",
        "Validation data: policy 'random'",
        "Trained for 6 steps of 2 stacks",
        "data 61 s (less where it was there already), training with its evaluations 13 s",
        "### test-pong-ppo: 12 frames, policy 'pong-ppo', seed 5",
        "| figure | drawn | RAM |",
        "| F1 at IoU 0.5 | 0.7500 | 0.5938 |",
        "| F1 at IoU 0.75 | 0.6562 | 0.6562 |",
        "| recall of Ball | 0.1250 | 0.1172 |",
        "| F1 at IoU 0.5, nothing neutral | 0.5781 |  |",
        "| F1 of the motion targets themselves | 0.9375 |  |",
        "| F1 at IoU 0.5 where all but the scene's classes is false |  | 0.6875 |",
        "| 1-shot accuracy, mean of 5 draws (spread) | 0.5000 (0.2500) | |",
        "24 objects are drawn. Neutral: sliver 7, unlisted 2.",
        "Nothing is reported in [(0, 0, 36, 7)]",
    ):
        assert part in text, part
    bare = card.card_text(CONFIG, None, {"data": 0, "training": 0}, split, "")
    assert "None: no test split with ground truth" in bare and "Nothing is reported in" not in bare
    assert "Made by `spacetime_env.training.pretrain.pretrain(config)`" in bare


def test_joint_card(tmp_path: Path) -> None:
    """Two of three games have a test split; the mean is over these two."""
    config = write_joint_data(tmp_path)
    config = replace(config, games={**config.games, "Tennis": SceneConfig()})
    trains = [open_split(tmp_path / game / "train-random") for game in JOINT_NATIVES]
    scores = replace(SPLIT_SCORES, detection=replace(SCORES, f1=0.25, recall=0.75), target_f1=0.0625)
    games = {
        "Carnival": replace(EVALUATION, by_split={"test-a": SPLIT_SCORES, "test-b": SPLIT_SCORES, "all": scores}),
        "Pong": EVALUATION,
        "Tennis": None,
    }
    subframes = {"Carnival": 2, "Pong": 1, "Tennis": 1}
    text = card.joint_card_text(config, games, subframes, {"data": 1, "training": 2}, trains, "make it")
    lines = text.splitlines()
    at = lines.index(
        "| game | F1 at IoU 0.5 | F1 at IoU 0.75 | F1 by centre distance | precision | recall "
        "| F1 of the motion targets | F1 at IoU 0.5, RAM boxes |"
    )
    assert lines[at + 2 : at + 8] == [
        "| Carnival | 0.2500 | 0.6562 | 0.8750 | 0.5000 | 0.7500 | 0.0625 | 0.5938 |",  # the last split counts
        "| Pong | 0.7500 | 0.6562 | 0.8750 | 0.5000 | 0.2500 | 0.9375 | 0.5938 |",
        "| Tennis | - | - | - | - | - | - | - |",
        "| mean of 2 | 0.5000 | 0.6562 | 0.8750 | 0.5000 | 0.5000 | 0.5000 | 0.5938 |",
        "",
        "No test split with ground truth was there of Tennis.",
    ]
    assert [line for line in lines if line.startswith("### ")] == [
        *(f"### {name}: 12 frames, policy 'pong-ppo', seed 5" for name in ("Carnival, test-a", "Carnival, test-b")),
        *(f"### {name}: 12 frames, policy 'pong-ppo', seed 5" for name in ("Carnival, all", "Pong, test-pong-ppo")),
    ]
    assert "- Frames are pooled with the emulator's frame before them in Carnival." in lines
    assert "- Tennis: what it does not see is not known, since no test split has ground truth." in lines


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
