"""Recording, storing and reading, on a few stacks of real Pong: sizes differ, so that swapped axes show."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from spacetime_env.config import DataConfig, MotionConfig
from spacetime_env.data import labels, playing, shards
from spacetime_env.data.meta import DatasetError, read_meta, save
from spacetime_env.data.motion import background_of, targets
from spacetime_env.data.players import RandomPolicy
from spacetime_env.data.playing import record_shard, seed_for
from spacetime_env.data.recorder import record
from spacetime_env.data.shards import FrameBoxes
from spacetime_env.data.split import open_split
from spacetime_env.games import UnknownGameError

# 3 stacks of 4 frames, in files of 2 and 1.
TINY = DataConfig(size=3, eval_size=3, length=4, shard_size=2, gap=6, warmup=20, workers=1)
SHIPPED = Path(__file__).parents[2] / "data"


def tiny(root: Path, split: str = "train", motion: MotionConfig | None = None, **changes: Any) -> Path:
    config = dataclasses.replace(TINY, root=str(root), **changes)
    return record("pong", split, RandomPolicy(), config, motion, labels=False, progress=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def copied(recorded: Path, tmp_path: Path) -> Path:
    """A copy to spoil, where record(root=tmp_path) finds it."""
    return Path(shutil.copytree(recorded, tmp_path / "Pong" / "train-random"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_seeds_of_splits_never_meet() -> None:
    seeds = {
        split: {seed_for(split, seed, shard) for seed in (0, 1, 77) for shard in range(400)}
        for split in ("train", "validation", "test")
    }
    assert all(len(found) == 1200 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 3600
    assert all(0 <= seed < 2**31 for seed in set.union(*seeds.values()))
    with pytest.raises(DatasetError, match=r"no split 'val'.*train, validation, test"):
        seed_for("val", 0, 0)
    with pytest.raises(DatasetError, match="0 or more, got -1"):
        seed_for("train", -1, 0)


def test_what_is_stored(recorded: Path) -> None:
    split = open_split(recorded, game="PONG")
    assert recorded.parts[-2:] == ("Pong", "train-random")
    assert len(split) == 3 and split.native == (210, 160)
    assert (split.meta.game, split.meta.agent, split.meta.frameskip, split.meta.sticky) == (
        "Pong",
        "random",
        4,
        0.25,
    )
    frames = split.frames()
    assert frames.shape == (3, 4, 210, 160, 3) and frames.dtype == np.uint8
    assert (split.frames([2, 0]) == frames[[2, 0]]).all()
    assert split.small((32, 24)).shape == (3, 4, 32, 24, 3)
    assert (split.small((160, 160), rows=(34, 194)) == frames[:, :, 34:194]).all()
    masks = split.motion_masks()
    assert (split.motion_masks(stacks=[2, 0], rows=(34, 194)) == masks[[2, 0], :, 34:194]).all() and masks.any()
    assert (split.background == background_of(frames.reshape(-1, 210, 160, 3))).all()
    assert [shard.ids.shape[0] for shard in split.shards()] == [2, 1]
    with pytest.raises(IndexError, match="stacks 0 to 2"):
        split.frames([3])


def test_frames_are_those_of_the_game_step_after_step(recorded: Path) -> None:
    """Play the first shard again, with ALE's own pictures, and find each frame at the step that is noted."""
    shard = open_split(recorded).shard(0)
    assert (np.diff(shard.steps, axis=1) == 1).all()  # consecutive
    assert shard.episodes.tolist() == [0, 0]
    seed = seed_for("train", 0, 0)
    env = gym.make("ALE/Pong-v5")  # frameskip 4, sticky actions 0.25
    actions = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(shard.steps.max()):
        seen.append(env.step(int(actions.integers(6)))[0])
    assert (np.stack(seen)[shard.steps] == shard.frames()).all()


def test_stacks_are_spread_and_in_random_order(tmp_path: Path) -> None:
    shard = open_split(tiny(tmp_path, size=40, shard_size=40, length=1, gap=10)).shard(0)
    steps = np.sort(shard.steps[:, 0])
    gaps = np.diff(steps)
    assert shard.steps[:, 0].tolist() != steps.tolist()
    assert gaps.min() >= 1 and gaps.max() <= 21 and len(set(gaps)) > 8
    assert 7 < gaps.mean() < 15


