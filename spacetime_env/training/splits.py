"""The splits of a run: opened and compared with the settings; missing ones are recorded first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spacetime_env.config import Config, ConfigError, Scope, differences, to_dict
from spacetime_env.data.labels import LabelsError
from spacetime_env.data.meta import META, DatasetError, other_settings, read_meta
from spacetime_env.data.pictures import open_pictures
from spacetime_env.data.players import Player, policy_for
from spacetime_env.data.recorder import record, split_folder
from spacetime_env.data.split import Split, open_split
from spacetime_env.data.stacks import Stacks
from spacetime_env.files import did_you_mean, shown, shown_names

FLICKER = 0.02  # over this flicker (see Split.flicker) a model sees two frames; a fast ball alone makes 1.4 %


def prepare_split(config: Config, split: str, policy: Player | None = None) -> Split:
    """Record a split, or its missing shards, and open it.

    The validation split is recorded with ground truth, for naming and for figures; without, if the game has none or
    OCAtari is not installed.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        policy: the player; None: ``data.agent``, and ``data.eval_agent`` for the validation split.

    Raises:
        DatasetError: the folder holds another game or other settings, or is damaged.
    """
    if policy is None:
        key = "data.eval_agent" if split == "validation" else "data.agent"
        policy = policy_for(config.data.eval_agent if split == "validation" else config.data.agent, key)
    folder = split_folder(config.data, config.game, split, policy.name)
    subframes = config.model.subframes or 2  # 0: settle_subframes needs both frames
    # An unfinished one is resumed as it was begun, with or without labels.
    labels = read_meta(folder).labels if (folder / META).is_file() else None
    try:
        found = open_split(folder, config.game, config.motion, subframes)
    except DatasetError:  # missing or incomplete; if it is of other settings, record raises again
        try:
            record(config.game, split, policy, config.data, config.motion, labels, subframes=subframes, prepare=False)
        except LabelsError as error:
            print(f"no ground truth for {config.game}: {error} Objects will be named by clusters.")
            record(config.game, split, policy, config.data, config.motion, False, subframes=subframes, prepare=False)
        return open_split(folder, config.game, config.motion, subframes)
    require_same(found, config)
    return found


def settle_subframes(config: Config, train: Split) -> Config:
    """The config with ``model.subframes`` 1 or 2; if it is 0, the flicker of the training split decides."""
    if config.model.subframes:
        return config
    flicker = train.flicker()
    chosen = 2 if flicker > FLICKER else 1
    print(f"{flicker:.1%} of what moves is in the emulator's frame before the last alone: model.subframes={chosen}")
    return replace(config, model=replace(config.model, subframes=chosen))


def test_splits(config: Config) -> list[Stacks]:
    """The test splits that have labels. If ``data.test_agent`` names a policy, its split is recorded if it is missing.

    Raises:
        DatasetError: one was recorded with settings that ``config`` cannot use.
    """
    if config.data.test_agent:
        prepare_split(config, "test", policy_for(config.data.test_agent, "data.test_agent"))
    folders = sorted(split_folder(config.data, config.game, "test", "*").parent.glob("test-*"))
    found: list[Stacks] = [
        open_split(folder, config.game, config.motion, config.model.subframes)
        for folder in folders
        if (folder / META).is_file()
    ]
    return [split for split in found if split.meta.labels]


def picture_splits(config: Config) -> tuple[Stacks, Stacks, list[Stacks]]:
    """Open the folders train, validation and test in ``data.pictures``; test only if it is there and has true boxes.

    Raises:
        DatasetError: see :func:`~spacetime_env.data.pictures.open_pictures`; or their pictures differ in size.
        ConfigError: the variant learns from motion, and there is no clip to learn from.
    """
    root, moves = Path(config.data.pictures), config.model.variant != "space"
    names = ("train", "validation", "test") if (root / "test").is_dir() else ("train", "validation")
    motion = config.motion if moves else None
    found = [open_pictures(root / name, config.data.length, motion, config.game) for name in names]
    for split in found[1:]:
        if split.native != found[0].native:
            raise DatasetError(
                f"{found[0].path} has pictures of {found[0].native} pixels (H x W), and {split.path} of "
                f"{split.native}: bring all of them to one size."
            )
    if moves and not found[0].clips:
        raise ConfigError(
            f"model.variant: {config.model.variant!r} learns from motion, and {found[0].path} has no clips (subfolders "
            "of frames): set model.variant=space."
        )
    return found[0], found[1], [split for split in found[2:] if split.meta.labels]


def require_same(found: Split, config: Config) -> None:
    """Refuse a finished split whose number, length or seed of stacks is not that of ``config.data``.

    Raises:
        DatasetError: naming the settings.
    """
    asked = to_dict(config)["data"]
    recorded = asked | found.meta.settings()["data"]  # a train split knows no eval_size, so that is not compared
    wrong = differences({"data": recorded}, {"data": asked}, Scope.SPLIT)
    if wrong:
        raise DatasetError(other_settings(found.path, wrong))


def require_classes(config: Config, validation: Stacks) -> None:
    """Refuse names in ``scene.classes`` and ``scene.still`` that the ground truth of the split does not have.

    Raises:
        ConfigError: naming the nearest that it has.
    """
    known = validation.meta.classes
    asked = [("classes", name) for name in config.scene.classes] + [("still", name) for name in config.scene.still]
    for key, name in asked if validation.meta.labels and known else ():
        if name not in known:
            raise ConfigError(
                f"scene.{key}: the ground truth of {config.game} has no {shown(name)}; it has {shown_names(known)}. "
                f"{did_you_mean(name, known)}".rstrip()
            )
