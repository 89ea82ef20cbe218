"""Frames of an environment that is no Atari game, in the form that :mod:`spacetime_env.data.pictures` reads.

::

    data/balls/                 data.pictures
        recording.yaml          the environment and how it was played
        train/                  and likewise validation/ and test/
            00000/              a clip of consecutive frames, as PNG: the colours of any environment, without loss
                000.png
        test/boxes.csv          true boxes, if a function gives them

Why not the shards of Atari games: these hold palette numbers, and an environment may draw any colour. A clip depends on
the settings, its split and its number alone. So a folder can be made longer, and an interrupted recording goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from tqdm import tqdm

from spacetime_env import __version__
from spacetime_env.data.box_table import BOXES, Row, boxes_text, table_rows
from spacetime_env.data.env_players import EnvPlayer
from spacetime_env.data.made_folder import VERSIONS, few, made_folder
from spacetime_env.data.meta import DatasetError, read_yaml, save
from spacetime_env.data.playing import TRIES, seed_for
from spacetime_env.data.true_boxes import Box, TrueBoxes
from spacetime_env.envs.frames import rendered
from spacetime_env.files import shown, shown_text
from spacetime_env.frames import resize

META = "recording.yaml"  # in the folder of the splits: what is recorded, and how
FORMAT = 1  # raise it when a change records other frames
EVERY = 100  # clips between two writings of boxes.csv
WARMUP = 200  # most steps that are played before a clip
SIDE = 2048  # pixels, of the largest frame


@dataclass(frozen=True)
class EnvRecording:
    """What is recorded.

    Args:
        env_id: as ``gym.make`` takes it; ``module:id`` imports the module.
        kwargs: options of the environment: names and plain values.
        size: clips in train. The other splits have an eighth of it each, 16 to 512.
        length: T, consecutive frames in a clip.
        seed: 0 or more. The three splits have no seed in common.
        warmup: a clip begins after a random number of steps, up to this one, of one or more episodes.
        frame_size: H, W that frames are resized to; None: as they are rendered.
        boxes_in: the splits that get true boxes, if there are any.
    """

    env_id: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    size: int = 1024
    length: int = 4
    seed: int = 0
    warmup: int = WARMUP
    frame_size: tuple[int, int] | None = None
    boxes_in: Sequence[str] = ("test",)


def record_env(
    folder: str | Path, asked: EnvRecording, player: EnvPlayer, boxes: TrueBoxes | None = None, progress: bool = True
) -> dict[str, int]:
    """Record the clips that are missing in ``<folder>/train``, ``validation`` and ``test``.

    Args:
        folder: made if it is missing.
        player: who plays.
        boxes: gives true boxes; None: there are none.
        progress: show bars.

    Returns:
        How many clips each split has now; more than asked for if they were there.

    Raises:
        DatasetError: a value out of range, the folder has a recording of other settings or other things, the
            environment's episodes are too short, its frames change their size, or the disk is full.
        UnknownEnvError, FrameError: see :func:`~spacetime_env.envs.any_env.make_rendered`, and what it renders is no
            picture.
        LockError: another process records into the folder.
    """
    folder = Path(folder)
    _require_ranges(asked)
    env = player.make_env(asked.env_id, asked.kwargs)  # before anything is written
    try:
        env.reset(seed=0)
        native = rendered(env).shape[:2]
        size = asked.frame_size or (native[0], native[1])
        if max(size) > SIDE:
            raise DatasetError(
                f"{asked.env_id} renders {native[0]} x {native[1]} pixels (H x W); expected at most {SIDE} a side. "
                "Record it smaller with --frame-size H W."
            )
        about = {
            "format": FORMAT,
            "env_id": asked.env_id,
            "env_kwargs": _plain(asked.kwargs),
            "rendered": list(native),
            "frame_size": list(size),
            **{name: getattr(asked, name) for name in ("length", "seed", "warmup")},
            "agent": player.name,
            "agent_version": getattr(player, "fingerprint", ""),
            "boxes": boxes.name if boxes else "",
            "boxes_in": sorted(asked.boxes_in) if boxes else [],
            VERSIONS: _versions(env),
        }
        counts = {"train": asked.size, "validation": few(asked.size), "test": few(asked.size)}
        with made_folder(folder, META, about):
            for split, count in counts.items():
                true = boxes if split in asked.boxes_in else None
                counts[split] = _Split(folder / split, asked, size, player, env, true).record(count, progress)
        return counts
    finally:
        env.close()


def _require_ranges(asked: EnvRecording) -> None:
    for name, value, least, most in (
        ("size", asked.size, 1, 10**6),
        ("length", asked.length, 1, 1000),
        ("seed", asked.seed, 0, 2**62),
        ("warmup", asked.warmup, 0, 10**6),
        *(("frame_size", side, 1, SIDE) for side in asked.frame_size or ()),
    ):
        if not least <= value <= most:
            raise DatasetError(f"{name}: expected {least} to {most:,}, got {shown(value)}.")
    for split in asked.boxes_in:
        if split not in ("validation", "test"):
            raise DatasetError(
                f"true boxes are for validation and test, which measure and name, got {shown(split)}: the network "
                "never learns from them."
            )


def _plain(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON has them, which YAML can hold."""
    try:
        return json.loads(json.dumps(dict(kwargs)))
    except (TypeError, ValueError):
        raise DatasetError(f"expected plain options of the environment, got {shown(dict(kwargs))}.") from None