def test_a_sequential_split_is_back_to_back(tmp_path: Path) -> None:
    shard = open_split(tiny(tmp_path, shard_size=3, order="sequential")).shard(0)
    assert shard.steps.ravel().tolist() == list(range(12))


def test_a_stack_lies_within_one_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(RandomPolicy):
        def make_env(self, game: str) -> gym.Env:
            return gym.wrappers.TimeLimit(super().make_env(game), 7)

    config = dataclasses.replace(TINY, root=str(tmp_path), size=4, shard_size=4, gap=2)
    shard = open_split(record("Pong", "train", Short(), config, progress=False)).shard(0)
    assert len(set(shard.episodes)) > 1
    assert (np.diff(shard.steps, axis=1) == 1).all() and shard.steps.max() < 7
    monkeypatch.setattr(playing, "TRIES", 3)
    with pytest.raises(DatasetError, match=r"no stack of 9 frames in 3 tries.*--length"):
        record("Pong", "test", Short(), dataclasses.replace(config, length=9), labels=False, progress=False)


def test_files_do_not_depend_on_workers_nor_on_interruption(
    recorded: Path, copied: Path, tmp_path: Path
) -> None:
    several = tiny(tmp_path / "several", workers=2)
    assert contents(several) == contents(recorded)
    for name in ("frames-00001.npz", "index.yaml", "background-mode.png", "motion-00000.npz"):
        (copied / name).unlink()
    (copied / ".frames-00001.npz.7.tmp").write_bytes((recorded / "frames-00001.npz").read_bytes()[:1000])
    assert tiny(tmp_path) == copied
    after = contents(copied)
    after.pop(".frames-00001.npz.7.tmp")  # may belong to a process that is alive; swept when an hour old
    assert after == contents(recorded)
    os.utime(copied / ".frames-00001.npz.7.tmp", (0, 0))
    tiny(tmp_path)
    assert contents(copied) == contents(recorded)


def test_another_seed_or_split_is_another_game(recorded: Path) -> None:
    meta = read_meta(recorded)
    first = open_split(recorded).shard(0).ids
    assert (record_shard(meta, 0, RandomPolicy()).ids == first).all()
    for change in ({"seed": 1}, {"split": "test"}):
        assert (
            record_shard(dataclasses.replace(meta, **change), 0, RandomPolicy()).ids != first
        ).any()


def test_a_split_that_is_not_complete_is_not_opened(copied: Path) -> None:
    (copied / "frames-00001.npz").unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 files are there.*Run create_dataset.py again"):
        open_split(copied)
    with pytest.raises(DatasetError, match="is not a recorded split"):
        open_split(copied.parent)


