"""The end of a training: name the objects, evaluate the model, and write it.

The test frames go through the network once. All that is written about them is a view of one
:class:`~spacetime_env.evaluation.Evaluation` of each game.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from spacetime_env.config import Config, SceneConfig
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_predictions
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.layers import layer_figures
from spacetime_env.evaluation.run_model import Predictions, detect_all, predict_tests
from spacetime_env.evaluation.split_scores import scores_by_split
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space
from spacetime_env.training.centers import settle_centers
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
from spacetime_env.training.outputs import GameResult, save_results, write_evaluations
from spacetime_env.training.pictures import model_pictures, parts


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
    folder = save_results(config, results, games, out, seconds, command, state.start)
    evaluations = {game: one.evaluation for game, one in results.items() if one.evaluation is not None}
    write_evaluations(folder, evaluations, run, state.step, several=bool(config.games))
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
    detections = detect_all(as_model(own, space, native), game.validation, progress=True)
    if not config.games:
        own = settle_centers(own, space, game.validation, detections)
    known = known_samples(own, detections, game.validation)
    classifier, scene = _names(config, own, detections, known)
    if export_to is not None:
        export_to.mkdir(parents=True, exist_ok=True)
        paths = export_classifiers(own, known, export_to)
        print(f"wrote {', '.join(map(str, paths)) or 'no classifier, since there are no labels to fit one on'}")
    variant = game.train.meta.mode, game.train.meta.difficulty
    model = as_model(replace(own, scene=scene), space, native, classifier, variant)
    detections = renamed(detections, classifier)
    predictions = predict_tests(model, game.tests, progress=True)
    evaluation = evaluate_game(model, game, detections, predictions, out) if game.tests else None
    pictures = model_pictures(model, game.validation, detections, game.tests, predictions, own.scene)
    if not own.data.pictures or not game.tests:
        return GameResult(model, evaluation, pictures)
    return GameResult(
        model, evaluation, pictures | {"parts.png": parts(model, game.tests[0])}, layer_figures(model, game.tests[0])
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
    out: Path,
) -> Evaluation:
    """Evaluate a named model that is not saved yet. The evaluation has no hash of the weights.

    Args:
        detections: in all validation frames.
        predictions: of each test split.
        out: the folder that the model will be saved in.
    """
    own, validation = game.config, game.validation
    known = known_samples(own, detections, validation, nearby=False)
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
