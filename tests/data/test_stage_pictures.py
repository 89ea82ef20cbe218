"""The panels of each frame show what the stages found, and nothing where they found nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from spacetime_env.commands import record
from spacetime_env.config import MotionConfig
from spacetime_env.data import stage_pictures
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.shards import FrameBoxes
from spacetime_env.data.split import Split, open_split
from spacetime_env.data.stage_pictures import ADDED, CELL, EMPTY, MOTION, PARKED, TAKEN, TRUTH, stack_picture
from spacetime_env.objects.drawing import TITLE_HEIGHT
from tests.data.motion.test_rarity import HOME, parking, picture, view
from tests.data.test_split import RARITY, written
from tests.helpers.tiny import COLORS, NATIVE, SIZES

HEIGHT, WIDTH = 2 * NATIVE[0], 2 * NATIVE[1]  # of a panel without its title
FRAME, RARE, PARTS, VOTED, JOINED, BEFORE, MASK, CELLS = range(8)
PLAYER, BALL = (4 * w * h for w, h in SIZES.values())  # pixels of a panel


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The ball of its stacks of 3 frames is in the frame at t = 0 and 2, in the frame before at t = 1."""
    return open_split(written(tmp_path_factory.mktemp("both"), labels=True), None, RARITY, 2)


def panel(image: np.ndarray, t: int, k: int) -> np.ndarray:
    row = image[t * (HEIGHT + TITLE_HEIGHT) : (t + 1) * (HEIGHT + TITLE_HEIGHT)]
    return row[TITLE_HEIGHT:, k * (WIDTH + 2) : k * (WIDTH + 2) + WIDTH]


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((image == color).all(-1).sum())


def test_a_row_a_frame_and_a_panel_a_stage(both: Split) -> None:
    image = stack_picture(both, 1)
    assert image.dtype == np.uint8
    assert image.shape == (3 * (HEIGHT + TITLE_HEIGHT), 8 * WIDTH + 7 * 2, 3)
    for t in range(3):
        titles = image[t * (HEIGHT + TITLE_HEIGHT) :][:TITLE_HEIGHT]
        assert all(titles[:, k * (WIDTH + 2) :][:, :WIDTH].any() for k in range(8))
        assert all(len(np.unique(panel(image, t, k))) > 1 for k in range(8))  # none is blank


@pytest.mark.parametrize(("t", "ball"), [(0, BALL), (1, 0), (2, BALL)])
def test_what_each_panel_shows(both: Split, t: int, ball: int) -> None:
    image = stack_picture(both, 1)
    shown = [panel(image, t, k) for k in range(8)]
    number = 3 + t
    assert count(shown[FRAME], COLORS["Ball"]) > 0  # the brighter of the two frames
    assert count(shown[FRAME], MOTION) > 100
    (view_,) = [one for i, one in enumerate(both.views([1])) if i == t]
    stages = both.rare_motion.trace(view_).stages
    assert count(shown[RARE], (255, 255, 255)) == 4 * stages.foreground.sum() > 0
    assert (shown[PARTS] != EMPTY).any(-1).sum() == 4 * stages.parts.areas[stages.usable].sum() >= PLAYER + ball
    assert (shown[VOTED] != EMPTY).any(-1).sum() == 4 * stages.parts.areas[stages.voted].sum() == PLAYER + ball
    # A part keeps its colour; parts that were not voted for are gone.
    taken = (shown[VOTED] != EMPTY).any(-1)
    assert (shown[VOTED][taken] == shown[PARTS][taken]).all()
    assert len(np.unique(shown[VOTED].reshape(-1, 3), axis=0)) == (3 if ball else 2)
    assert count(shown[JOINED], TAKEN) == PLAYER + ball and count(shown[JOINED], MOTION) > 30
    edge = 2 * (2 * SIZES["Ball"][0] + 2 * SIZES["Ball"][1] + 2)  # of a box around the ball
    assert count(shown[BEFORE], ADDED) == (0 if ball else edge)
    assert count(shown[BEFORE], COLORS["Ball"]) == (0 if ball else BALL)
    assert (shown[MASK][::2, ::2, 0] == both.motion_masks(None, [1])[0, t]).all()
    assert count(shown[MASK], (255, 255, 255)) == PLAYER + BALL
    assert len(both.motion_boxes[number]) == 2 and count(shown[CELLS], CELL) > 30


def test_without_the_frame_before_there_is_no_panel_of_it(both: Split) -> None:
    one = open_split(both.path, None, RARITY, 1)
    image = stack_picture(one, 1)
    assert image.shape == (3 * (HEIGHT + TITLE_HEIGHT), 7 * WIDTH + 6 * 2, 3)
    assert count(image, ADDED) == 0
    assert count(panel(image, 1, MASK - 1), (255, 255, 255)) == PLAYER  # the ball is not looked for
    assert count(panel(image, 1, FRAME), COLORS["Ball"]) == 0