def test_damaged_shards_are_refused(copied: Path, tmp_path: Path) -> None:
    path, meta = copied / "frames-00001.npz", read_meta(copied)
    data = path.read_bytes()
    for how, spoiled in {
        "cut off": data[: len(data) // 2],
        "one byte changed": data[:900] + bytes([data[900] ^ 1]) + data[901:],
        "another file in its place": (copied / "frames-00000.npz").read_bytes(),
        "emptied": b"",
    }.items():
        path.write_bytes(spoiled)
        with pytest.raises(
            DatasetError, match=r"frames-00001.npz is not the file that was recorded.*Delete it"
        ):
            open_split(copied).frames()
        # While there is no index, what is inside tells.
        with pytest.raises(
            DatasetError, match=r"frames-00001.npz(: expected| is damaged| has [0-9,]+ (bytes|entries)).*Delete it"
        ):
            print(how, shards.read_shard(copied, meta, 1))
    path.unlink()
    tiny(tmp_path)
    assert path.read_bytes() == data


def test_a_shard_that_was_changed_is_not_blessed_when_another_is_missing(
    copied: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(copied / "frames-00000.npz"))
    arrays["steps"] += 1
    np.savez(copied / "frames-00000.npz", **arrays)
    (copied / "frames-00001.npz").unlink()
    with pytest.raises(DatasetError, match=r"frames-00000.npz is not the file that was recorded"):
        tiny(tmp_path)


def test_nothing_is_unpickled(copied: Path) -> None:
    arrays = dict(np.load(copied / "frames-00000.npz"))
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, "steps": np.array([print], dtype=object)})
    (copied / "frames-00000.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DatasetError, match=r"damaged: steps.npy .it holds Python objects, which are never unpickled"):
        shards.read_shard(copied, read_meta(copied), 0)


def test_arrays_must_be_what_the_settings_say(copied: Path) -> None:
    meta = read_meta(copied)
    for change, message in (
        ({"length": 5}, r"expected ids \(2, 5, 210, 160\) uint8, got \(2, 4, 210, 160\) uint8"),
        ({"labels": True}, r"expected label_boxes \(0, 4\) float32, got nothing"),
    ):
        with pytest.raises(DatasetError, match=message):
            shards.read_shard(copied, dataclasses.replace(meta, **change), 0)


def test_damaged_yaml_is_refused(copied: Path) -> None:
    (copied / "index.yaml").write_text("a: [")
    with pytest.raises(DatasetError, match=r"index.yaml is (not YAML|damaged).*Delete it"):
        open_split(copied)
    meta = (copied / "meta.yaml").read_text()
    for text, message in (
        ("a: [", "(?s)meta.yaml is not YAML.*record it again"),
        (meta.replace("format: 1", "format: 9"), "expected format 1, got 9"),
        (meta + "sizes: 3\n", "unknown key 'sizes'. Did you mean 'size'"),
    ):
        (copied / "meta.yaml").write_text(text)
        with pytest.raises(DatasetError, match=message):
            open_split(copied)


def test_other_settings_in_the_same_folder(copied: Path, tmp_path: Path) -> None:
    before = contents(copied)
    with pytest.raises(
        DatasetError, match=r"data\.gap: 6 then, 9 now; data\.seed: 0 then, 3 now\. Ask for"
    ):
        tiny(tmp_path, gap=9, seed=3)
    (copied / "meta.yaml").unlink()
    with pytest.raises(DatasetError, match=r"holds data but no meta.yaml"):
        tiny(tmp_path)
    before.pop("meta.yaml")
    assert contents(copied) == before


def test_data_of_another_game(recorded: Path) -> None:
    with pytest.raises(DatasetError, match="holds Pong, and SpaceInvaders is asked for"):
        open_split(recorded, game="space_invaders")
    with pytest.raises(UnknownGameError, match="Did you mean Pong"):
        record("Pongg", "train", RandomPolicy(), TINY)


@pytest.mark.parametrize(
    ("name", "value"), [("size", 0), ("length", 0), ("shard_size", 0), ("gap", -1), ("workers", 0)]
)
def test_settings_that_make_no_sense(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(DatasetError, match=rf"{name}.*{value}|size of 1 stack or more, got 0"):
        tiny(tmp_path, **dict[str, Any]({name: value}))
    assert not list(tmp_path.rglob("*.npz"))


def test_a_full_disk_leaves_the_old_file(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(copied)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        DatasetError, match=r"could not save .*index.yaml: No space left on device.*unchanged"
    ):
        save(copied / "index.yaml", b"new")
    with pytest.raises(DatasetError, match="No space left"):
        open_split(copied, motion=MotionConfig(closing=1)).prepare()
    assert contents(copied) == before  # and no temporary file


def test_motion_and_targets(recorded: Path) -> None:
    split = open_split(recorded)
    boxes, masks = split.motion_boxes, split.motion_masks()
    assert len(boxes) == 12 and masks.shape == (3, 4, 210, 160) and set(np.unique(masks)) == {0, 255}
    z_pres, z_where = split.targets(16)
    assert z_pres.shape == (3, 4, 256, 1) and z_where.shape == (3, 4, 256, 4)
    frame = 2 * 4 + 1
    x, y, w, h = boxes[frame][0].astype(int)
    assert masks[2, 1, y : y + h, x : x + w].any() and not masks[2, 1, 60:180, 60:120].all()
    for found, expected in zip(
        (z_pres[2, 1], z_where[2, 1]), targets(boxes[frame], (210, 160), 16), strict=True
    ):
        assert (found == expected).all()
    # A pixel of the small mask is the part of it that moves.
    small = split.motion_masks((105, 80))
    blocks = masks[2, 1].reshape(105, 2, 80, 2).astype(float).mean((1, 3))
    assert small.shape == (3, 4, 105, 80) and abs(small[2, 1] - blocks).max() <= 1


def test_motion_is_made_again_when_it_should_be(copied: Path) -> None:
    published = contents(copied)["motion-00001.npz"]
    color = MotionConfig(components="color", closing=1)
    open_split(copied, motion=color).prepare()
    assert contents(copied)["motion-00001.npz"] != published
    (copied / "motion-00001.npz").write_bytes(published[:200])
    (copied / "background-mode.png").write_bytes(b"no picture")
    open_split(copied).prepare()
    assert contents(copied)["motion-00001.npz"] == published
    median = open_split(copied, motion=MotionConfig(background="median"))
    assert (median.background == background_of(median.frames().reshape(-1, 210, 160, 3), "median")).all()
    assert (copied / "background-median.png").exists()


def test_the_trail_before_each_stack(tmp_path: Path) -> None:
    trail = MotionConfig(extent="trail", trail=5)
    folder = tiny(tmp_path, motion=trail, shard_size=3, order="sequential")
    split = open_split(folder, motion=trail)
    shard = split.shard(0)
    frames = shard.frames().reshape(-1, 210, 160, 3)
    assert shard.steps[0, 0] == 5  # the trail comes first
    # The last stack's trail is its own first frame and the four before it.
    assert (split.stack_background(2) == background_of(frames[4:9])).all()
    assert len(split.motion_boxes) == 12
    with pytest.raises(DatasetError, match=r"needs the mode of 64 frames before each stack.*has mode of 5"):
        open_split(folder, motion=MotionConfig(extent="trail"))
    with pytest.raises(DatasetError, match=r"motion\.trail: 5 then, 4 now"):
        tiny(tmp_path, motion=MotionConfig(extent="trail", trail=4), shard_size=3, order="sequential")


def test_boxes_of_many_frames() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = FrameBoxes.of(boxes, np.array([1, 0, 2]), np.array(["Ball", "Player", "Enemy"]))
    assert len(found) == 3 and found[1].shape == (0, 4)
    assert found[2].tolist() == found[-1].tolist() == boxes[1:].tolist()
    assert found.names_of(2) == ["Player", "Enemy"]
    kept = found.select(np.array([True, False, True]))
    assert [kept.names_of(f) for f in range(3)] == [["Ball"], [], ["Enemy"]]
    twice = FrameBoxes.join([kept, found])
    assert len(twice) == 6 and twice.names_of(2) == ["Enemy"] and twice.names_of(5) == ["Player", "Enemy"]
    with pytest.raises(IndexError):
        found[3]


def test_a_split_without_labels_says_so(recorded: Path) -> None:
    with pytest.raises(DatasetError, match=r"without ground truth.*--labels"):
        _ = open_split(recorded).labels


def test_the_shipped_validation_split() -> None:
    split = open_split(SHIPPED / "Pong" / "validation-random", game="Pong")
    assert len(split) == 256 and len(split.all_labels) == 1024
    assert split.meta.classes == ("Player", "Ball", "Enemy")
    assert set(split.all_labels.names.tolist()) == set(split.meta.classes)
    assert split.shard(3).frames().shape == (64, 4, 210, 160, 3)
    assert sum(path.stat().st_size for path in split.path.glob("frames-*.npz")) < 200_000


def test_motion_finds_what_the_shipped_labels_say_without_ocatari(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels.importlib.util, "find_spec", lambda _: None)
    folder = Path(shutil.copytree(SHIPPED / "Pong" / "test-random", tmp_path / "Pong" / "test-random"))
    config, motion = (
        DataConfig(root=str(tmp_path), eval_size=150),
        MotionConfig(components="color", closing=1),
    )
    assert record("Pong", "test", RandomPolicy(), config, motion, progress=False) == folder
    split = open_split(folder, motion=motion)
    assert len(split.labels.boxes) == len(split.all_labels.boxes) - 1  # a ball in the wall cannot be seen
    # Nearly every motion box in the field is one of the objects, and the other way round.
    hits = boxes = objects = 0
    for frame in range(0, len(split.labels), 3):
        found = [box for box in split.motion_boxes[frame] if box[1] >= 34]
        truth = [box for box in split.labels[frame] if box[1] + box[3] / 2 >= 34]
        hits += sum(any(_iou(a, b) >= 0.5 for a in found) for b in truth)
        boxes, objects = boxes + len(found), objects + len(truth)
    assert hits / boxes > 0.995 and hits / objects > 0.995


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    overlap = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(overlap.clip(0).prod())
    return shared / float(a[2:].prod() + b[2:].prod() - shared)