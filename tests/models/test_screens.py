"""Palette numbers in place of RGB: the same pixels."""

from __future__ import annotations

from typing import Any, ClassVar

import ale_py
import numpy as np
import pytest

from spacetime_env.envs.emulator import EmulatorEnv, has_ntsc_colors, keep_subframes
from spacetime_env.envs.env import make_env
from spacetime_env.models import screens
from spacetime_env.models.model import Model
from spacetime_env.models.screens import Palette, PaletteFullError, Screen, ntsc_colors
from spacetime_env.objects.detections import from_boxes
from tests.helpers.fakes import ColourModel
from tests.helpers.forms import both_forms

form = both_forms(screens)  # everything in both


@pytest.mark.parametrize("game", ["pong", "space_invaders", "seaquest", "breakout"])
def test_the_colours_are_those_of_the_emulator(game: str) -> None:
    env: Any = ale_py.AtariEnv(game, frameskip=4)
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        frame = env.step(int(rng.integers(env.action_space.n)))[0]
        assert has_ntsc_colors(env)
        assert (ntsc_colors()[env.ale.getScreen()] == frame).all()


def test_another_console_has_other_colours() -> None:
    env: Any = ale_py.AtariEnv("air_raid")
    env.reset(seed=1)
    assert not has_ntsc_colors(env)


def test_two_that_are_alike_are_what_they_are() -> None:
    ids = np.array([[0, 2, 4], [6, 8, 254]], np.uint8)
    assert (Palette().brighter(ids, ids.copy()) == ids).all()


def test_a_mixture_by_hand() -> None:
    palette = Palette()
    palette.colors[2], palette.colors[4], palette.colors[6] = (10, 200, 0), (90, 20, 0), (10, 150, 0)
    palette._numbers = {tuple(color): i for i, color in enumerate(palette.colors.tolist()) if i in (0, 2, 4, 6)}
    ids, before = np.array([[2, 2, 4], [0, 6, 4]], np.uint8), np.array([[2, 4, 2], [4, 2, 4]], np.uint8)
    given = ids.copy()
    flat = palette.brighter(ids, before)
    # Alike; mixed to (90, 200, 0), which gets a number of its own, in either order; over black; brighter in all; alike.
    assert flat[0, 1] == flat[1, 0] - 4 + flat[0, 2] and flat[0, 1] % 2 == 1
    assert flat.tolist() == [[2, flat[0, 1], flat[0, 1]], [4, 2, 4]]
    assert palette.colors[flat[0, 1]].tolist() == [90, 200, 0]
    assert (palette.brighter(ids, before) == flat).all()  # the same number again
    assert (ids == given).all()


def test_all_numbers_given_away() -> None:
    palette = Palette()
    palette._free = []
    ids, before = np.full((2, 3), 0x42, np.uint8), np.full((2, 3), 0x84, np.uint8)
    with pytest.raises(PaletteFullError):
        palette.brighter(ids, before)
    assert (palette.brighter(ids, ids) == ids).all()  # no mixture


def test_a_model_goes_on_when_all_numbers_are_given_away() -> None:
    env = make_env("SpaceInvaders")
    model: Any = env.model
    frame, _ = env.begin(seed=0)
    assert isinstance(frame, Screen) and frame.before is not None
    frames = [frame, *(env.advance(action)[0] for action in (0, 1, 2, 3, 1, 0))]
    memory, full = model.begin(1), model.begin(1)
    for i, frame in enumerate(frames):
        if i == 3:
            full.palette._free, full.palette._numbers = [], {}
            full.palette._mixed[:] = -1
        (one,), (other,) = (model.follow([frame], [0], of) for of in (memory, full))
        assert len(one) > 10 and one.names == other.names
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-4)


def test_a_black_screen_does_not_tell_the_console() -> None:
    """SirLancelot begins with one, and then has the colours of a PAL console: its frames are seen in RGB."""

    class Seeing(ColourModel):
        game, native, sees_screens = "SirLancelot", (250, 160), True
        seen: ClassVar[list[type]] = []

        def detect(self, frames: Any) -> list[Any]:
            self.seen.extend(type(frame) for frame in frames)
            return [from_boxes(np.zeros((0, 4)), self.native) for _ in frames]

    game: Any = EmulatorEnv("sir_lancelot")
    game.reset(seed=0)
    assert has_ntsc_colors(game) is None
    env = make_env("SirLancelot", Seeing())
    env.reset(seed=0)
    for _ in range(40):
        env.step(0)
    assert has_ntsc_colors(env.unwrapped) is False and set(Seeing.seen) == {np.ndarray}
    pong = Seeing()
    pong.game, pong.native = "Pong", (210, 160)  # type: ignore[misc]
    Seeing.seen.clear()
    env = make_env("Pong", pong)
    env.reset(seed=0)
    assert Seeing.seen == [Screen]