def _versions(env: gym.Env[Any, Any]) -> dict[str, str]:
    """The versions of this package, of Gymnasium, and of the package that the environment is in."""
    module = type(env.unwrapped).__module__.partition(".")[0]
    names = ["gymnasium", *metadata.packages_distributions().get(module, ())]
    return {"spacetime_env": __version__, **{name: metadata.version(name) for name in dict.fromkeys(names)}}


class _Split:
    """The recording of one split into ``folder``; arguments as of :func:`record_env`."""

    def __init__(
        self,
        folder: Path,
        asked: EnvRecording,
        size: tuple[int, int],
        player: EnvPlayer,
        env: gym.Env[Any, Any],
        boxes: TrueBoxes | None,
    ) -> None:
        self._folder, self._asked, self._size, self._player, self._env = folder, asked, size, player, env
        self._boxes = boxes
        self._rows: dict[str, list[Row]] = {}  # of each clip, by the name of its folder

    def record(self, count: int, progress: bool) -> int:
        """Record the missing clips; how many there are then."""
        self._folder.mkdir(exist_ok=True)
        if self._boxes is not None and (self._folder / BOXES).exists():
            for _, row in table_rows(self._folder / BOXES):
                self._rows.setdefault(row[0].partition("/")[0], []).append(row)
        missing = [i for i in range(count) if not self._is_there(i)]
        initial = count - len(missing)
        bar = tqdm(total=count, initial=initial, desc=str(self._folder), unit="clip", disable=not progress)
        with bar:
            try:
                for done, i in enumerate(missing, start=1):
                    self._record_clip(i)
                    bar.update()
                    if done % EVERY == 0:
                        self._write()
            finally:  # what was recorded is kept
                if missing:
                    self._write()
        return sum(one.is_dir() for one in self._folder.iterdir())

    def _is_there(self, number: int) -> bool:
        """Whether a clip is complete. One without any true box is recorded again, which gives the same."""
        last = self._folder / clip_name(number) / frame_name(self._asked.length - 1)
        return last.is_file() and (self._boxes is None or clip_name(number) in self._rows)

    def _record_clip(self, number: int) -> None:
        name = clip_name(number)
        frames = self._play(seed_for(self._folder.name, self._asked.seed, number))
        (self._folder / name).mkdir(exist_ok=True)
        rows: list[Row] = []
        for t, (frame, boxes) in enumerate(frames):  # in order: where the last one is, all are
            save(self._folder / name / frame_name(t), cv2.imencode(".png", frame[..., ::-1])[1].tobytes())
            rows += [(f"{name}/{frame_name(t)}", x, y, w, h, kind) for kind, x, y, w, h in boxes]
        self._rows[name] = rows

    def _play(self, seed: int) -> list[tuple[np.ndarray, list[Box]]]:
        """The frames of a clip, each with its true boxes."""
        rng = np.random.default_rng([seed, 1])
        self._player.reset(self._env, seed)
        self._observation, _ = self._env.reset(seed=seed)
        for _ in range(TRIES):
            self._advance(int(rng.integers(self._asked.warmup + 1)))
            frames = [self._frame()]
            while len(frames) < self._asked.length and self._advance(1):
                frames.append(self._frame())
            if len(frames) == self._asked.length:
                return frames
        raise DatasetError(
            f"no clip of {self._asked.length} frames in {TRIES} tries: the episodes of {self._asked.env_id} end "
            "before. Ask for shorter clips with --length."
        )

    def _advance(self, steps: int) -> bool:
        """Play some steps; False if an episode ended meanwhile, and another one began."""
        whole = True
        for _ in range(steps):
            action = self._player.act(self._env, self._observation)
            self._observation, _, terminated, truncated, _ = self._env.step(action)
            if terminated or truncated:
                self._observation, _ = self._env.reset()
                whole = False
        return whole

    def _frame(self) -> tuple[np.ndarray, list[Box]]:
        """The frame as it is now, and its true boxes."""
        picture = rendered(self._env)
        height, width = picture.shape[:2]
        boxes = [] if self._boxes is None else self._boxes.of(self._env, (height, width), self._size)
        return resize(picture, self._size, antialias=True)[0], boxes

    def _write(self) -> None:
        if self._boxes is not None:
            rows: Iterable[Row] = (row for name in sorted(self._rows) for row in self._rows[name])
            save(self._folder / BOXES, boxes_text(rows).encode())


def clip_name(number: int) -> str:
    """``00007``."""
    return f"{number:05d}"


def frame_name(number: int) -> str:
    """``007.png``."""
    return f"{number:03d}.png"


def recorded_env(folder: str | Path) -> str:
    """The id of the environment that a folder of splits was recorded from; "" if it is no such recording.

    Raises:
        DatasetError: its ``recording.yaml`` is damaged.
    """
    if not str(folder) or not (Path(folder) / META).is_file():
        return ""
    found = read_yaml(Path(folder) / META, "", "Record it again into another folder.")
    env_id = found.get("env_id") if isinstance(found, dict) else None
    return shown_text(env_id) if isinstance(env_id, str) else ""
