from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import spacetime_env.agent
from spacetime_env import play
from tests.helpers.fakes import ColourModel


class Ends(gym.Wrapper[Any, Any, Any, Any]):
    """Pays 2 points a step, ends after 5, shows a patch that grows brighter, and notes how it is called."""

    closed = 0

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seeds: list[int | None] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        self.seeds.append(seed)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self.steps += 1
        observation, _, _, truncated, info = self.env.step(action)
        return observation, 2.0, self.steps == 5, truncated, info

    def render(self) -> Any:
        picture: Any = super().render()
        picture[:20, :20] = 40 * self.steps  # a GIF joins pictures that are the same
        return picture

    def close(self) -> None:
        self.closed += 1
        super().close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Ends:
    env = Ends(gym.make("SpaceTime/Pong-v5", model=ColourModel(), render_mode="rgb_array"))
    monkeypatch.setattr(spacetime_env.agent, "load_actor", lambda agent, model, **_: (lambda observation: 0, env))
    monkeypatch.setattr(play, "SAMPLES", (2, 4))
    return env


def test_plays_prints_and_writes(world: Ends, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gif = tmp_path / "new" / "a.gif"
    words = ["--episodes", "2", "--seed", "7", "--gif", str(gif), "--gif-steps", "4"]
    assert play.main(words) == 0
    said = capsys.readouterr().out
    assert said.count("return 10 (5 steps,") == 2
    assert said.count("step 2\n") == said.count("step 4\n") == 1  # of the first episode alone
    assert said.count("\nPlayer ") == 2  # one in each of the two tables
    assert "Mean return of 2 episodes: 10.0" in said and str(gif) in said
    assert world.seeds == [7, 8] and world.closed == 1
    with Image.open(gif) as picture:
        assert (picture.size, getattr(picture, "n_frames", 1)) == ((2 * 160, 2 * 210), 4)
        shown = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert (abs(shown.astype(int) - (0, 220, 255)).max(1) < 12).any()  # the colour of the first class's box
    assert [p.name for p in gif.parent.iterdir()] == ["a.gif"]  # no half-written file is left


def test_cuts_off_and_writes_no_gif(
    world: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert play.main(["--episodes", "1", "--max-steps", "3", "--gif-steps", "0"]) == 0
    said = capsys.readouterr().out
    assert "return 6 (3 steps, cut off" in said and "Mean return of 1 episode: 6.0" in said
    assert not list(tmp_path.iterdir())


def test_interrupted_keeps_what_it_has(world: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.zeros((210, 160, 3), np.uint8)

    def render() -> np.ndarray:
        if world.steps == 3:
            raise KeyboardInterrupt
        return frame

    monkeypatch.setattr(world, "render", render)
    assert play.main(["--gif", str(tmp_path / "a.gif")]) == 130
    assert (tmp_path / "a.gif").is_file() and world.closed == 1


def test_unwritable_gif_is_a_sentence(
    world: Ends, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    words = ["--episodes", "1", "--max-steps", "1", "--gif", str(tmp_path / "file" / "a.gif")]
    assert play.main(words) == 1
    assert "play: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--agent", "no-such"], ["--agent", "no-such", "--model", "pong"]])
def test_unknown_agent_is_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert play.main(words) == 1
    said = capsys.readouterr().err
    assert "no-such" in said and "Traceback" not in said


@pytest.mark.parametrize("words", [["--episodes", "0"], ["--max-steps", "-1"], ["--gif-steps", "x"]])
def test_wrong_numbers_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        play.main(words)
    assert words[0] in capsys.readouterr().err


def test_a_shipped_agent_is_loaded_without_a_warning() -> None:
    import warnings

    from spacetime_env.agent import load_agent

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        load_agent("pong-ppo")[1].close()
    assert not [str(one.message) for one in found if "mini-batch" in str(one.message)]
