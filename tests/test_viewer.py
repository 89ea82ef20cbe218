from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from spacetime_env import viewer
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.objects.detections import Detections, table
from spacetime_env.objects.drawing import COLOURS, draw, enlarge, side_by_side
from tests.helpers.fakes import make_pong

H, W = 40, 60


def detections(*boxes: tuple[float, ...], names: tuple[str, ...] = ("Player", "Ball")) -> Detections:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(array)
    ids = np.arange(n) % len(names)
    confidence = np.linspace(0.9, 0.8, n, dtype=np.float32)
    z_what = np.zeros((n, 2), np.float32)
    return Detections(array, boxes_to_z_where(array, (H, W)), ids, confidence, z_what, names)


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def test_draw_by_hand() -> None:
    frame = np.full((H, W, 3), 7, np.uint8)
    picture = draw(frame, detections((20, 25, 5, 10)), scale=3)
    assert picture.shape == (3 * H, 3 * W, 3) and (frame == 7).all()
    # The box is one pixel wide, around the object: columns 59 and 75, rows 74 and 105.
    for edge in (picture[74, 59:76], picture[105, 59:76], picture[74:106, 59], picture[74:106, 75]):
        assert (edge == COLOURS[0]).all()
    assert (picture[75:105, 60:75] == 7).all()  # the object itself stays as it is
    assert (picture[110:] == 7).all() and not (picture[50:74] == 7).all()  # its name is above it


def test_draw_writes_the_confidence_if_asked() -> None:
    frame, found = np.zeros((H, W, 3), np.uint8), detections((20, 25, 5, 10))
    assert (draw(frame, found) != draw(frame, found, confidence=False)).any()


def test_names_stay_in_the_picture_and_apart() -> None:
    frame = np.full((H, W, 3), 255, np.uint8)
    corners = [(0, 0, 4, 4), (W - 4, 0, 4, 4), (0, H - 4, 4, 4), (W - 4, H - 4, 4, 4), (W - 5, H - 5, 4, 4)]
    for box in corners:
        black = (draw(frame, detections(box)) == 0).all(-1)
        assert black.sum() > 300  # the whole label, not the part that fits
    both = draw(frame, detections((20, 20, 4, 4), (21, 20, 4, 4)))
    alone = [draw(frame, detections(box)) for box in ((20, 20, 4, 4), (21, 20, 4, 4))]
    assert (both == 0).all(-1).sum() > 1.4 * max((picture == 0).all(-1).sum() for picture in alone)


def test_draw_nothing_and_outside() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    assert (draw(frame, detections(), scale=2) == enlarge(frame, 2)).all()
    assert draw(frame, detections((-50, -50, 4, 4), (500, 500, 4, 4))).shape == (3 * H, 3 * W, 3)


def test_classes_have_colours_of_their_own_and_never_run_out() -> None:
    names = tuple(f"c{i}" for i in range(25))
    picture = draw(np.zeros((200, 200, 3), np.uint8), detections(*[(7 * i, 50, 5, 5) for i in range(25)], names=names))
    assert len(set(COLOURS)) == len(COLOURS) == 10
    assert all((picture == colour).all(-1).any() for colour in COLOURS)


