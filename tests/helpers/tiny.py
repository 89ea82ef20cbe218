"""A network of a few hundred weights, and a made-up game with two objects, recorded without ALE.

``from tests.helpers.tiny import CONFIG, MODEL, write_data, write_split``. H and W differ everywhere, so that swapped
axes show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml

from spacetime_env.config import (
    BackgroundConfig,
    Config,
    DataConfig,
    EncoderConfig,
    GlimpseConfig,
    LossConfig,
    ModelConfig,
    MotionConfig,
    SceneConfig,
    Schedule,
    TrainConfig,
)
from spacetime_env.data import shards
from spacetime_env.data.meta import INDEX, SplitMeta, write_meta
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.folder import save_model
from spacetime_env.space import Space

NATIVE = (44, 36)  # H, W
COLORS = {"Player": (92, 186, 92), "Ball": (236, 236, 236)}
SIZES = {"Player": (7, 12), "Ball": (6, 7)}  # w, h

# Three strides turn 38 x 32 into 4 x 4 cells: 38 -> 19 -> 9 -> 4 and 32 -> 16 -> 8 -> 4.
MODEL = ModelConfig(
    variant="space+motion",
    frame_size=(38, 32),
    grid=4,
    z_what_dim=3,
    box_padding=1.0,
    scale_bias=-2.0,
    encoder=EncoderConfig(layers=((6, 4, 2, 1, 0), (8, 4, 2, 1, 0), (10, 4, 2, 1, 0)), lateral=False, norm="batch"),
    glimpse=GlimpseConfig(size=4, encoder=((8, 4, 2, 1, 0),), decoder=((8, 0), (6, 0), (4, 0)), refine=False),
    background=BackgroundConfig(kind="fixed"),
)

CONFIG = Config(
    game="Pong",
    data=DataConfig(size=6, eval_size=4, length=3, shard_size=4, workers=1),
    motion=MotionConfig(components="color", closing=1),
    model=MODEL,
    loss=LossConfig(
        prior_z_pres=Schedule(0.1, 0.01),
        prior_scale_mean=Schedule(-2.0, -2.0),
        prior_scale_std=1.0,
        hint=Schedule(1.0, 0.0, 0.0, 0.5),
        motion_z_pres=300.0,
        motion_z_where=100.0,
        motion_alpha=1.0,
        z_where_loss="relative",
        dynamic_scheduling=False,
    ),
    train=TrainConfig(
        steps=6,
        batch_size=2,
        clip_norm=100.0,
        eval_every=3,
        save_every=2,
        log_every=2,
        picture_every=4,
        threads=1,
        few_shot=(1, 4),
    ),
    # Everything is an object, so that an untrained network finds some.
    scene=SceneConfig(threshold=0.0, overlap=1.0),
)


def make_space(seed: int = 0, config: ModelConfig = MODEL) -> Space:
    torch.manual_seed(seed)
    space = Space(config)
    with torch.no_grad():  # of the right range, and with statistics that BatchNorm has not got yet
        for name, buffer in space.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.linspace(-0.1, 0.1, len(buffer)))
    return space


def make_classifier(names: tuple[str, ...] = ("Player", "Ball"), seed: int = 0) -> LinearClassifier:
    generator = np.random.default_rng(seed)
    coef = generator.normal(size=(len(names), MODEL.z_what_dim)).astype(np.float32)
    return LinearClassifier(coef, generator.normal(size=len(names)).astype(np.float32), names)


def write_model(folder: Path) -> Path:
    """The folder of an untrained model of the made-up game."""
    return save_model(
        folder,
        make_space(),
        make_classifier(),
        game="Pong",
        native=NATIVE,
        scene_config=replace(CONFIG.scene, classes=("Player", "Ball"), slots={"Player": 9, "Ball": 9}),
        trained={"steps": 7},
    )


def make_frames(count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *NATIVE, 3), dtype=np.uint8)


def write_split(
    root: Path,
    split: str,
    config: Config = CONFIG,
    labels: bool = False,
    native: tuple[int, int] = NATIVE,  # in a larger frame all is larger, and moves further
    floor: tuple[int, int, int] = (0, 0, 0),  # colour of what does not move
    seed: int = 0,
    game: str = "Pong",
    agent: str = "random",
    window: int = 0,
    subframes: int = 1,
    flicker: bool = False,
) -> Path:
    """Record a made-up game: a Player that moves up and down on the right, and a Ball on the left.

    With ``flicker`` the Ball is drawn at even t only, and in the emulator's frame before at odd t only.
    """
    data = config.data
    meta = SplitMeta(
        game=game,
        split=split,
        agent=agent,
        agent_version="",
        seed=data.seed,
        size=data.size if split == "train" else data.eval_size,
        length=data.length,
        shard_size=data.shard_size,
        order="random",
        gap=data.gap,
        warmup=data.warmup,
        native=native,
        frameskip=4,
        sticky=0.25,
        trail="",
        labels=labels,
        window=window,
        subframes=subframes,
        classes=tuple(COLORS) if labels else (),
    )
    folder = root / game / f"{split}-{agent}"
    folder.mkdir(parents=True)
    write_meta(folder, meta)
    palette = np.zeros((256, 3), np.uint8)
    palette[:6:2] = [floor, *COLORS.values()]  # the ids of the emulator are even
    scale = native[0] // NATIVE[0]
    generator = np.random.default_rng((seed, ("train", "validation", "test").index(split)))
    index = {}
    for number in range(meta.shards):
        n = meta.shard_stacks(number)
        ids = np.zeros((n, data.length, *native), np.uint8)
        boxes = []
        for stack in ids:
            places = {"Player": generator.integers((24, 1), (30, 30)), "Ball": generator.integers((1, 1), (18, 34))}
            for frame in stack:
                for color, (name, place) in enumerate(places.items(), start=1):
                    place += (0, 1)
                    (x, y), (w, h) = place * scale, np.array(SIZES[name]) * scale
                    frame[y : y + h, x : x + w] = 2 * color
                    boxes.append((x, y, w, h))
        found = shards.FrameBoxes.of(
            np.array(boxes, np.float32), np.full(n * data.length, 2), np.array(list(COLORS) * (n * data.length))
        )
        steps = np.tile(np.arange(data.length, dtype=np.int32), (n, 1))
        before = ids.copy()
        if flicker:
            ball = ids == 4
            ids[:, 1::2][ball[:, 1::2]] = before[:, ::2][ball[:, ::2]] = 0
        shard = shards.Shard(
            ids,
            palette,
            np.zeros(n, np.int32),
            steps,
            found if labels else None,
            None,
            np.zeros_like(ids) if window else None,
            before if subframes > 1 else None,
        )
        blob = shard.to_bytes()
        (folder / meta.shard_name(number)).write_bytes(blob)
        index[meta.shard_name(number)] = hashlib.sha256(blob).hexdigest()
    (folder / INDEX).write_text(yaml.safe_dump(index))
    return folder


def write_data(root: Path, labels: bool = True, test: bool = False) -> Config:
    """Train and validation splits (and a test split); returns the config that trains on them."""
    write_split(root, "train")
    write_split(root, "validation", labels=labels)
    if test:
        write_split(root, "test", labels=labels)
    return replace(CONFIG, data=replace(CONFIG.data, root=str(root)))


# As ALE has them, so that a model of these data can play. H differs.
JOINT_NATIVES = {"Carnival": (214, 160), "Pong": (210, 160)}


def write_joint_data(
    root: Path,
    unlabelled: Sequence[str] = (),
    window: int = 0,
    subframes: int = 1,
    flickering: Sequence[str] = (),
) -> Config:
    """Train, validation and test splits of two games with different backgrounds; returns the config of both.

    Args:
        unlabelled: games whose splits have no ground truth.
        window, subframes: see :func:`write_split`.
        flickering: games in which the Ball flickers.
    """
    for seed, (game, native) in enumerate(JOINT_NATIVES.items()):
        for split in ("train", "validation", "test"):
            labels = split != "train" and game not in unlabelled
            write_split(
                root,
                split,
                labels=labels,
                seed=seed,
                game=game,
                native=native,
                floor=(80 * seed, 0, 60),
                window=window,
                subframes=subframes,
                flicker=game in flickering,
            )
    scene = SceneConfig(threshold=0.0, overlap=1.0, classes=("Player", "Ball"), slots={"Player": 2})
    return replace(
        CONFIG,
        game="",
        data=replace(CONFIG.data, root=str(root)),
        scene=SceneConfig(),
        games={"Pong": replace(scene, ignore=((0, 200, 160, 10),)), "Carnival": scene},
    )
