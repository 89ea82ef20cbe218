"""Valid inputs, small and the same in each run, that cases are made from by breaking something."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from benchmarks.fuzz.seed_published import upstream_state
from spacetime_env.config import (
    BackgroundConfig,
    Config,
    DataConfig,
    EncoderConfig,
    GlimpseConfig,
    ModelConfig,
    MotionConfig,
    SceneConfig,
    TrainConfig,
    to_dict,
)
from spacetime_env.data.meta import INDEX, SplitMeta, write_meta
from spacetime_env.data.shards import FrameBoxes, Shard
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.classifier_file import write_classifiers
from spacetime_env.models.folder import save_joint, save_model
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.shipped import folders
from spacetime_env.space import Space

PONG = (210, 160)  # H, W of the frames of Pong
SMALL = (44, 36)  # of the splits here

Valid = list[tuple[Path, list[str]]]  # folders, and the words that go with each; see benchmarks.fuzz.spoil.Spoiled

# 38 x 32 pixels become 4 x 4 cells: 38 -> 19 -> 9 -> 4 and 32 -> 16 -> 8 -> 4.
MODEL = ModelConfig(
    variant="space+motion",
    frame_size=(38, 32),
    grid=4,
    z_what_dim=3,
    scale_bias=-2.0,
    encoder=EncoderConfig(layers=((6, 4, 2, 1, 0), (8, 4, 2, 1, 0), (10, 4, 2, 1, 0)), lateral=False, norm="batch"),
    glimpse=GlimpseConfig(size=4, encoder=((8, 4, 2, 1, 0),), decoder=((8, 0), (6, 0), (4, 0)), refine=False),
    background=BackgroundConfig(kind="fixed"),
)
OTHERS = (  # other parts of the network
    replace(
        MODEL,
        frame_size=(64, 64),
        encoder=EncoderConfig(layers=((6, 4, 4, 0, 2), (8, 4, 2, 1, 2), (16, 4, 2, 1, 2)), lateral=True),
        background=BackgroundConfig("components", 2, 4, 2, 2, 4),
    ),
    replace(MODEL, z_what_from="map", rows=(34, 194), color_order="bgr"),
    replace(MODEL, subframes=2, encoder=replace(MODEL.encoder, norm="group", input="both")),
    replace(MODEL, background=BackgroundConfig("linear", 2, 4, 2, 2, 4, input_size=16, mask_size=8)),
)
SCENE = SceneConfig(
    classes=("Player", "Ball"), slots={"Player": 2, "Ball": 1}, ignore=((0, 0, 160, 20),), threshold=0.0, overlap=1.0
)
CONFIG = Config(
    data=DataConfig(size=4, eval_size=4, length=2, shard_size=2, workers=1),
    motion=MotionConfig(components="color", closing=1),
    model=MODEL,
    train=TrainConfig(steps=9, batch_size=1, threads=1),
    scene=SCENE,
)


def model(config: ModelConfig, game: str = "Pong", native: tuple[int, int] = PONG) -> Model:
    """An untrained model; with SCENE it finds something in each cell."""
    torch.manual_seed(0)
    space = Space(config)
    coef = np.random.default_rng(0).normal(size=(2, config.z_what_dim)).astype(np.float32)
    classifier = LinearClassifier(coef, np.zeros(2, np.float32), SCENE.classes)
    return Model(space, classifier, Settings(game, native, SCENE.classes, config, SCENE, "", "0.1.0"))


def model_folders(root: Path) -> Valid:
    """Model folders of one game each."""
    made: Valid = []
    for number, config in enumerate((MODEL, *OTHERS)):
        one = model(config)
        about: dict[str, Any] = {"game": one.game, "native": one.native, "scene_config": SCENE, "card": "# A model\n"}
        made.append(
            (save_model(root / f"model-{number}", one.space, one.classifier, trained={"steps": 9}, **about), [""])
        )
    return made


def joint_folders(root: Path) -> Valid:
    """A model folder of two games, and one of a single game in the same form."""
    pong = model(replace(MODEL, subframes=1))
    other = model(replace(MODEL, subframes=1), "Breakout")
    return [(save_joint(root / "joint-0", [pong, other]), ["Pong"]), (save_joint(root / "joint-1", [pong]), [""])]


def split_folders(root: Path) -> Valid:
    """Splits of 3 stacks of 2 frames in two files: bare, and with all that a shard can hold."""
    rng, made = np.random.default_rng(0), Valid()
    for full in (False, True):
        folder = root / f"split-{int(full)}"
        folder.mkdir(parents=True)
        extra: dict[str, Any] = {"window": 3, "subframes": 2, "trail": "mode of 4"} if full else {}
        about: dict[str, Any] = {
            "frameskip": 4,
            "sticky": 0.25,
            "labels": True,
            "classes": SCENE.classes,
            "native": SMALL,
        }
        play: dict[str, Any] = {"order": "random", "gap": 2, "warmup": 3, "agent": "random", "agent_version": ""}
        meta = SplitMeta(
            "Pong", "validation", seed=0, size=3, length=2, shard_size=2, **play, **{"trail": "", **about, **extra}
        )
        write_meta(folder, meta)
        index = {}
        for number in range(meta.shards):
            n = meta.shard_stacks(number)
            ids = np.zeros((n, 2, *SMALL), np.uint8)
            for frame, x in zip(ids.reshape(-1, *SMALL), rng.integers(0, 20, 2 * n).tolist(), strict=True):
                frame[9:16, x : x + 5] = 2
            boxes = FrameBoxes.of(np.full((2 * n, 4), 7, np.float32), np.full(2 * n, 1), np.full(2 * n, "Ball"))
            parts = (
                ids,
                rng.integers(0, 256, (256, 3), dtype=np.uint8),
                np.zeros(n, np.int32),
                np.zeros((n, 2), np.int32),
            )
            more = (np.zeros((n, *SMALL, 3), np.uint8), np.full_like(ids, 9), ids) if full else (None, None, None)
            blob = Shard(*parts, boxes, *more).to_bytes()
            (folder / meta.shard_name(number)).write_bytes(blob)
            index[meta.shard_name(number)] = hashlib.sha256(blob).hexdigest()
        (folder / INDEX).write_text(yaml.safe_dump(index))
        made.append((folder, ["rarity" if full else ""]))
    return made


def pretraining(config: Config = CONFIG) -> Any:
    """A network in training after no step at all: a :class:`spacetime_env.training.checkpoint.State`."""
    from spacetime_env.space import CountMismatch
    from spacetime_env.training.checkpoint import State
    from spacetime_env.training.step import make_optimizers

    torch.manual_seed(0)
    space = Space(config.model)
    return State(space, make_optimizers(space, config), CountMismatch(config.loss))


def checkpoint_folders(root: Path) -> Valid:
    """Checkpoints of a pretraining, after two steps and after four."""
    from spacetime_env.training.checkpoint import save_checkpoint

    state, folder = pretraining(), root / "checkpoints"
    for step in (2, 4):
        one_step(state)
        state.step = step
        save_checkpoint(folder, state, CONFIG, 2, best=step == 4)
    return [(folder, ["resume"]), (folder, ["start"])]


def published_folders(root: Path) -> Valid:
    """A checkpoint of the published code, in the form that torch writes today and in that of before 2020."""
    made: Valid = []
    for new in (True, False):
        folder = root / f"published-{int(new)}"
        folder.mkdir(parents=True)
        content = {"model": upstream_state(), "epoch": 3, "optimizer_fg": {"state": {}, "param_groups": []}}
        torch.save(content, folder / "model.pth", _use_new_zipfile_serialization=new)
        made.append((folder, ["new" if new else "old"]))
    return made


def classifier_folders(root: Path) -> Valid:
    """A file of two classifiers, as there is one beside each checkpoint."""
    root.mkdir(parents=True)
    one = model(MODEL).classifier
    write_classifiers(root / "x.classifiers.safetensors", {"1": one, "Pong.16": one})
    return [(root, [])]


def one_step(state: Any) -> None:
    """A step of the pretraining on made-up frames."""
    from spacetime_env.space import Targets
    from spacetime_env.training.step import train_step

    frames = torch.full((2, 3, *MODEL.frame_size), 0.5)
    z_where = torch.zeros(2, 16, 4)
    z_where[..., :2] = 0.2
    target = Targets(torch.ones(2, 16, 1), z_where, torch.ones(2, 1, *MODEL.frame_size), 2)
    train_step(state.space, state.optimizers, state.mismatch, frames, target, CONFIG, state.step / CONFIG.train.steps)


def config_folders(root: Path) -> Valid:
    """The shipped configs, with one of them as ``config.yaml``, and one that says everything."""
    made: Valid = []
    shipped = [path for folder in folders("configs") for path in sorted(folder.glob("*.yaml"))][:40]
    for name in ("pong", "default", "mspacman", ""):
        folder = root / f"config-{name}"
        folder.mkdir(parents=True)
        for path in shipped:
            shutil.copy(path, folder)
        text = (folder / f"{name}.yaml").read_text() if name else yaml.safe_dump(to_dict(CONFIG))
        (folder / "config.yaml").write_text(text)
        made.append((folder, []))
    return made


def picture_folders(root: Path) -> Valid:
    """A split, whose background is a picture, and a picture."""
    (folder, _), *_ = split_folders(root)
    pixels = np.zeros((*PONG, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    Image.fromarray(pixels[: SMALL[0], : SMALL[1]]).save(folder / "background-mode.png")
    return [(folder, ["look"]), (folder, ["background"])]


def stills_folders(root: Path) -> Valid:
    """A folder of pictures with true boxes."""
    folder = root / "stills"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["picture,x,y,w,h,class"]
    for i in range(3):
        pixels = rng.integers(0, 256, (*SMALL, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines += [f"{i}.png,{i},{2 * i},{3 + i},4.5,{name}" for name in ("ball", "box")]
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return [(folder, [])]
