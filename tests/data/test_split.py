"""Splits that hold the emulator's frame before each, and what is made of them before a training begins."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.config import Config, ConfigError, MotionConfig, RarityConfig
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.shards import FrameBoxes
from spacetime_env.data.split import Split, open_split
from spacetime_env.frames import resize
from spacetime_env.models.folder import load_model
from spacetime_env.training import pretrain, splits
from spacetime_env.training.step import require_settings
from tests.helpers.tiny import COLORS, CONFIG, NATIVE, write_split

# The objects of tests.helpers.tiny are 5 % and 3 % of the frame, and are at few places: common colours are rare enough.
RARITY = MotionConfig(
    foreground="rarity", rarity=RarityConfig(window=5, share=0.7, part_area=0.1, group_width=0.4, gap=1)
)
BOTH = replace(
    CONFIG,
    data=replace(CONFIG.data, subframes=2),
    motion=RARITY,
    model=replace(CONFIG.model, subframes=0),
)


def written(root: Path, split: str = "train", flicker: bool = True, **changes: object) -> Path:
    settings = {"window": 5, "subframes": 2, "labels": split != "train", **changes}
    return write_split(root, split, flicker=flicker, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("flickers"))


def colours_in(frame: np.ndarray) -> set[str]:
    return {name for name, colour in COLORS.items() if (frame == colour).all(-1).any()}


# Frames


def test_frames_are_the_brighter_of_the_two(folder: Path) -> None:
    one, two = open_split(folder), open_split(folder, subframes=2)
    shards = list(two.shards())
    assert [len(shard.ids) for shard in shards] == [4, 2]
    last = np.concatenate([shard.palette[shard.ids] for shard in shards])
    before = np.concatenate([shard.palette[shard.before] for shard in shards])
    assert (one.frames() == last).all()
    assert (two.frames() == np.maximum(last, before)).all() and (two.frames() != last).any()
    assert (two.frames([5, 0]) == np.maximum(last, before)[[5, 0]]).all()
    size = (19, 16)
    assert (two.small(size)[5] == resize(two.frames([5])[0], size)).all()
    # The ball is in the frame at even t; in the one before at odd t.
    assert [colours_in(frame) for frame in last[0]] == [{"Player", "Ball"}, {"Player"}, {"Player", "Ball"}]
    assert [colours_in(frame) for frame in two.frames()[0]] == [{"Player", "Ball"}] * 3


def test_motion_is_of_both_and_is_made_again_for_one(folder: Path) -> None:
    def found() -> tuple[int, int]:
        counts = [len(open_split(folder, None, RARITY, n).motion_boxes.boxes) for n in (1, 2)]
        return counts[0], counts[1]

    assert found() == found() == (18 * 2 - 6, 18 * 2)  # a ball missing in each stack
    two = open_split(folder, None, RARITY, 2)
    assert (two.motion_masks() > 0).sum() == 18 * (7 * 12 + 6 * 7)
    x, y, w, h = two.motion_boxes[1][1].astype(int).tolist()  # at t = 1, which shows no ball by itself
    assert (w, h) == (6, 7) and (two.frames([0])[0, 1, y : y + h, x : x + w] == COLORS["Ball"]).all()


def test_a_split_seen_in_another_way_is_as_if_opened_so(folder: Path) -> None:
    two, one = open_split(folder, None, RARITY, 2), open_split(folder, None, RARITY, 1)
    assert len(two.motion_boxes.boxes) == 18 * 2  # it is kept, and must not be handed on
    other = two.with_subframes(1)
    assert other.subframes == 1 and two.subframes == 2 and two.with_subframes(2) is two
    assert (other.frames() == one.frames()).all() and not (two.frames() == one.frames()).all()
    assert (other.motion_boxes.boxes == one.motion_boxes.boxes).all()
    assert (other.motion_masks() == one.motion_masks()).all()
    assert len(two.motion_boxes.boxes) == 18 * 2


def test_labels_are_of_what_is_drawn_in_either(tmp_path: Path) -> None:
    def seen(split: Split) -> list[list[str]]:
        labels: FrameBoxes = split.labels
        return [labels.names_of(f) for f in range(3)]

    both, ball = ["Player", "Ball"], ["Player"]
    kept = written(tmp_path / "two", "validation")
    assert seen(open_split(kept)) == seen(open_split(kept, subframes=2)) == [both] * 3
    assert seen(open_split(written(tmp_path / "one", "validation", subframes=1))) == [both, ball, both]


def test_views_are_what_was_stored(folder: Path) -> None:
    split = open_split(folder, None, RARITY)
    views = list(split.views([4, 1]))
    assert len(views) == 6
    for n, stack in enumerate((4, 1)):
        shard = split.shard(stack // 4)
        for t in range(3):
            view = views[n * 3 + t]
            assert view.before is not None and (view.ids == shard.ids[stack % 4, t]).all()
            assert (view.before == shard.before[stack % 4, t]).all() and view.steadiness.shape == NATIVE
    with pytest.raises(IndexError):
        list(split.views([6]))


@pytest.mark.parametrize(
    ("stored", "motion", "subframes", "message"),
    [
        (
            {"subframes": 1},
            RARITY,
            2,
            r"model\.subframes=2 needs .* recorded without: .*record it again with data\.sub",
        ),
        ({"window": 0}, RARITY, 1, r"what 5 steps before and after .* recorded with none: delete it or give another"),
        ({"window": 6}, RARITY, 1, r"what 5 steps before and after .* recorded with 6: delete it or give another"),
    ],
)
def test_what_was_not_recorded_cannot_be_asked_for(
    tmp_path: Path, stored: dict[str, int], motion: MotionConfig, subframes: int, message: str
) -> None:
    folder = written(tmp_path, **stored)
    with pytest.raises(DatasetError, match=message):
        open_split(folder, None, motion, subframes)
    assert len(open_split(folder)) == 6  # the published way needs neither


# Is it worth looking at two?


@pytest.mark.parametrize(
    ("flicker", "stored", "motion", "share"),
    [
        (True, {}, RARITY, 1 / 6),  # of six objects of a stack, a ball is in the frame before alone
        (False, {}, RARITY, 0.0),
        (True, {"subframes": 1}, RARITY, 0.0),
        (True, {}, MotionConfig(), 0.0),
    ],
)
def test_flicker(tmp_path: Path, flicker: bool, stored: dict[str, int], motion: MotionConfig, share: float) -> None:
    assert open_split(written(tmp_path, flicker=flicker, **stored), None, motion).flicker() == pytest.approx(share)


@pytest.mark.parametrize(("flicker", "chosen"), [(True, 2), (False, 1)])
def test_a_model_looks_at_both_frames_where_something_flickers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flicker: bool, chosen: int
) -> None:
    config = replace(BOTH, data=replace(BOTH.data, root=str(tmp_path)))
    written(tmp_path, flicker=flicker)
    train = splits.prepare_split(config, "train")
    assert train.subframes == 2  # to find out
    settled = splits.settle_subframes(config, train)
    assert settled == replace(config, model=replace(config.model, subframes=chosen))
    assert f"{16.7 if flicker else 0.0}% of what moves" in capsys.readouterr().out
    assert splits.prepare_split(settled, "train").subframes == chosen
    # What is settled stays, whatever the data are.
    for given in (1, 2):
        asked = replace(config, model=replace(config.model, subframes=given))
        assert splits.settle_subframes(asked, train) is asked


def test_training_settles_it_and_the_model_has_it(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        written(tmp_path, split)
    config = replace(
        BOTH,
        data=replace(BOTH.data, root=str(tmp_path)),
        train=replace(CONFIG.train, steps=2, eval_every=2, save_every=2, picture_every=2),
    )
    model = load_model(pretrain.pretrain(config, tmp_path / "model", tmp_path / "run"))
    assert model.config == replace(config.model, subframes=2)
    # Run again, it knows its own checkpoints, though the configuration says 0 as before.
    pretrain.pretrain(config, tmp_path / "model", tmp_path / "run")


def test_it_cannot_be_settled_without_the_frames_before(tmp_path: Path) -> None:
    written(tmp_path, subframes=1)
    config = replace(BOTH, data=replace(BOTH.data, root=str(tmp_path), subframes=1))
    with pytest.raises(DatasetError, match=r"set data\.subframes=2"):
        splits.prepare_split(config, "train")


@pytest.mark.parametrize("subframes", [-1, 3])
def test_other_numbers_of_frames_are_refused(subframes: int) -> None:
    for fine in (0, 1, 2):
        require_settings(replace(BOTH, model=replace(BOTH.model, subframes=fine)))
    with pytest.raises(ConfigError, match=rf"model\.subframes: expected 0, 1 or 2, got {subframes}"):
        require_settings(replace(BOTH, model=replace(BOTH.model, subframes=subframes)))


# Test splits


def test_test_splits_are_those_with_labels_as_the_model_sees_them(tmp_path: Path) -> None:
    config = replace(BOTH, data=replace(BOTH.data, root=str(tmp_path)), model=replace(BOTH.model, subframes=2))
    assert splits.test_splits(config) == []
    written(tmp_path, "validation")
    written(tmp_path, "test")
    written(tmp_path, "test", agent="nobody", labels=False)
    written(tmp_path, "test", agent="other")
    (tmp_path / "Pong" / "test-empty").mkdir()
    found = splits.test_splits(config)
    assert [split.path.name for split in found] == ["test-other", "test-random"]
    assert {(split.subframes, split.motion_config.foreground) for split in found} == {(2, "rarity")}
    written(tmp_path, "test", agent="third", subframes=1)
    with pytest.raises(DatasetError, match=r"test-third was recorded without"):
        splits.test_splits(config)


@pytest.mark.skipif(importlib.util.find_spec("ocatari") is None, reason="OCAtari is not installed")
def test_a_test_agent_has_its_split_recorded(tmp_path: Path) -> None:
    data = replace(CONFIG.data, root=str(tmp_path), test_agent="sticky-random", eval_size=2, warmup=3, gap=2)
    config: Config = replace(CONFIG, data=data)
    (found,) = splits.test_splits(config)
    assert found.path == tmp_path / "Pong" / "test-sticky-random" and len(found) == 2
    index = (found.path / "index.yaml").stat().st_mtime_ns
    assert [split.path for split in splits.test_splits(config)] == [found.path]
    assert (found.path / "index.yaml").stat().st_mtime_ns == index
    with pytest.raises(ConfigError, match=r"data\.test_agent: no agent 'nobody'"):
        splits.test_splits(replace(config, data=replace(data, test_agent="nobody")))
