"""The end of a training: name the objects, evaluate, and write the model folder and the run's tables.

The test frames go through the network once. All that is written about them is a view of one
:class:`~spacetime_env.evaluation.Evaluation` of each game.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spacetime_env.config import Config, SceneConfig, to_dict
from spacetime_env.evaluation import figures_json, tables
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_predictions
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.run_model import Predictions, detect_all, predict
from spacetime_env.evaluation.split_scores import scores_by_split
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.folder import save_joint, save_model
from spacetime_env.models.model import Model
from spacetime_env.models.settings import read_settings
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space
from spacetime_env.training.card import card_text, joint_card_text
from spacetime_env.training.checkpoint import State
from spacetime_env.training.examples import with_background
from spacetime_env.training.game_data import GameData
from spacetime_env.training.naming import (
    NothingFoundError,
    as_model,
    export_classifiers,
    known_samples,
    name_objects,
    one_class,
    renamed,
    with_slots,
)
from spacetime_env.training.pictures import model_pictures
from spacetime_env.training.provenance import as_yaml, provenance


@dataclass(frozen=True)
class GameResult:
    """What a run gives for one game."""

    model: Model
    evaluation: Evaluation | None  # on the test splits; None: there is none with labels
    pictures: dict[str, bytes]  # PNG by file name, see :func:`~spacetime_env.training.pictures.model_pictures`


def finish(
    config: Config,
    state: State,
    games: Mapping[str, GameData],
    out: Path,
    run: Path,
    data_seconds: float,
    command: str,
    export_classifier: bool,
) -> Path:
    """Name the objects, evaluate on the test splits, and write the model folder and the tables of the run.

    Args:
        config: of the whole run.
        games: the data of each game.
        out: the model folder.
        run: the run's folder.
        data_seconds: wall time of preparing the data.
        command: the command line; "": Python.
        export_classifier: also write the classifiers into ``run`` for other programs.

    Returns:
        The model folder.

    Raises:
        NothingFoundError: in a run of one game there is nothing to name.
        BundleError: the folder cannot be written.
    """
    results = {}
    for name, game in games.items():
        if config.games:
            print(f"{name}: naming and measuring")
        results[name] = finish_game(config, game, state.space, out, run if export_classifier else None)
    seconds = {"data": data_seconds, "training": state.seconds}
    folder = save(config, results, games, out, seconds, command)
    evaluations = {game: one.evaluation for game, one in results.items() if one.evaluation is not None}
    write_tables(folder, evaluations, run, state.step, several=bool(config.games))
    return folder


def finish_game(config: Config, game: GameData, space: Space, out: Path, export_to: Path | None) -> GameResult:
    """Name what the network detects in a game, and evaluate the named model.

    Args:
        config: of the whole run.
        out: the model folder; the evaluation has its name.
        export_to: the run's folder, where classifiers are written for other programs; None: none are written.

    Raises:
        NothingFoundError: in a run of one game there is nothing to name. In a run of several games the other games are
            worth keeping, so the class is called ``object0``.
    """
    own, native = game.config, game.train.native
    if config.games:
        space = with_background(space, game.examples)
        export_to = export_to and export_to / own.game
    detections = detect_all(as_model(own, space, native), game.validation)
    known = known_samples(own, detections, game.validation)
    classifier, scene = _names(config, own, detections, known)
    if export_to is not None:
        export_to.mkdir(parents=True, exist_ok=True)
        paths = export_classifiers(own, known, export_to)
        print(f"wrote {', '.join(map(str, paths)) or 'no classifier, since there are no labels to fit one on'}")
    variant = game.train.meta.mode, game.train.meta.difficulty
    model = as_model(replace(own, scene=scene), space, native, classifier, variant)
    detections = renamed(detections, classifier)
    predictions = [predict(model, test, progress=True) for test in game.tests]
    evaluation = evaluate_game(model, game, detections, predictions, known, out) if game.tests else None
    return GameResult(
        model, evaluation, model_pictures(model, game.validation, detections, game.tests, predictions, own.scene)
    )


def _names(
    config: Config, own: Config, detections: list[Detections], known: Samples | None
) -> tuple[LinearClassifier, SceneConfig]:
    """See :func:`~spacetime_env.training.naming.name_objects` and :func:`finish_game`."""
    try:
        return name_objects(own, detections, known)
    except NothingFoundError as error:
        if not config.games:
            raise
        print(f"{own.game}: {error}")
        classifier = one_class(own, "object0")
        return classifier, with_slots(own.scene, classifier.class_names, [])


def evaluate_game(
    model: Model,
    game: GameData,
    detections: list[Detections],
    predictions: list[Predictions],
    known: Samples | None,
    out: Path,
) -> Evaluation:
    """Evaluate a named model that is not saved yet. The evaluation has no hash of the weights.

    Args:
        detections: in all validation frames.
        predictions: of each test split.
        known: see :func:`~spacetime_env.training.naming.known_samples`.
        out: the folder that the model will be saved in.
    """
    own, validation = game.config, game.validation
    by_split = scores_by_split(game.tests, predictions, own.scene, known, own.train.few_shot)
    samples = Predictions.of(validation, detections, model.scene) if validation.meta.labels else None
    return evaluate_predictions(
        model,
        game.tests,
        Predictions.join(predictions),
        samples,
        out.resolve().name,
        progress=True,
        by_split=by_split,
    )


def save(
    config: Config,
    results: Mapping[str, GameResult],
    games: Mapping[str, GameData],
    out: Path,
    seconds: Mapping[str, float],
    command: str,
) -> Path:
    """Write the model folder with its card, and print the card's scores.

    Args:
        results, games: of each game.
        seconds: wall time of ``data`` and ``training``.
        out, command: see :func:`finish`.

    Raises:
        BundleError: the folder cannot be written.
    """
    trained = (
        provenance(config)["versions"]
        | {"seed": config.seed, "steps": config.train.steps}
        | {f"seconds_{what}": round(passed) for what, passed in seconds.items()}
    )
    extras = {"config.yaml": as_yaml(to_dict(config))}
    trains = [game.train for game in games.values()]
    if config.games:
        subframes = {name: game.config.model.subframes for name, game in games.items()}
        evaluations = {name: one.evaluation for name, one in results.items()}
        card = joint_card_text(config, evaluations, subframes, seconds, trains, command)
        extras |= joint_pictures({name: one.pictures for name, one in results.items()})
        folder = save_joint(out, [one.model for one in results.values()], trained=trained, card=card, extras=extras)
    else:
        ((name, one),) = results.items()
        card = card_text(config, one.evaluation, seconds, trains[0], command)
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


def joint_pictures(games: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """The pictures of each game under their names in a folder of several games: ``example-Pong.png``."""
    return {f"{Path(name).stem}-{game}.png": png for game, own in games.items() for name, png in own.items()}


def write_tables(folder: Path, evaluations: Mapping[str, Evaluation], run: Path, step: int, several: bool) -> None:
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
        print(f"wrote {', '.join(map(str, tables.write_games(folder.resolve().name, saved, run)))}")
