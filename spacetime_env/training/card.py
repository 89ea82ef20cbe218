"""``CARD.md`` of a model folder: how the model was made, its scores and its limits. A view of its evaluation."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import numpy as np

from spacetime_env.config import Config
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.meta import SplitMeta
from spacetime_env.data.pictures import AGENT as PICTURES
from spacetime_env.data.players import shares
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.evaluation.split_scores import SplitScores
from spacetime_env.training.limits import Limits, joint_limit_lines, limit_lines
from spacetime_env.training.provenance import commit

BySplit = Mapping[str, SplitScores]  # test split -> scores; of several, all together come last


def card_text(
    config: Config,
    evaluation: Evaluation | None,
    seconds: Mapping[str, float],
    train: Stacks,
    command: str,
    start: str = "",
    layers: Mapping[str, float] | None = None,
) -> str:
    """The card of a model of one game, or of pictures.

    Args:
        evaluation: on the test splits; None: there is none.
        seconds: wall time of ``data`` and ``training``.
        train: the training split.
        command: the command line; "": Python.
        layers: see :func:`~spacetime_env.evaluation.layers.layer_figures`.
        start: the weights that the training started with, a sentence; "": new ones.
    """
    by_split = _by_split(evaluation)
    name = run_name(config) if config.data.pictures else config.game
    lines = [
        f"# {name}: a {config.model.variant} model",
        "",
        *_made(config, seconds, [train], command, start),
        *score_lines(by_split, bool(config.data.pictures)),
        *layer_lines(layers or {}),
    ]
    variant = config.model.variant if config.data.pictures else ""
    limits = Limits(config.scene, config.model.subframes, last_scores(by_split), variant)
    return "\n".join([*lines, "", "## Limits", *limit_lines(limits), ""])


def layer_lines(layers: Mapping[str, float]) -> list[str]:
    """The section on foreground and background; nothing where there are no figures of them."""
    rows = [f"| {name} | {value:.4f} |" for name, value in layers.items()]
    return ["", "### Foreground and background", "| figure | value |", "|---|---|", *rows] if rows else []


def joint_card_text(
    config: Config,
    evaluations: Mapping[str, Evaluation | None],
    subframes: Mapping[str, int],
    seconds: Mapping[str, float],
    trains: Sequence[Stacks],
    command: str,
    start: str = "",
) -> str:
    """The card of a model of several games.

    Args:
        evaluations: of each game, on its test splits; None: there is none.
        subframes: of each game, ``model.subframes`` as it was settled.
        seconds, command, start: see :func:`card_text`.
        trains: the training split of each game.
    """
    games = {game: _by_split(one) for game, one in evaluations.items()}
    lines = [
        f"# {', '.join(games)}: one {config.model.variant} model",
        "",
        *_made(config, seconds, trains, command, start),
        *joint_score_lines(games),
    ]
    scenes = each_game(config)
    limits = {game: Limits(scenes[game].scene, subframes[game], last_scores(own)) for game, own in games.items()}
    return "\n".join([*lines, "", "## Limits", *joint_limit_lines(limits), ""])


def _by_split(evaluation: Evaluation | None) -> BySplit:
    return {} if evaluation is None else evaluation.by_split


def last_scores(by_split: BySplit) -> DetectionScores | None:
    """The detection scores on all test splits together, which come last; None if there is no split."""
    return list(by_split.values())[-1].detection if by_split else None


def score_lines(by_split: BySplit, pictures: bool = False) -> list[str]:
    """The section "Figures" of the card of one game, or of pictures: the scores on each test split."""
    lines = [*(_PICTURE_TRUTH if pictures else _TRUTH)]
    if not by_split and pictures:
        lines.append("None: there was no folder test with boxes.csv.")
    elif not by_split:
        lines.append(
            "None: no test split with ground truth was there. Classes are clusters of z_what unless labelled."
        )
    for name, scores in by_split.items():
        lines += ["", *_split_lines(f"### {name}", scores)]
    return lines


def joint_score_lines(games: Mapping[str, BySplit]) -> list[str]:
    """The section "Figures" of the card of several games: a table of the games, then the test splits of each."""
    lines = [
        *_TRUTH,
        "Of each game there are such pictures, as `example-<Game>.png` and `errors-<Game>.png`.",
        "",
        f"| game | {' | '.join(_JOINT)} |",
        "|---|" + "---|" * len(_JOINT),
    ]
    rows: list[tuple[float, ...]] = []
    for game, by_split in games.items():
        if not by_split:
            lines.append(f"| {game} |{' - |' * len(_JOINT)}")
            continue
        last = list(by_split.values())[-1]
        found = last.detection
        of_boxes = (found.f1, found.f1_75, found.center_f1, found.precision, found.recall)
        rows.append((*of_boxes, last.target_f1, last.ram.f1))
        lines.append(f"| {game} | {' | '.join(f'{value:.4f}' for value in rows[-1])} |")
    if rows:
        means = " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0))
        lines.append(f"| mean of {len(rows)} | {means} |")
    untested = [game for game, by_split in games.items() if not by_split]
    if untested:
        lines += ["", f"No test split with ground truth was there of {', '.join(untested)}."]
    for game, by_split in games.items():
        for name, scores in by_split.items():
            lines += ["", *_split_lines(f"### {game}, {name}", scores)]
    return lines


_JOINT = (
    "F1 at IoU 0.5",
    "F1 at IoU 0.75",
    "F1 by centre distance",
    "precision",
    "recall",
    "F1 of the motion targets",
    "F1 at IoU 0.5, RAM boxes",
)

_TRUTH = (
    "",
    "## Figures",
    "Ground truth is read from RAM. It is used for these figures and for the few-shot names only. The figures are "
    "of what moves: the scene's classes without `scene.still`; finding something else that is there costs nothing. "
    "Drawn: true boxes are tight boxes of what is drawn, to the pixel; what cannot be decided counts neither way. "
    "RAM: true boxes are those of the RAM. "
    "The recall of a class counts detections at an IoU of 0.5, whatever they are called. "
    "`example.png` shows what is seen; `errors.png` four of the worst test frames, what was found (left of each "
    "pair) beside the ground truth, which is not always right.",
)


_PICTURE_TRUTH = (
    "",
    "## Figures",
    "True boxes are those of `boxes.csv`. They are used for these figures, and for the names if they have classes; the "
    "network never learned from them. The recall of a class counts detections at an IoU of 0.5, whatever they are "
    "called. `example.png` shows what is seen; "
    "`errors.png` four of the worst test pictures, what was found (left of each pair) beside the true boxes; "
    "`parts.png` test pictures, what is drawn of them, objects, alpha, background and its masks.",
)


def _made(
    config: Config, seconds: Mapping[str, float], trains: Sequence[Stacks], command: str, start: str
) -> list[str]:
    """How the model was made. ``trains`` are the training splits, one for each game.

    Where nothing was trained (no steps), they are those that the objects were named on.
    """
    meta = trains[0].meta
    made = (
        f"Made by `{command or 'spacetime_env.training.pretrain.pretrain(config)'}`, seed {config.seed}, "
        f"commit {commit()}."
    )
    if not config.train.steps:
        named = f"Nothing was trained. Its objects were named on {meta.size} stacks of {meta.length}"
        if config.data.pictures:
            return [made, start, f"{named} pictures."]
        return [made, start, f"{named} frames, {who_played(meta)}, seed {meta.seed}."]
    if config.data.pictures:
        height, width = meta.native
        data = (
            f"Data: {meta.size} stacks of {meta.length} pictures of {height} x {width} pixels (H x W). "
            "The checkpoint with the best ELBO on the validation pictures is kept. "
        )
    else:
        data = _played(config, meta, len(trains))
    return [
        made,
        *([start] if start else []),
        f"{data}Trained for {config.train.steps} steps of {config.train.batch_size} stacks.",
        f"Wall time with {config.train.threads} threads on {platform.machine()}: "
        f"data {seconds['data']:.0f} s "
        f"(less where it was there already), training with its evaluations {seconds['training']:.0f} s.",
    ]


def _played(config: Config, meta: SplitMeta, games: int) -> str:
    """The sentences on the recorded data, with a space at the end."""
    each = " of each game" if games > 1 else ""
    return (
        f"Data: {meta.size} stacks of {meta.length} frames{each}, {who_played(meta)}, seed {meta.seed}. "
        f"Validation data: policy {config.data.eval_agent!r}. "
    )


def who_played(meta: SplitMeta) -> str:
    """``policy 'random'``, or the policies of a mix with what each of them played."""
    found = shares(meta.agent, [meta.shard_stacks(i) for i in range(meta.shards)])
    if len(found) == 1:
        return f"policy {meta.agent!r}"
    each = [f"{name!r} ({shards} of {meta.shards} shards, {stacks} stacks)" for name, (shards, stacks) in found.items()]
    return f"policies in turn, a shard each: {', '.join(each[:-1])} and {each[-1]}"


def _split_lines(title: str, scores: SplitScores) -> list[str]:
    """The scores on one test split, as a Markdown table under a title."""
    found = scores.detection
    if scores.agent == PICTURES:  # it has no player, its objects need not move, and its boxes are drawn ones
        rows = _detection_rows(found) | {
            "pictures with the right number of objects": found.perfect,
            "pictures with too many": found.overcount,
            "pictures with too few": found.undercount,
        }
        head = [f"{title}: {found.frames} pictures with {found.objects} objects", "| figure | value |", "|---|---|"]
        return [*head, *(f"| {name} | {value:.4f} |" for name, value in rows.items()), *_few_shot_lines(scores)]
    drawn, ram = _detection_rows(found), _detection_rows(scores.ram)
    drawn |= {"F1 at IoU 0.5, nothing neutral": scores.f1_all}
    drawn["F1 of the motion targets themselves"] = scores.target_f1
    ram["F1 at IoU 0.5 where all but the scene's classes is false"] = scores.relevant.f1
    lines = [f"{title}: {found.frames} frames, policy {scores.agent!r}, seed {scores.seed}", "| figure | drawn | RAM |"]
    cells = [[f"{side[name]:.4f}" if name in side else "" for side in (drawn, ram)] for name in drawn | ram]
    lines += ["|---|---|---|", *(f"| {name} | {a} | {b} |" for name, (a, b) in zip(drawn | ram, cells, strict=True))]
    lines += [f"{row} |" for row in _few_shot_lines(scores)]
    neutral = [f"{kind} {count}" for kind, count in scores.neutral.items() if count]
    return [*lines, "", f"{found.objects} objects are drawn. Neutral: {', '.join(neutral) or 'nothing'}."]


def _detection_rows(found: DetectionScores) -> dict[str, float]:
    return {
        "F1 at IoU 0.5": found.f1,
        "F1 at IoU 0.75": found.f1_75,
        "F1 by centre distance": found.center_f1,
        "precision": found.precision,
        "recall": found.recall,
        "name accuracy": found.name_accuracy,
        **{f"recall of {name}": value for name, value in found.class_recall.items()},
    }


def _few_shot_lines(scores: SplitScores) -> list[str]:
    return [
        f"| {count}-shot accuracy, mean of 5 draws (spread) | {mean:.4f} ({spread:.4f}) |"
        for count, (mean, spread) in scores.few_shot.items()
    ]
