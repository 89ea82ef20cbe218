"""Rooms by MuJoCo: what is drawn, where objects are, and what is said where it cannot draw."""

from __future__ import annotations

import builtins
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from spacetime_env.data import rooms
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.rooms import Room, RoomPainter


@pytest.fixture(scope="module", params=["large", "small"])
def painter(request: pytest.FixtureRequest) -> Iterator[RoomPainter]:
    if importlib.util.find_spec("mujoco") is None:  # importing it here would settle what it draws with
        pytest.skip("MuJoCo is not installed")
    try:
        made = RoomPainter(request.param, 64)
    except DatasetError as error:
        pytest.skip(str(error))
    with made:
        yield made


def test_a_room_follows_from_its_random_numbers(painter: RoomPainter) -> None:
    one, other = (painter.draw(np.random.default_rng(3)) for _ in range(2))
    assert one.picture.shape == (64, 64, 3) and one.picture.dtype == np.uint8
    np.testing.assert_array_equal(one.picture, other.picture)
    assert one.boxes.tolist() == other.boxes.tolist() and one.shapes == other.shapes
    assert not np.array_equal(painter.draw(np.random.default_rng(4)).picture, one.picture)


def test_boxes_are_those_of_objects(painter: RoomPainter) -> None:
    """They lie in the picture, are as many as fit the kind, and hold what differs from the scenery around them."""
    made = [painter.draw(np.random.default_rng(seed)) for seed in range(4)]
    for room in made:
        assert len(room.boxes) == len(room.shapes) <= painter.kind.objects[1]
        assert {*room.shapes} <= {*rooms.SHAPES}
        assert (room.boxes[:, :2] >= 0).all() and (room.boxes[:, 2:] >= 1).all()
        assert (room.boxes[:, :2] + room.boxes[:, 2:] <= 64).all()
    count = np.mean([len(room.boxes) for room in made])
    assert painter.kind.objects[0] - 2 <= count + 0.4 * painter.kind.objects[0]
    vivid = [saturation(room) for room in made]
    assert np.mean([inside for inside, _ in vivid]) > 2 * np.mean([outside for _, outside in vivid])


def saturation(room: Room) -> tuple[float, float]:
    """The mean spread of the colours' channels within boxes and elsewhere: the scenery is dull."""
    within = np.zeros(room.picture.shape[:2], bool)
    for x, y, w, h in room.boxes:
        within[y : y + h, x : x + w] = True
    spread = np.ptp(room.picture.astype(int), axis=2)
    return float(spread[within].mean()), float(spread[~within].mean())


def test_without_mujoco(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "mujoco":
            raise ImportError("no", name="mujoco")
        return real(name, *args, **kwargs)

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DatasetError, match=r"not installed: pip install 'spacetime-env\[rooms\]'"):
        RoomPainter("large")


def test_without_a_library_to_draw_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rooms.os, "name", "posix")
    monkeypatch.setattr(rooms.ctypes, "CDLL", lambda file: (_ for _ in ()).throw(OSError(file)))
    with pytest.raises(DatasetError, match=r"no library to draw with .* install libegl1 .* libosmesa6 \(OSMesa\)"):
        rooms.load_mujoco()


def test_a_library_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("an OpenGL platform library has not been loaded\ninto this process.")

    monkeypatch.setattr(rooms, "load_mujoco", Broken)
    with pytest.raises(DatasetError, match=r"cannot draw here \(an OpenGL .* loaded into this process\)\. On Debian"):
        RoomPainter("small")


def test_a_place_that_is_free() -> None:
    rng = np.random.default_rng(0)
    found = rooms._free(rng, [(0.0, 0.0, 1.0)], 0.5)
    assert found is not None and np.hypot(*found) > 1.52 and max(map(abs, found)) <= 1.7
    assert rooms._free(rng, [(0.0, 0.0, 9.0)], 0.5) is None
