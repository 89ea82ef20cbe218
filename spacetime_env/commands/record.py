"""The command ``create_dataset.py``: record a split and draw pictures of it, record any environment, or draw rooms."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
from tqdm import tqdm

from spacetime_env.commands.command_line import exit_status
from spacetime_env.commands.ray_pool import RayPool, add_ray
from spacetime_env.commands.record_any import OWN, TAKEN, add_env_flags, record_any
from spacetime_env.config import Config, ConfigError, load_config
from spacetime_env.data.labels import LabelsError
from spacetime_env.data.meta import DatasetError, save
from spacetime_env.data.new_rooms import make_rooms
from spacetime_env.data.players import Player, policy_for
from spacetime_env.data.playing import SPLITS
from spacetime_env.data.recorder import record
from spacetime_env.data.rooms import KINDS
from spacetime_env.data.split import Split, open_split
from spacetime_env.data.stage_pictures import stack_picture
from spacetime_env.files import shown_names

EXAMPLES = """examples:
  python create_dataset.py --game Pong --split train --agent random --size 1024
  python create_dataset.py --game Pong --agent random+sticky-random+pong-ppo
  python create_dataset.py -g Pong -f validation --plot-boxes
  python create_dataset.py -g Pong -f test --plot-boxes 40:50
  python create_dataset.py --config configs/pong.yaml -f test --agent agents/pong-ppo data.gap=48
  python create_dataset.py --config configs/pong.yaml --ray 10.0.0.1:6379
  python create_dataset.py --rooms large --size 2400 --out data/room-large
  python create_dataset.py --env-id minigrid:MiniGrid-Dynamic-Obstacles-8x8-v0 --env-kwargs highlight:False \\
      --frame-size 128 128 --boxes examples.minigrid_boxes:boxes --out data/balls