@pytest.mark.parametrize("game", ["space_invaders", "asteroids"])
def test_mixtures_are_the_brighter_of_each_place(game: str) -> None:
    env: Any = keep_subframes(EmulatorEnv(game, frameskip=4))
    keep_subframes(env, keep_ids=True)
    env.reset(seed=1)
    rng, palette, mixed = np.random.default_rng(0), Palette(), 0
    for _ in range(150):
        frame = env.step(int(rng.integers(env.action_space.n)))[0]
        flat = palette.brighter(env.ale.getScreen(), env.before_ids)
        assert (palette.colors[flat] == np.maximum(frame, env.before)).all()
        mixed += int((frame != env.before).any())
    assert mixed > 20  # there was something to mix


def test_a_quiet_game_shows_nothing_and_plays_on() -> None:
    for keeps, settings in ((False, {"frameskip": 4}), (True, {"frameskip": (2, 5)})):
        ours, theirs = EmulatorEnv("breakout", **settings), ale_py.AtariEnv("breakout", **settings)
        if keeps:
            keep_subframes(ours)
        ours.reset(seed=3)
        theirs.reset(seed=3)
        for step in range(40):
            ours.quiet = step % 4 > 0
            mine, wanted = ours.step(step % 4), theirs.step(step % 4)
            assert mine[1:] == wanted[1:]
            assert mine[0] is None if ours.quiet else (mine[0] == wanted[0]).all()
            assert (ours.ale.getScreenRGB() == wanted[0]).all()


@pytest.mark.parametrize("game", ["Pong", "SpaceInvaders"])
def test_an_environment_sees_the_same_by_its_screen_as_in_rgb(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped models of these games: one looks at one frame of the emulator, the other at two."""
    by_screen, by_rgb = make_env(game, render_mode="rgb_array"), make_env(game)
    assert by_screen.model.sees_screens  # type: ignore[attr-defined]
    rng, picture = np.random.default_rng(2), None
    for step in range(140):
        if step % 70 == 0:
            with monkeypatch.context() as patch:
                patch.setattr(Model, "sees_screens", False)
                wanted = by_rgb.reset(seed=step)
            found: Any = by_screen.reset(seed=step)
            assert isinstance(by_screen.begin(seed=step)[0], Screen)
            found = by_screen.reset(seed=step)
        else:
            action = int(rng.integers(by_rgb.action_space.n))  # type: ignore[attr-defined]
            with monkeypatch.context() as patch:
                patch.setattr(Model, "sees_screens", False)
                wanted = by_rgb.step(action)  # type: ignore[assignment]
            found = by_screen.step(action)
            picture = by_screen.render()
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
        assert found[1:-1] == wanted[1:-1]
        assert found[-1].keys() == wanted[-1].keys()
        for name, places in wanted[-1]["scene"].items():
            np.testing.assert_allclose(found[-1]["scene"][name], places, atol=1e-5)
    assert picture is not None and picture.shape == (210, 160, 3) and picture.any()
    base: Any = by_screen.unwrapped
    assert base is by_screen.env and base.step(0)[0].shape == (210, 160, 3)  # for others it is as it was
    by_screen.close()
    by_rgb.close()


def test_a_game_in_other_colours_is_seen_in_rgb_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool | None] = []

    def ask(game: EmulatorEnv) -> bool | None:
        asked.append(has_ntsc_colors(game))
        return asked[-1]

    class Seeing(ColourModel):
        game, native, sees_screens = "AirRaid", (250, 160), True

    monkeypatch.setattr("spacetime_env.envs.env.has_ntsc_colors", ask)
    env = make_env("AirRaid", Seeing())
    assert isinstance(env.begin(seed=1)[0], np.ndarray)
    env.advance(0)
    assert asked == [False]
    env.close()
