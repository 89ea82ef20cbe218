"""What is written down beside the frames: how steady each pixel was, and the emulator's frame before each."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.config import DataConfig, MotionConfig, RarityConfig
from spacetime_env.data import recorder, shards
from spacetime_env.data.meta import DatasetError, read_meta
from spacetime_env.data.motion import LEVELS, STRIDE, Window
from spacetime_env.data.players import RandomPolicy
from spacetime_env.data.playing import record_shard, seed_for
from spacetime_env.data.recorder import record
from spacetime_env.data.split import open_split
from spacetime_env.envs.emulator import keep_subframes
from spacetime_env.locks import hold
from tests.helpers.fakes import ColourModel

WINDOW = 8
RARITY = MotionConfig(foreground="rarity", rarity=RarityConfig(window=WINDOW))
# 5 stacks of 3 frames, in files of 3 and 2.
DATA = DataConfig(size=5, length=3, shard_size=3, gap=5, warmup=4, workers=1, subframes=2)


class Short(RandomPolicy):
    """Episodes of 17 steps, so that many windows reach over an end."""

    def make_env(self, game: str) -> gym.Env:
        return gym.wrappers.TimeLimit(super().make_env(game), 17)


def record_tiny(root: Path, pool: ThreadPoolExecutor | None = None, **changes: Any) -> Path:
    config = dataclasses.replace(DATA, root=str(root), **changes)
    return record("freeway", "train", Short(), config, RARITY, labels=False, progress=False, subframes=2, pool=pool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_tiny(tmp_path_factory.mktemp("recorded"))


def test_a_pool_records_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        other = record_tiny(tmp_path, pool)
        assert pool.submit(len, "open").result() == 4  # it is left open
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir()) and "frames-00001.npz" in names
    for name in names:
        assert (other / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.fixture(scope="module")
def played() -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """The first shard's game once more: episode, step, screen and the screen before, of 200 steps."""
    policy, seed = Short(), seed_for("train", 0, 0)
    env = policy.make_env("Freeway")
    kept: Any = keep_subframes(env, keep_ids=True)
    policy.reset(seed)
    observation, _ = env.reset(seed=seed)
    episode = step = 0
    out = [(episode, step, kept.ale.getScreen().copy(), kept.before_ids)]
    for _ in range(200):
        observation, _, terminated, truncated, _ = env.step(policy.act(env, observation))
        step += 1
        if terminated or truncated:
            observation, _ = env.reset()
            episode, step = episode + 1, 0
        out.append((episode, step, kept.ale.getScreen().copy(), kept.before_ids))
    return out


def test_steadiness_is_a_count_over_the_frames_around(folder: Path, played: list[Any]) -> None:
    shard = shards.read_shard(folder, read_meta(folder), 0)
    assert shard.steadiness is not None and shard.steadiness.shape == shard.ids.shape == (3, 3, 210, 160)
    places = [(episode, step) for episode, step, _, _ in played]
    counted = set()
    for i, t in np.ndindex(3, 3):
        at = places.index((int(shard.episodes[i]), int(shard.steps[i, t])))
        screen = played[at][2]
        assert (shard.ids[i, t] == screen).all()
        around = [
            played[n][2]
            for n in range(max(0, at - WINDOW), at + WINDOW + 1)
            if (n - at) % STRIDE == 0 and played[n][0] == played[at][0]
        ]
        same = np.sum([other == screen for other in around], axis=0)
        assert (shard.steadiness[i, t] == np.round(same * LEVELS / len(around))).all()
        counted.add(len(around))
    assert len(counted) > 1 and max(counted) <= 5  # some windows are cut by an episode's end; 2 * 8 / 3 + 1
    assert shard.steadiness.max() == LEVELS and 0 < shard.steadiness.min() < LEVELS  # itself counts


def test_before_is_the_emulators_frame_before(folder: Path, played: list[Any]) -> None:
    shard = shards.read_shard(folder, read_meta(folder), 0)
    assert shard.before is not None and shard.before.shape == shard.ids.shape
    places = [(episode, step) for episode, step, _, _ in played]
    for i, t in np.ndindex(3, 3):
        at = places.index((int(shard.episodes[i]), int(shard.steps[i, t])))
        assert (shard.before[i, t] == played[at][3]).all()
    assert (shard.before != shard.ids).any(axis=(2, 3)).sum() >= 3  # cars drive