Run the same command again after an interruption: it records only what is missing."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    make = argparse.ArgumentParser(
        "create_dataset.py",
        description="Record stacks of consecutive Atari frames with motion targets, for SPACE-Time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    make.add_argument(
        "overrides", nargs="*", metavar="key=value", help="with --config: settings that override those of the file"
    )
    make.add_argument("--config", help="a file of configs/; its game, data and motion settings are used")
    make.add_argument(
        "--rooms",
        choices=tuple(KINDS),
        help="in place of a game: draw 3D rooms with MuJoCo into --out: --size pictures in train, and an eighth of it "
        "in validation and in test; only --seed goes with it",
    )
    make.add_argument("--out", type=Path, metavar="FOLDER", help="with --rooms and --env-id: where to")
    add_env_flags(make)
    make.add_argument("-g", "--game", help="such as Pong or space_invaders; in place of that of --config")
    make.add_argument("-f", "--split", "--folder", choices=SPLITS, default="train", help="default: train")
    make.add_argument(
        "--agent",
        help="random, sticky-random, the name of a shipped agent, the folder of one, or several joined by +, which "
        "take turns, a shard each (default: data.agent; for validation data.eval_agent)",
    )
    make.add_argument("--size", type=int, metavar="N", help="stacks in the split")
    make.add_argument("--length", type=int, metavar="T", help="consecutive frames in a stack")
    make.add_argument("--seed", type=int, help="the three splits of a seed share no shard's seed")
    make.add_argument("--workers", type=int, help="recording processes; the files do not depend on it")
    add_ray(make, "record the shards as Ray tasks, in place of --workers")
    make.add_argument("--data-root", metavar="FOLDER", help="default: data")
    order = make.add_mutually_exclusive_group()
    for name, text in (("random", "i.i.d. order (the default)"), ("sequential", "stacks back to back")):
        order.add_argument(f"--{name}", dest="order", action="store_const", const=name, help=text)
    make.add_argument("--background", choices=("mode", "median"), help="the image that motion is measured against")
    make.add_argument("--extent", choices=("set", "trail"), help="the background of the set, or of a stack's trail")
    for kind, flags in (("mode", ["--root"]), ("median", ["--root-median", "--rootmedian"])):
        text = f"the {kind} of the whole set; as --background {kind} --extent set"
        make.add_argument(*flags, dest="root", action="store_const", const=(kind, "set"), help=text)
    make.add_argument(
        "--labels",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="ground-truth boxes from RAM (needs OCAtari); default: for validation and test",
    )
    make.add_argument(
        "--plot-boxes",
        "--plot_bb",
        type=part_of,
        nargs="?",
        const=slice(16),
        metavar="STACKS",
        help="draw stacks into <split>/plots, with the result of each stage of motion: N, the first N (default: 16), "
        "or a part as Python has it: 40:50, -5:, ::20",
    )
    return make


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``create_dataset.py``. Exit status: 0 done, 2 an error, printed as a sentence, 130 interrupted."""
    args = parser().parse_args(argv)
    return exit_status("create_dataset.py", lambda: run(args), errors=(LabelsError,), failed=2, resumes=True)


def run(args: argparse.Namespace) -> None:
    """Record a split, print how large it is, and draw pictures of it if that is asked for.

    Raises:
        ValueError, LabelsError: in plain sentences.
    """
    if args.rooms:
        draw_rooms(args)
        return
    if args.env_id is not None:
        record_any(args, _besides(args, TAKEN))
        return
    alone = [name for name in ("out", *sorted(OWN)) if vars(args)[name]]
    if alone:
        with_what = "--rooms or --env-id" if alone == ["out"] else "--env-id"
        raise ConfigError(f"--{alone[0].replace('_', '-')} goes with {with_what}; a game's frames go to --data-root.")
    if args.ray is not None and args.workers is not None:
        raise ConfigError("--ray takes the place of --workers: leave one of them out.")
    config = _config(args)
    subframes = config.model.subframes or config.data.subframes
    policy = _policy(args, config)
    with contextlib.nullcontext() if args.ray is None else RayPool(args.ray) as pool:
        folder = record(
            config.game, args.split, policy, config.data, config.motion, args.labels, subframes=subframes, pool=pool
        )
    split = open_split(folder, motion=config.motion, subframes=subframes)
    megabytes = sum(file.stat().st_size for file in folder.glob("*.*")) / 1e6
    print(f"{folder}: {len(split)} stacks of {split.meta.length} frames, {megabytes:.1f} MB")
    if split.meta.subframes > 1 and config.motion.foreground == "rarity":
        print(f"{split.flicker():.1%} of what moves is drawn in the emulator's frame before the last alone")
    if args.plot_boxes is not None:
        plots = folder / "plots"
        print(f"{plots}: pictures of {plot_boxes(split, plots, args.plot_boxes)} stacks")


def draw_rooms(args: argparse.Namespace) -> None:
    """Draw 3D rooms as the command line asks, and say how to train on them.

    Raises:
        ConfigError: ``--out`` or ``--size`` is missing, or an option is given that does not go with ``--rooms``.
        DatasetError: see :func:`~spacetime_env.data.new_rooms.make_rooms`.
    """
    others = _besides(args, {"rooms", "out", "size", "seed"})
    if others:
        raise ConfigError(f"--rooms draws pictures and plays no game: leave {', '.join(others)} out.")
    if args.out is None or args.size is None:
        raise ConfigError("--rooms needs --size N, pictures to train on, and --out FOLDER.")
    counts = make_rooms(args.out, args.rooms, args.size, args.seed or 0)
    print(f"{args.out}: {', '.join(f'{count} pictures in {split}' for split, count in counts.items())}")
    print(f"Train with: python pretrain_space.py --config configs/room-{args.rooms}.yaml data.pictures={args.out}")


def _besides(args: argparse.Namespace, taken: set[str]) -> list[str]:
    """The options that are given and are none of ``taken``."""
    plain = vars(parser().parse_args([]))
    return [name for name, value in vars(args).items() if name not in taken and value != plain[name]]


def _policy(args: argparse.Namespace, config: Config) -> Player:
    """The player of the split."""
    if args.agent is not None:
        return policy_for(args.agent, "--agent")
    if args.split == "validation":  # pretraining uses the validation split of this policy
        return policy_for(config.data.eval_agent, "data.eval_agent")
    return policy_for(config.data.agent)


def part_of(word: str) -> slice:
    """The stacks that ``--plot-boxes`` names: ``7`` are the first 7, ``40:50`` and ``::20`` as in Python.

    Raises:
        argparse.ArgumentTypeError: it names none.
    """
    parts = word.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
        if len(numbers) == 1 and numbers[0] is not None and numbers[0] > 0:
            return slice(numbers[0])
        if len(numbers) in (2, 3) and numbers[2:] != [0]:
            return slice(*numbers)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a number of stacks, such as 16, or a part, such as 40:50, got {word!r}")


def plot_boxes(split: Split, folder: Path, part: slice) -> int:
    """Draw some stacks of a split, one PNG each, with :func:`spacetime_env.data.stage_pictures.stack_picture`.

    Args:
        part: which stacks.

    Returns:
        The number of stacks drawn.

    Raises:
        DatasetError: the split has none of them, or the folder or a picture cannot be written.
    """
    stacks = range(len(split))[part]
    if not stacks:
        raise DatasetError(f"--plot-boxes: {split.path} has the stacks 0 to {len(split) - 1}, and none of those asked.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {folder}: {error.strerror}.") from None
    for i in tqdm(stacks, desc="drawing", unit="stack", delay=2):
        data = cv2.imencode(".png", stack_picture(split, i)[..., ::-1])[1].tobytes()
        save(folder / f"stack-{i:05d}.png", data)
    return len(stacks)


def _config(args: argparse.Namespace) -> Config:
    """The settings of the file, overridden by the flags."""
    if args.overrides and not args.config:
        raise ConfigError(f"settings such as {args.overrides[0]!r} override a config file: give --config FILE too.")
    config = load_config(args.config, args.overrides) if args.config else Config()
    size = {"size" if args.split == "train" else "eval_size": args.size}
    asked = {"length": args.length, "seed": args.seed, "workers": args.workers}
    asked |= {"root": args.data_root, "order": args.order, **size}
    if config.games and not args.game:
        raise ConfigError(f"{args.config} is of several games ({shown_names(config.games)}): say with --game which.")
    background, extent = args.root or (args.background, args.extent)
    motion = {"background": background, "extent": extent}
    return dataclasses.replace(
        config,
        game=args.game or config.game,
        games={},
        data=dataclasses.replace(config.data, **{k: v for k, v in asked.items() if v is not None}),
        motion=dataclasses.replace(config.motion, **{k: v for k, v in motion.items() if v is not None}),
    )