@pytest.mark.parametrize(("motion", "panels"), [(RARITY, 8), (MotionConfig(), 4)], ids=["rarity", "difference"])
def test_ground_truth_is_drawn_where_it_is_known(
    both: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, motion: MotionConfig, panels: int
) -> None:
    """Names, and boxes where no motion box covers them: in the frame alone."""
    unknown = stack_picture(open_split(written(tmp_path, labels=False), None, motion, 2), 0)
    split = open_split(both.path, None, motion, 2)
    changed = (stack_picture(split, 0) != unknown).any(-1)
    gap = 2 if panels == 8 else 0
    per_panel = [changed[:, k * (WIDTH + gap) :][:, :WIDTH].sum() for k in range(panels)]
    assert per_panel[0] > 50 and not any(per_panel[1:])
    moved = split.labels
    monkeypatch.setattr(split, "labels", FrameBoxes(moved.boxes + 3, moved.offsets, moved.names))
    assert count(stack_picture(split, 0), TRUTH) > 100 and count(unknown, TRUTH) == 0


def test_parked_parts_have_a_colour_of_their_own() -> None:
    asked = view(HOME, ("B", 9, 9, 2, 2), before=picture())
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    panels = stage_pictures._stages(parking().trace(asked), asked, palette)
    assert {image.shape for image in panels.values()} == {(28, 40, 3)}
    drawn = {name: int((image != EMPTY).any(-1).sum()) for name, image in panels.items()}
    assert drawn["parts that can be objects"] == 4 * (12 + 4) and drawn["voted for"] == 4 * 4
    joined = panels["parked (yellow) and joined"]
    assert count(joined, PARKED) == 4 * 12 and count(joined, TAKEN) == 4 * 4
    assert (joined[4:10, 4:12] == PARKED).all()
    assert list(stage_pictures._stages(parking().trace(replace(asked, before=None)), asked, palette))[:1] == [
        "rare pixels"
    ]


def test_nothing_found_is_drawn_too() -> None:
    asked = view()
    panels = stage_pictures._stages(parking().trace(asked), asked, np.zeros((256, 3), np.uint8))
    assert count(panels["voted for"], EMPTY) == count(panels["parked (yellow) and joined"], EMPTY) == 28 * 40


def test_the_published_way_keeps_its_row(both: Split) -> None:
    image = stack_picture(open_split(both.path, None, MotionConfig(), 1), 2)
    assert image.shape == (3 * HEIGHT, 4 * WIDTH, 3)
    panels = [image[:HEIGHT, k * WIDTH : (k + 1) * WIDTH] for k in range(4)]
    assert count(panels[0], MOTION) > 0 and count(panels[3], CELL) > 0
    assert set(np.unique(panels[2])) == {0, 255}


@pytest.mark.parametrize("motion", [RARITY, MotionConfig()], ids=["rarity", "difference"])
def test_stacks_that_are_not_there(both: Split, motion: MotionConfig) -> None:
    split = open_split(both.path, None, motion, 2)
    assert (stack_picture(split, -1) == stack_picture(split, 5)).all()
    with pytest.raises(IndexError):
        stack_picture(split, 6)


def test_plot_boxes_writes_them(both: Split, tmp_path: Path) -> None:
    assert record.plot_boxes(both, tmp_path / "few", slice(2)) == 2
    assert sorted(path.name for path in (tmp_path / "few").iterdir()) == ["stack-00000.png", "stack-00001.png"]
    drawn = np.asarray(cv2.imread(str(tmp_path / "few" / "stack-00001.png")))[..., ::-1]
    assert (drawn == stack_picture(both, 1)).all()
    assert record.plot_boxes(both, tmp_path / "part", slice(3, 5)) == 2
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["stack-00003.png", "stack-00004.png"]
    with pytest.raises(DatasetError, match="has the stacks 0 to 5, and none of those asked"):
        record.plot_boxes(both, tmp_path / "none", slice(6, 9))
    assert record.plot_boxes(both, tmp_path / "all", slice(None)) == 6


def test_masks_of_some_stacks(both: Split) -> None:
    masks = both.motion_masks()
    assert masks.shape == (6, 3, *NATIVE)
    assert (both.motion_masks(None, [4, 1]) == masks[[4, 1]]).all() and (masks[4] != masks[1]).any()
    assert (both.motion_masks((22, 18), [3]) == both.motion_masks((22, 18))[3:4]).all()
