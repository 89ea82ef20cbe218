"""The model's card: how it was made, its figures and its limits."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.data.meta import SplitMeta
from spacetime_env.data.players import shares
from spacetime_env.data.split import Split
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.training.limits import joint_limit_lines, limit_lines
from spacetime_env.training.provenance import commit


@dataclass(frozen=True)
class Figures:
    """What was measured on one test split."""

    detection: DetectionScores  # of what moves; finding something else that is there costs nothing
    relevant: DetectionScores  # of the scene's classes; finding anything else is false
    few_shot: dict[int, tuple[float, float]]
    target_f1: float  # of the motion targets themselves, against what moves
    agent: str
    seed: str


def who_played(meta: SplitMeta) -> str:
    """``policy 'random'``, or the policies of a mix with what each of them played."""
    found = shares(meta.agent, [meta.shard_stacks(i) for i in range(meta.shards)])
    if len(found) == 1:
        return f"policy {meta.agent!r}"
    each = [f"{name!r} ({shards} of {meta.shards} shards, {stacks} stacks)" for name, (shards, stacks) in found.items()]
    return f"policies in turn, a shard each: {', '.join(each[:-1])} and {each[-1]}"


def card(
    config: Config, figures: Mapping[str, Figures], seconds: Mapping[str, float], train: Split, command: str
) -> str:
    """``CARD.md``: data, command, seed, wall time, figures, limits."""
    lines = [
        f"# {config.game}: a {config.model.variant} model",
        "",
        *_made(config, seconds, [train], command),
        *figure_lines(figures),
    ]
    limits = limit_lines(config.scene, config.model.subframes, last_scores(figures))
    return "\n".join([*lines, "", "## Limits", *limits, ""])


def last_scores(figures: Mapping[str, Figures]) -> DetectionScores | None:
    """Those of all test splits together, which come last; ``None`` where there is no split."""
    return list(figures.values())[-1].detection if figures else None


def figure_lines(figures: Mapping[str, Figures]) -> list[str]:
    """What a card has between how it was made and its limits: the figures of each test split."""
    lines = [*_TRUTH]
    if not figures:
        lines.append(
            "None: no test split with ground truth was there. Classes are clusters of z_what unless labelled."
        )
    for name, figure in figures.items():
        lines += ["", *_figure(f"### {name}", figure)]
    return lines


def joint_figure_lines(figures: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """The same of a joint card: a table over the games, then the test splits of each."""
    lines = [
        *_TRUTH,
        "Of each game there are such pictures, as `example-<Game>.png` and `errors-<Game>.png`.",
        "",
        "| game | F1 at IoU 0.5 | precision | recall | F1 by centre distance | F1 of the motion targets |",
        "|---|---|---|---|---|---|",
    ]
    rows: list[tuple[float, ...]] = []
    for game, each in figures.items():
        if not each:
            lines.append(f"| {game} | - | - | - | - | - |")
            continue
        last = list(each.values())[-1]
        found = last.detection
        rows.append((found.f1, found.precision, found.recall, found.center_f1, last.target_f1))
        lines.append(f"| {game} | {' | '.join(f'{value:.4f}' for value in rows[-1])} |")
    if rows:
        means = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        lines.append(f"| mean of {len(rows)} | {means} |")
    left = [game for game, each in figures.items() if not each]
    if left:
        lines += ["", f"No test split with ground truth was there of {', '.join(left)}."]
    for game, each in figures.items():
        for name, figure in each.items():
            lines += ["", *_figure(f"### {game}, {name}", figure)]
    return lines


def joint_card(
    config: Config,
    figures: Mapping[str, Mapping[str, Figures]],
    subframes: Mapping[str, int],
    seconds: Mapping[str, float],
    trains: Sequence[Split],
    command: str,
) -> str:
    """``CARD.md`` of several games.

    Args:
        figures: of each game, those of its test splits; the last one counts. Empty where it has none.
        subframes: of each game, ``model.subframes`` as it was settled.
        trains: a training split a game.
    """
    lines = [
        f"# {', '.join(figures)}: one {config.model.variant} model",
        "",
        *_made(config, seconds, trains, command),
        *joint_figure_lines(figures),
    ]
    scenes = each_game(config)
    known = {game: (scenes[game].scene, subframes[game], last_scores(own)) for game, own in figures.items()}
    return "\n".join([*lines, "", "## Limits", *joint_limit_lines(known), ""])


_TRUTH = (
    "",
    "## Figures",
    "Ground truth is read from RAM. It is used for these figures and for the few-shot names only. The figures are "
    "of what moves: the scene's classes without `scene.still`; finding something else that is there costs nothing. "
    "The recall of a class counts detections at an IoU of 0.5, whatever they are called. "
    "`example.png` shows what is seen; `errors.png` four of the worst test frames, what was found (left of each "
    "pair) beside the ground truth, which is not always right.",
)


def _made(config: Config, seconds: Mapping[str, float], trains: Sequence[Split], command: str) -> list[str]:
    """How it was made; ``trains``: the training split of each game."""
    meta = trains[0].meta
    each = " of each game" if len(trains) > 1 else ""
    return [
        f"Made by `{command or 'spacetime_env.training.pretrain.pretrain(config)'}`, seed {config.seed}, "
        f"commit {commit()}.",
        f"Data: {meta.size} stacks of {meta.length} frames{each}, {who_played(meta)}, seed {meta.seed}. "
        f"Validation data: policy {config.data.eval_agent!r}. "
        f"Trained for {config.train.steps} steps of {config.train.batch_size} stacks.",
        f"Wall time with {config.train.threads} threads on {platform.machine()}: "
        f"data {seconds['data']:.0f} s "
        f"(less where it was there already), training with its evaluations {seconds['training']:.0f} s.",
    ]


def _figure(title: str, figure: Figures) -> list[str]:
    """The figures of one test split under a title."""
    return [
        f"{title}: {figure.detection.frames} frames, policy {figure.agent!r}, seed {figure.seed}",
        *figure.detection.lines(),
        f"| F1 at IoU 0.5 where all but the scene's classes is false | {figure.relevant.f1:.4f} |",
        f"| F1 of the motion targets themselves | {figure.target_f1:.4f} |",
        *(
            f"| {count}-shot accuracy, mean of 5 draws (spread) | {mean:.4f} ({spread:.4f}) |"
            for count, (mean, spread) in figure.few_shot.items()
        ),
    ]
