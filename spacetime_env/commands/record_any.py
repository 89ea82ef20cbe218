"""``create_dataset.py --env-id``: clips of an environment that is no Atari game."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from spacetime_env.config import ConfigError
from spacetime_env.data.env_players import env_player
from spacetime_env.data.env_recording import WARMUP, EnvRecording, record_env
from spacetime_env.data.true_boxes import TrueBoxes

OWN = {"env_id", "env_kwargs", "frame_size", "warmup", "boxes", "boxes_in"}
TAKEN = OWN | {"out", "size", "seed", "length", "agent"}  # the options that go with --env-id


def add_env_flags(make: argparse.ArgumentParser) -> None:
    """What is for an environment that is no Atari game."""
    make.add_argument(
        "--env-id",
        metavar="NAME",
        help="in place of a game: any Gymnasium env that renders, such as CartPole-v1; of module:Env-v0 the module is "
        "imported. Its train, validation and test go to --out; --agent, --size, --length and --seed go with it",
    )
    make.add_argument(
        "--env-kwargs", nargs="+", metavar="NAME:VALUE", help="with --env-id: options of the env (default: none)"
    )
    make.add_argument(
        "--frame-size", nargs=2, type=int, metavar=("H", "W"), help="with --env-id: of frames (default: as rendered)"
    )
    make.add_argument(
        "--warmup",
        type=int,
        metavar="N",
        help=f"with --env-id: a clip begins after up to so many steps (default: {WARMUP})",
    )
    make.add_argument(
        "--boxes",
        metavar="MODULE:FUNCTION",
        help="with --env-id: a function boxes(env) -> [(name, x, y, w, h), ...] gives true boxes, in pixels. They "
        "measure a model, and name its objects where --boxes-in has validation; no network learns from them",
    )
    make.add_argument(
        "--boxes-in", nargs="+", metavar="SPLIT", help="with --boxes: validation, test or both (default: test)"
    )


def record_any(args: argparse.Namespace, others: Sequence[str]) -> None:
    """Record an environment that is no Atari game as the command line asks, and say how to train on it.

    Args:
        args: of :mod:`spacetime_env.commands.record`.
        others: the options that are given and are none of :data:`TAKEN`.

    Raises:
        ConfigError: ``--out`` is missing, or an option is given that is of Atari games.
        ValueError: see :func:`~spacetime_env.data.env_recording.record_env`.
    """
    if others:
        reason = "its RAM is not known: give a function with --boxes. " if "labels" in others else ""
        raise ConfigError(f"--env-id records an env that is no Atari game: {reason}Leave {', '.join(others)} out.")
    if args.out is None:
        raise ConfigError("--env-id needs --out FOLDER.")
    if args.boxes_in and not args.boxes:
        raise ConfigError("--boxes-in says where true boxes go: give their function with --boxes.")
    given: dict[str, Any] = {name: vars(args)[name] for name in ("size", "length", "seed", "warmup", "boxes_in")}
    if args.env_kwargs:
        from spacetime_env.agent.hyperparameters import from_arguments

        given["kwargs"] = from_arguments(args.env_kwargs)
    if args.frame_size:
        given["frame_size"] = tuple(args.frame_size)
    asked = EnvRecording(args.env_id, **{name: value for name, value in given.items() if value is not None})
    boxes = TrueBoxes(args.boxes) if args.boxes else None
    counts = record_env(args.out, asked, env_player(args.agent or "random"), boxes)
    print(f"{args.out}: {', '.join(f'{n} clips of {asked.length} frames in {split}' for split, n in counts.items())}")
    name = f"name={args.out.resolve().name} " if args.out.resolve().name != "balls" else ""
    print(f"Train with: python pretrain_space.py --config configs/balls.yaml {name}data.pictures={args.out}")