@pytest.mark.parametrize("scale", [0, -1, 1.5, True])
def test_bad_scale(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale to be a whole number"):
        draw(np.zeros((H, W, 3), np.uint8), detections(), scale=scale)


def test_draw_refuses_what_is_no_frame() -> None:
    with pytest.raises(ValueError, match="expected uint8 frames"):
        draw(np.zeros((H, W, 3), np.float32), detections())


def test_side_by_side() -> None:
    one, other = np.full((H, W, 3), 50, np.uint8), np.full((H, W, 3), 200, np.uint8)
    picture = side_by_side({"frame": one, "alpha g": other}, scale=2)
    assert picture.shape[1] == 2 * 2 * W + 2 and picture.shape[0] > 2 * H
    bottom = picture[-2 * H :]
    assert (bottom[:, : 2 * W] == 50).all() and (bottom[:, 2 * W + 2 :] == 200).all()
    assert (picture[: -2 * H] > 0).any()  # the titles


def test_table() -> None:
    text = table(detections((1.25, 20, 4, 16.5), (100, 2, 3, 4)))
    assert [line.split() for line in text.splitlines()] == [
        ["name", "x", "y", "w", "h", "confidence"],
        ["Player", "1.2", "20.0", "4.0", "16.5", "0.90"],
        ["Ball", "100.0", "2.0", "3.0", "4.0", "0.80"],
    ]
    assert table(detections()).endswith("nothing found")


def test_watch(tmp_path: Path, bundled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--model",
        "some/folder",
        "--steps",
        "40",
        "--every",
        "20",
        "--out",
        str(tmp_path / "new"),
        "--seed",
        "2",
    ]
    assert viewer.main(words) == 0
    assert bundled == ["some/folder"]
    out = capsys.readouterr().out
    assert out.count("name ") == 3 and "step 40" in out and "Player  " in out
    names = [f"{kind}-000{step:02d}.png" for kind in ("frame", "parts") for step in (0, 20, 40)]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [*names, "play.gif"]
    with Image.open(tmp_path / "new" / "frame-00040.png") as picture:
        assert picture.size == (480, 630)
    with Image.open(tmp_path / "new" / "parts-00040.png") as picture:
        assert picture.size == (5 * 320 + 4 * 2, 435)
    with Image.open(tmp_path / "new" / "play.gif") as film:
        assert film.size == (320, 420) and 20 < film.n_frames <= 41  # PIL joins frames that are alike


def test_watch_says_where_episodes_end(tmp_path: Path, bundled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    gym.register("Short/Pong-v0", entry_point=make_pong, max_episode_steps=3, kwargs={"render_mode": "rgb_array"})
    try:
        env = gym.make("Short/Pong-v0")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(viewer, "_actor", lambda *_: (lambda observation: 0, env))
            viewer.watch("pong", steps=7, every=100, out=tmp_path)
    finally:
        del gym.registry["Short/Pong-v0"]
    out = capsys.readouterr().out
    assert "ended after step 3 with a return of 0" in out and "ended after step 6" in out


def test_watch_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spacetime_env.agent.folder

    asked: list[Any] = []

    def act(observation: np.ndarray) -> Any:
        assert observation.shape == (3, 7)
        asked.append("act")
        return np.int64(3)

    def load_actor(path: str, model: Any, **options: Any) -> tuple[Any, gym.Env]:
        asked.append((path, model, options))
        return act, make_pong(render_mode=options["render_mode"])

    monkeypatch.setattr(spacetime_env.agent, "load_actor", load_actor)
    viewer.watch(agent="agents/pong-ppo", steps=2, out=tmp_path)
    assert asked == [("agents/pong-ppo", None, {"render_mode": "rgb_array"}), "act", "act"]
    viewer.watch("other", agent="agents/pong-ppo", steps=1, out=tmp_path)
    assert asked[3] == ("agents/pong-ppo", "other", {"render_mode": "rgb_array"})


def test_what_was_seen_is_saved_when_it_is_stopped(
    tmp_path: Path, bundled: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(self: Any, observation: Any) -> None:
        raise KeyboardInterrupt

    env = make_pong(render_mode="rgb_array")
    monkeypatch.setattr(viewer, "_actor", lambda *_: (lambda observation: stop(None, observation), env))
    assert viewer.main(["--out", str(tmp_path)]) == 130
    assert (tmp_path / "play.gif").is_file() and "stopped" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(210, 160), (105, 80), (420, 320)])
def test_look_at_image(
    tmp_path: Path, bundled: list[Any], capsys: pytest.CaptureFixture[str], size: tuple[int, int]
) -> None:
    frame = np.full((*size, 3), (144, 72, 17), np.uint8)
    scale = size[0] / 210
    frame[int(100 * scale) : int(116 * scale), int(140 * scale) : int(144 * scale)] = (92, 186, 92)
    Image.fromarray(frame).save(tmp_path / "seen.png")
    assert viewer.main(["--image", str(tmp_path / "seen.png"), "--out", str(tmp_path / "out")]) == 0
    assert bundled == ["pong"]
    out = capsys.readouterr().out
    assert ("resized" in out) == (size != (210, 160))
    if size != (105, 80):  # made larger, its colours are mixed
        assert ["Player", "140.0", "100.0", "4.0", "16.0", "0.99"] in [line.split() for line in out.splitlines()]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["seen-frame.png", "seen-parts.png"]


def test_bad_images(tmp_path: Path, bundled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    for name, message in (
        ("none.png", "there is no picture"),
        ("text.png", "is not a picture that can be read"),
    ):
        assert viewer.main(["--image", str(tmp_path / name), "--out", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("load_model: ") and message in error and error.count("\n") == 1


def test_no_such_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert viewer.main(["--model", "pnog", "--out", str(tmp_path / "new")]) == 1
    assert not (tmp_path / "new").exists()
    assert "no model 'pnog'" in capsys.readouterr().err


def test_no_display(no_screen: None, tmp_path: Path, bundled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert viewer.main(["--human", "--out", str(tmp_path)]) == 1
    assert "no display to open a window on" in capsys.readouterr().err


def test_an_opencv_without_windows(no_screen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", fail, raising=False)
    with pytest.raises(viewer.ViewerError, match=r"opencv-python-headless.*or: leave --human off"):
        viewer.Window()


def test_a_window_ends_the_play(tmp_path: Path, bundled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    keys = iter([-1, -1, ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None, raising=False)
    monkeypatch.setattr(cv2, "imshow", lambda title, picture: shown.append(picture), raising=False)
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys), raising=False)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0, raising=False)
    monkeypatch.setattr(cv2, "destroyWindow", lambda _: shown.append(np.zeros(0)), raising=False)
    viewer.watch("pong", steps=50, out=tmp_path, human=True)
    assert [picture.shape for picture in shown] == [(630, 480, 3)] * 3 + [(0,)]
    with Image.open(tmp_path / "frame-00000.png") as picture:
        rgb = np.asarray(picture)
    assert (shown[0][..., ::-1] == rgb).all() and not (shown[0] == rgb).all()  # OpenCV shows BGR


@pytest.mark.parametrize("words", [["--steps", "0"], ["--every", "-1"], ["--steps", "1.5"], ["--stepz", "3"]])
def test_bad_words(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        viewer.main(words)


def test_a_full_disk_keeps_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = viewer.save(tmp_path / "a.png", np.zeros((4, 5, 3), np.uint8))
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        viewer.save(path, np.ones((4, 5, 3), np.uint8))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_root_script_is_thin() -> None:
    script = Path(__file__).parent.parent / "load_model.py"
    assert "from spacetime_env.viewer import main" in script.read_text()
    assert len(script.read_text().splitlines()) < 30


def test_a_device_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((210, 160, 3), np.uint8)).save(picture)
    for words in (["--image", str(picture)], []):
        assert viewer.main([*words, "--device", "gpu", "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert said.startswith("load_model: 'gpu' cannot be used (") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert viewer.main(["--image", str(picture), "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