def test_files_do_not_depend_on_workers(folder: Path, tmp_path: Path) -> None:
    several = record_tiny(tmp_path, workers=2)
    names = sorted(path.name for path in folder.iterdir())
    assert "frames-00001.npz" in names and names == sorted(path.name for path in several.iterdir())
    assert all((several / name).read_bytes() == (folder / name).read_bytes() for name in names)


class Variant(RandomPolicy):
    name = "variant"

    def make_env(self, game: str) -> gym.Env:
        return gym.make(f"ALE/{game}-v5", mode=1, difficulty=0)


def test_the_mode_and_difficulty_are_noted_where_they_are_not_the_games_own(folder: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(DATA, root=str(tmp_path), subframes=1, size=1, length=1)
    there = record("freeway", "train", Variant(), config, labels=False, progress=False, prepare=False)
    meta, old = read_meta(there), read_meta(folder)
    assert (meta.mode, meta.difficulty) == (1, None) and (old.mode, old.difficulty) == (None, None)
    text = (there / "meta.yaml").read_text()
    assert "\nmode: 1\n" in text and "difficulty" not in text and "mode" not in (folder / "meta.yaml").read_text()
    (there / "meta.yaml").write_text(text.replace("\nmode: 1\n", "\n"))  # as if it were of the game's own mode
    with pytest.raises(DatasetError, match="mode: None then, 1 now"):
        record("freeway", "train", Variant(), config, labels=False, progress=False, prepare=False)


def test_one_process_records_and_another_waits(folder: Path, tmp_path: Path) -> None:
    """The second says for whom it waits, and then records nothing again."""
    there = tmp_path / "Freeway" / "train-random"
    there.mkdir(parents=True)
    lock = hold(there)
    code = f"from pathlib import Path; from tests.data.test_recorder import *; record_tiny(Path({str(tmp_path)!r}))"
    other = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert other.stdout is not None
    said = other.stdout.readline()
    assert f"train-random is in use by process {os.getpid()} since " in said
    assert said.endswith("This one waits for it now.\n")
    assert [path.name for path in there.iterdir()] == ["lock"] and other.poll() is None
    for path in folder.iterdir():
        shutil.copy2(path, there)
    before = {path.name: path.stat().st_mtime_ns for path in there.iterdir() if path.name != "lock"}
    lock.close()
    assert other.wait(120) == 0
    assert {path.name: path.stat().st_mtime_ns for path in there.iterdir()} == before


def test_a_killed_recording_is_continued(folder: Path, tmp_path: Path) -> None:
    """After any of its writes: nothing, a lock and half a file, the settings, a shard, all shards."""
    there = tmp_path / "Freeway" / "train-random"
    one, all_of_them = ["meta.yaml", "frames-00001.npz"], ["meta.yaml", "frames-00000.npz", "frames-00001.npz"]
    for left in ([], ["meta.yaml"], one, all_of_them):
        there.mkdir(parents=True)
        for name in left:
            shutil.copy(folder / name, there)
        (there / "lock").write_text("killed")
        (there / ".frames-00000.npz.1-ab.tmp").write_text("half")
        os.utime(there / ".frames-00000.npz.1-ab.tmp", (0, 0))
        record_tiny(tmp_path)
        found = {path.name: path.read_bytes() for path in there.iterdir()}
        assert found == {path.name: path.read_bytes() for path in folder.iterdir()}
        shutil.rmtree(there)


def test_a_complete_split_is_not_written_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the folder may be on a read-only file system")

    monkeypatch.setattr(recorder, "hold", refuse)
    assert record_tiny(folder.parents[1]) == folder
    (folder / "index.yaml").unlink()
    monkeypatch.undo()
    record_tiny(folder.parents[1])


def test_neither_is_stored_unless_asked_for(tmp_path: Path) -> None:
    config = dataclasses.replace(DATA, root=str(tmp_path), subframes=1, size=1)
    found = open_split(record("pong", "train", RandomPolicy(), config, labels=False, progress=False))
    assert (found.meta.window, found.meta.subframes) == (0, 1)
    assert found.shard(0).steadiness is None and found.shard(0).before is None
    assert set(np.load(found.path / "frames-00000.npz")) == {"ids", "palette", "episodes", "steps"}


def test_a_file_without_what_the_settings_say(folder: Path) -> None:
    """As written by a version that did not know them."""
    meta = read_meta(folder)
    shard = shards.read_shard(folder, meta, 1)
    for name in ("steadiness", "before"):
        path = folder / meta.shard_name(7)
        path.write_bytes(dataclasses.replace(shard, **{name: None}).to_bytes())
        other = dataclasses.replace(meta, size=8 * 3 - 1)  # number 7 then has two stacks, as number 1
        with pytest.raises(DatasetError, match=rf"expected {name} \(2, 3, 210, 160\) uint8, got nothing"):
            shards.read_shard(folder, other, 7)
        path.unlink()


def test_another_window_or_other_subframes_in_the_same_folder(folder: Path) -> None:
    root = folder.parent.parent
    with pytest.raises(DatasetError, match=r"data\.subframes: 2 then, 1 now"):
        config = dataclasses.replace(DATA, root=str(root), subframes=1)
        record("Freeway", "train", Short(), config, RARITY, labels=False, progress=False)
    other = MotionConfig(foreground="rarity", rarity=RarityConfig(window=9))
    with pytest.raises(DatasetError, match=r"motion\.rarity\.window: 8 then, 9 now"):
        config = dataclasses.replace(DATA, root=str(root))
        record("Freeway", "train", Short(), config, other, labels=False, progress=False)


@pytest.mark.parametrize(
    ("data", "window", "message"),
    [
        ({"subframes": 3}, 8, r"data\.subframes: expected 1 to 2, got 3"),
        ({"subframes": 0}, 8, r"data\.subframes: expected 1 to 2, got 0"),
        ({}, 0, r"motion\.rarity\.window: expected 1 to 1000000, got 0"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, data: dict[str, int], window: int, message: str) -> None:
    config = dataclasses.replace(DATA, root=str(tmp_path), **data)
    motion = MotionConfig(foreground="rarity", rarity=RarityConfig(window=window))
    with pytest.raises(DatasetError, match=message):
        record("Pong", "train", RandomPolicy(), config, motion, labels=False, progress=False)
    assert not list(tmp_path.rglob("*.*"))


def test_subframes_that_are_not_recorded_are_refused_before_anything_is_played(tmp_path: Path) -> None:
    config = dataclasses.replace(DATA, root=str(tmp_path), subframes=1)
    with pytest.raises(DatasetError, match=r"model\.subframes=2 needs .* set data\.subframes=2\."):
        record("Pong", "train", RandomPolicy(), config, labels=False, progress=False, subframes=2)
    assert not list(tmp_path.iterdir())


class Sees(RandomPolicy):
    """Plays an environment that looks at both frames itself, as a trained agent's may."""

    name = "sees"

    def make_env(self, game: str) -> gym.Env:
        return gym.make(f"SpaceTime/{game}-v5", model=ColourModel(subframes=2))


@pytest.mark.parametrize("asked", [1, 2])
def test_an_agent_that_looks_at_both_frames_may_play(tmp_path: Path, asked: int) -> None:
    config = dataclasses.replace(DATA, root=str(tmp_path), subframes=asked, size=1, shard_size=1)
    meta = read_meta(record("Pong", "train", Sees(), config, labels=False, progress=False, subframes=asked))
    plain = record_shard(dataclasses.replace(meta, subframes=2), 0, RandomPolicy())
    shard = record_shard(meta, 0, Sees())
    assert (shard.ids == plain.ids).all()  # the same seed plays the same game
    assert shard.before is None if asked == 1 else (shard.before == plain.before).all()


# The window by itself


def test_steadiness_by_hand() -> None:
    """Window 3: of the frames 3 before, at, and 3 after one, those of its episode."""
    window = Window((1, 2), 3)
    asked = {}
    colours = [1, 1, 2, 1, 2, 2, 1, 1, 1, 1, 5]
    for n, colour in enumerate(colours):
        window.add(np.array([[colour, n]], np.uint8), episode=0 if n < 8 else 1)
        if n in (1, 3, 4, 7):
            asked[n] = window.ask()
        assert set(window.measured) == {asked[m] for m in asked if m + 3 <= n}  # as soon as they can be, no earlier
    found = {n: window.measured[number].tolist() for n, number in asked.items()}
    # 1: itself and 4. 3: 0, 3, 6. 4: 1, 4, 7. 7: 4 and 7, since 10 is of the next episode.
    assert found == {1: [[10, 10]], 3: [[20, 7]], 4: [[7, 7]], 7: [[10, 10]]}
