"""What a finished run writes: the model folder with its card, and the run's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacetime_env.config import Config, to_dict
from spacetime_env.data.env_recording import recorded_env
from spacetime_env.evaluation import figures_json, game_tables, tables
from spacetime_env.evaluation.evaluate import Evaluation
from spacetime_env.models.folder import save_joint, save_model
from spacetime_env.models.model import Model
from spacetime_env.models.settings import read_settings
from spacetime_env.training.card import card_text, joint_card_text
from spacetime_env.training.game_data import GameData
from spacetime_env.training.pictures import joint_pictures
from spacetime_env.training.provenance import as_yaml, provenance


@dataclass(frozen=True)
class GameResult:
    """What a run gives for one game."""

    model: Model
    evaluation: Evaluation | None  # on the test splits; None: there is none with labels
    pictures: dict[str, bytes]  # PNG by file name, see :func:`~spacetime_env.training.pictures.model_pictures`
    layers: Mapping[str, float] = field(default_factory=dict)  # of pictures, see evaluation.layers.layer_figures


def save_results(
    config: Config,
    results: Mapping[str, GameResult],
    games: Mapping[str, GameData],
    out: Path,
    seconds: Mapping[str, float],
    command: str,
    start: str = "",
) -> Path:
    """Write the model folder with its card, and print the card's scores.

    Args:
        results, games: of each game.
        seconds: wall time of ``data`` and ``training``.
        out: the model folder.
        command: the command line; "": Python.
        start: the weights that the training started with, a sentence; "": new ones.

    Raises:
        BundleError: the folder cannot be written.
    """
    trained = (
        provenance(config)["versions"]
        | {"seed": config.seed, "steps": config.train.steps}
        | {f"seconds_{what}": round(passed) for what, passed in seconds.items()}
        | ({"start": start} if start else {})
        | ({"env": env_id} if (env_id := recorded_env(config.data.pictures)) else {})
    )
    extras = {"config.yaml": as_yaml(to_dict(config))}
    trains = [game.train for game in games.values()]
    if config.games:
        subframes = {name: game.config.model.subframes for name, game in games.items()}
        evaluations = {name: one.evaluation for name, one in results.items()}
        card = joint_card_text(config, evaluations, subframes, seconds, trains, command, start)
        extras |= joint_pictures({name: one.pictures for name, one in results.items()})
        folder = save_joint(out, [one.model for one in results.values()], trained=trained, card=card, extras=extras)
    else:
        ((name, one),) = results.items()
        card = card_text(config, one.evaluation, seconds, trains[0], command, start, one.layers)
        folder = save_model(
            out,
            one.model.space,
            one.model.classifier,
            game=name,
            native=one.model.native,
            scene_config=one.model.scene,
            trained=trained,
            card=card,
            extras=one.pictures | extras,
            mode=one.model.settings.mode,
            difficulty=one.model.settings.difficulty,
        )
    print(card.split("## Limits")[0])
    return folder


def write_evaluations(
    folder: Path, evaluations: Mapping[str, Evaluation], run: Path, step: int, several: bool
) -> None:
    """Write what ``evaluate.py`` writes, and ``figures.json``, into the run's folder.

    Of several games, the tables of each are in ``evaluation/<Game>/``, and ``games.csv`` has a row for each.

    Args:
        folder: the saved model; the tables have the hash of its weights.
        evaluations: of each game that has test splits.
        step: of training.
        several: whether the run is of several games.
    """
    sha256 = read_settings(folder).sha256
    saved = {game: replace(one, sha256=sha256) for game, one in evaluations.items()}
    if several:
        figures_json.write(run, figures_json.of_games(saved))
    else:
        figures_json.write(run, figures_json.of_evaluation(next(iter(saved.values()), None)))
    for game, one in saved.items():
        written, notes = tables.write(one, run / "evaluation" / game if several else run, step)
        print("\n".join([*one.notes, *notes, f"wrote {', '.join(map(str, written))}"]))
    if several and saved:
        print(f"wrote {', '.join(map(str, game_tables.write(folder.resolve().name, saved, run)))}")
