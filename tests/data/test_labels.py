"""Ground truth from RAM: the arithmetic by hand, and against the pixels of a game that is played."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.data import labels
from spacetime_env.data.labels import LabelsError, RamObjects, ram_objects, visible
from spacetime_env.data.players import RandomPolicy

needs_ocatari = pytest.mark.skipif(importlib.util.find_spec("ocatari") is None, reason="OCAtari is not installed")

COLORS = {"Player": (92, 186, 92), "Enemy": (213, 130, 74), "Ball": (236, 236, 236)}
TOP, BOTTOM = 34, 194  # rows of Pong's field


def test_visible_by_hand() -> None:
    background = np.full((10, 12, 3), 50, np.uint8)
    frame = background.copy()
    frame[3, 8, 2] = 51  # one channel of one pixel, x = 8, y = 3
    boxes = np.array(
        [
            [7, 2, 2, 2],
            [3, 8, 2, 2],
            [8.5, 3.5, 1, 1],
            [9, 3, 2, 2],
            [-5, -5, 4, 4],
            [-2, 1, 20, 9],
            [30, 3, 2, 2],
        ]
    )
    assert visible(frame, background, boxes).tolist() == [True, False, True, False, False, True, False]
    assert visible(frame, background, np.zeros((0, 4))).shape == (0,)
    with pytest.raises(ValueError, match="expected the same"):
        visible(frame, background[:9], boxes)


@needs_ocatari
def test_pong_ram_by_hand() -> None:
    ram = np.zeros(128, np.uint8)
    ram[49], ram[54] = 100, 5  # the ball; 5 - 14 would be 247 in uint8
    ram[51] = 130  # the player
    boxes, names = ram_objects(ram, "Pong")
    assert names == ["Player", "Ball"]  # RAM 50 is 0: no enemy yet
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[140, 117, 4, 15], [51, -9, 2, 4]]
    with pytest.raises(ValueError, match=r"128 bytes.*shape \(2, 128\)"):
        ram_objects(np.zeros((2, 128)), "Pong")


@needs_ocatari
@pytest.mark.parametrize(("gray", "top"), [(248, 157), (0, 156)])
def test_airraid_ram_by_hand(gray: int, top: int) -> None:
    """OCAtari picks colours by a comparison as an index, which bytes of numpy do not make, and lets places be < 0."""
    ram = np.zeros(128, np.uint8)
    ram[84] = gray  # 248 where the game is in colour
    ram[19] = 50  # the player
    ram[20], ram[21] = 60, 140  # houses; the second reaches over the right edge, and comes in on the left
    ram[29:32] = 230, 44, 44  # one enemy, above the screen: 195 - 230
    ram[63], ram[66] = 1, 100
    ram[85] = 35  # no missile
    boxes, names = ram_objects(ram, "AirRaid")
    assert names == ["Player", "Building", "Building", "Building", "Enemy25"]
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [
        [47, top, 14, 12],
        [57, 178, 32, 32],
        [137, 178, 23, 32],
        [0, 178, 9, 32],
        [99, -35, 16, 18],
    ]


@needs_ocatari
def test_readers_do_not_share_what_they_remember() -> None:
    ram = np.zeros(128, np.uint8)
    ram[49], ram[54], ram[51] = 100, 60, 130
    first, second = RamObjects("Pong"), RamObjects("Pong")
    assert first.class_names == ("Player", "Ball", "Enemy")
    one, _ = first.read(ram)
    ram[49] = 90
    two, _ = second.read(ram)
    assert one[1, 0] == 51 and two[1, 0] == 41
    assert first.read(ram)[0].tolist() == two.tolist()


@needs_ocatari
def test_boxes_lie_on_the_pixels_that_are_drawn() -> None:
    policy = RandomPolicy()
    env, reader = policy.make_env("Pong"), RamObjects("Pong")
    policy.reset(5)
    observation, _ = env.reset(seed=5)
    ale = env.unwrapped.ale  # type: ignore[attr-defined]
    offsets: dict[str, list[np.ndarray]] = {name: [] for name in COLORS}
    drawn_without_box = box_without_drawing = 0
    for _ in range(400):
        observation, *_ = env.step(policy.act(env, observation))
        boxes, names = reader.read(ale.getRAM())
        frame = ale.getScreenRGB()[TOP:BOTTOM]
        for name, color in COLORS.items():
            y, x = np.nonzero((frame == color).all(-1))
            if not len(x) or name not in names:
                drawn_without_box += len(x) > 0
                box_without_drawing += name in names
                continue
            pixels = np.array([x.min(), y.min() + TOP, np.ptp(x) + 1, np.ptp(y) + 1])
            offsets[name].append(pixels - boxes[names.index(name)])
    assert drawn_without_box == 0
    assert box_without_drawing <= 4
    for name, found in offsets.items():
        assert len(found) > 150, name
        dx, dy, dw, dh = np.stack(found).T
        assert not dx.any() and not dw.any(), name  # and so no lag: the ball moves 2 to 4 px a step
        assert np.mean((abs(dy) <= 1) & (abs(dh) <= 2)) > 0.98, name
    assert np.median(np.stack(offsets["Player"])[:, 3]) == 1  # drawn 16 px tall, boxed 15
    assert np.median(np.stack(offsets["Ball"])[:, 3]) == 0


def test_without_ocatari_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabelsError, match=r"needs? OCAtari.*pip install --no-deps ocatari"):
        RamObjects("Pong")


@needs_ocatari
def test_a_game_that_ocatari_does_not_know() -> None:
    with pytest.raises(LabelsError, match="no RAM positions for Klax; record it without labels"):
        RamObjects("Klax")


@needs_ocatari
def test_what_a_module_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ram").mkdir()
    (tmp_path / "ram" / "odd.py").write_text("import not_there_at_all")
    monkeypatch.setattr(labels, "_PACKAGE", "spacetime_env._ocatari_test")
    monkeypatch.setattr(labels, "_location", lambda: tmp_path)
    with pytest.raises(LabelsError, match="needs not_there_at_all"):
        RamObjects("Odd")
