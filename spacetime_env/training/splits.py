"""From what is recorded to what training needs: a split that is there and fits the settings, as tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spacetime_env.config import Config, ConfigError
from spacetime_env.data.labels import LabelsError
from spacetime_env.data.meta import META, DatasetError, read_meta
from spacetime_env.data.motion import targets
from spacetime_env.data.players import Player, policy_for
from spacetime_env.data.recorder import record, split_folder
from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation.truth import motion_truth
from spacetime_env.frames import resize, shown_rows
from spacetime_env.training.step import Examples

FLICKER = 0.02  # over this part of what moves, it is worth looking at two frames; a fast ball alone makes 1.4 %


def prepare_split(config: Config, split: str, policy: Player | None = None) -> Split:
    """Record a split, or what is missing of it, and open it.

    Where ``policy`` is None, ``data.agent`` plays, and the validation split ``data.eval_agent``.

    Validation wants ground truth for naming and for figures; where the game has none, or OCAtari is not
    installed, it is recorded without.

    Raises:
        DatasetError: what is there is of another game or of other settings, or is damaged.
    """
    if policy is None:
        key = "data.eval_agent" if split == "validation" else "data.agent"
        policy = policy_for(config.data.eval_agent if split == "validation" else config.data.agent, key)
    folder = split_folder(config.data, config.game, split, policy.name)
    subframes = config.model.subframes or 2  # 0: both are looked at to find out
    # An unfinished one is resumed as it was begun, with or without labels.
    labels = read_meta(folder).labels if (folder / META).is_file() else None
    try:
        found = open_split(folder, config.game, config.motion, subframes)
    except DatasetError:  # missing or incomplete; record says what is wrong with it, if it cannot go on
        try:
            record(config.game, split, policy, config.data, config.motion, labels, subframes=subframes, prepare=False)
        except LabelsError as error:
            print(f"no ground truth for {config.game}: {error} Objects will be named by clusters.")
            record(config.game, split, policy, config.data, config.motion, False, subframes=subframes, prepare=False)
        return open_split(folder, config.game, config.motion, subframes)
    require_same(found, config, split)
    return found


def settle_subframes(config: Config, train: Split) -> Config:
    """The configuration with ``model.subframes`` 1 or 2; where it is 0, by what flickers in the training data."""
    if config.model.subframes:
        return config
    flicker = train.flicker()
    chosen = 2 if flicker > FLICKER else 1
    print(f"{flicker:.1%} of what moves is in the emulator's frame before the last alone: model.subframes={chosen}")
    return replace(config, model=replace(config.model, subframes=chosen))


def test_splits(config: Config) -> list[Split]:
    """The test splits that are there and have labels; where ``data.test_agent`` names a policy, also of its play.

    Raises:
        DatasetError: one was recorded with settings that ``config`` cannot use.
    """
    if config.data.test_agent:
        prepare_split(config, "test", policy_for(config.data.test_agent, "data.test_agent"))
    folders = sorted(split_folder(config.data, config.game, "test", "*").parent.glob("test-*"))
    found = [
        open_split(folder, config.game, config.motion, config.model.subframes)
        for folder in folders
        if (folder / META).is_file()
    ]
    return [split for split in found if split.meta.labels]


def require_same(found: Split, config: Config, split: str) -> None:
    """Refuse a split that was recorded with other settings than ``config.data`` asks for."""
    data = config.data
    asked = {"size": data.size if split == "train" else data.eval_size}
    asked |= {"length": data.length, "seed": data.seed, "shard_size": data.shard_size}
    wrong = [
        f"{name} is {getattr(found.meta, name)} there, {value} asked for"
        for name, value in asked.items()
        if getattr(found.meta, name) != value
    ]
    if wrong:
        raise DatasetError(
            f"{found.path} was recorded with other settings: {'; '.join(wrong)}. Ask for the same, delete "
            "the folder, or give another one with data.root=FOLDER."
        )


def load_examples(split: Split, config: Config) -> Examples:
    """A split as training tensors, with what moves in ``scene.ignore`` left out of the targets."""
    model, width = config.model, split.native[1]
    size, grid = model.frame_size, model.grid
    try:
        top, bottom = shown_rows(model.rows, split.native)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    seen = (bottom - top, width)
    frames, background = split.small(size, model.rows), resize(split.background[None, top:bottom], size)[0]
    if model.color_order == "bgr":
        frames, background = frames[..., ::-1], background[..., ::-1]
    masks = split.motion_masks(size, rows=model.rows)
    for x, y, w, h in config.scene.ignore:
        above, below = (max(0, round((v - top) * size[0] / seen[0])) for v in (y, y + h))
        left, right = (round(v * size[1] / width) for v in (x, x + w))
        masks[..., above:below, left:right] = 0
    found = [targets(within(one.boxes, top, bottom), seen, grid) for one in motion_truth(split, config.scene)]
    lead = (len(split), split.meta.length)
    return Examples(
        frames=np.ascontiguousarray(frames.transpose(0, 1, 4, 2, 3)),
        masks=masks > 127,
        z_pres=np.stack([z_pres for z_pres, _ in found]).reshape(*lead, grid * grid, 1),
        z_where=np.stack([z_where for _, z_where in found]).reshape(*lead, grid * grid, 4),
        background=np.ascontiguousarray(background.transpose(2, 0, 1)),
    )


def within(boxes: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """Boxes (n, 4) ``x, y, w, h`` as seen between two rows, ``y`` from the first of them; without those not seen."""
    low, high = boxes[:, 1].clip(top, bottom), (boxes[:, 1] + boxes[:, 3]).clip(top, bottom)
    cut = np.stack([boxes[:, 0], low - top, boxes[:, 2], high - low], axis=1)
    return cut[high > low]
