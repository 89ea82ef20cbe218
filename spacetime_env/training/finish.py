"""The end of pretraining: name the objects, measure, and write the model folder; of one game or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from spacetime_env.config import Config, SceneConfig, to_dict
from spacetime_env.data.split import Split
from spacetime_env.evaluation import figures as figures_file
from spacetime_env.evaluation import tables
from spacetime_env.evaluation.evaluate import evaluate_model
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.evaluation.truth import moving_truth
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.folder import load_model, save_joint, save_model
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space
from spacetime_env.training import card as cards
from spacetime_env.training import pictures as gallery
from spacetime_env.training.checkpoint import State
from spacetime_env.training.examples import with_background
from spacetime_env.training.game_data import GameData
from spacetime_env.training.naming import (
    NothingFoundError,
    as_model,
    export_classifiers,
    known_samples,
    name_objects,
    with_slots,
)
from spacetime_env.training.provenance import as_yaml, provenance
from spacetime_env.training.validation import full_scores

ALL_GAMES = "mean over games"  # in figures.json
ALL_TESTS = "all test splits"
# Of what evaluate.py measures of what moves, what figures.json has too, as ``evaluation.ami``: sweeps compare it.
EVALUATED = ("ap", "centroid_accuracy", "ami", "ari", "identity_switches", "kalman_accuracy")


@dataclass(frozen=True)
class Outcome:
    """What a run comes to in one game."""

    model: Model
    figures: dict[str, cards.Figures]  # of each test split; of several, all together last
    pictures: dict[str, bytes]  # PNG: example.png, what is seen; errors.png, the worst frames of the first test split


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
    """Name the objects, measure on the test splits, write the model folder and ``figures.json``.

    Raises:
        NothingFoundError: of a run of one game, there is nothing to name.
        BundleError: the folder cannot be written.
    """
    seconds = {"data": data_seconds, "training": state.seconds}
    trained = (
        provenance(config)["versions"]
        | {"seed": config.seed, "steps": config.train.steps}
        | {f"seconds_{what}": round(passed) for what, passed in seconds.items()}
    )
    extras = {"config.yaml": as_yaml(to_dict(config))}
    found = {}
    for name, game in games.items():
        if config.games:
            print(f"{name}: naming and measuring")
        found[name] = outcome(config, game, state.space, run if export_classifier else None)
    trains, scores = [game.train for game in games.values()], {name: one.figures for name, one in found.items()}
    if config.games:
        looks = {name: game.config.model.subframes for name, game in games.items()}
        card = cards.joint_card(config, scores, looks, seconds, trains, command)
        extras |= joint_pictures(found)
        folder = save_joint(out, [one.model for one in found.values()], trained=trained, card=card, extras=extras)
        figures_file.write(run, joint_figures(scores))
    else:
        ((name, one),) = found.items()
        card = cards.card(config, one.figures, seconds, trains[0], command)
        folder = save_model(
            out,
            state.space,
            one.model.classifier,
            game=name,
            native=one.model.native,
            scene_config=one.model.scene,
            trained=trained,
            card=card,
            extras=one.pictures | extras,
        )
        figures_file.write(run, one.figures)
    print(card.split("## Limits")[0])
    return folder


def outcome(config: Config, game: GameData, space: Space, export_to: Path | None) -> Outcome:
    """Names for what the network finds in a game, and how well it does on its test splits.

    Args:
        config: of the whole run.
        export_to: the run's folder, where classifiers are written for others to read; None: nowhere.

    Raises:
        NothingFoundError: of a run of one game, there is nothing to name. Of several, the others are worth keeping.
    """
    own, validation, tests, native = game.config, game.validation, game.tests, game.train.native
    if config.games:
        space = with_background(space, game.examples)
        export_to = export_to and export_to / own.game
    found = detect_all(as_model(own, space, native), validation)
    known = known_samples(own, found, validation)
    try:
        classifier, scene = name_objects(own, found, known)
    except NothingFoundError as error:
        if not config.games:
            raise
        print(f"{own.game}: {error}")
        zeros = np.zeros((1, own.model.z_what_dim), np.float32)
        classifier = LinearClassifier(zeros, np.zeros(1, np.float32), ("object0",))
        scene = with_slots(own.scene, classifier.class_names, [])
    if export_to is not None:
        export_to.mkdir(parents=True, exist_ok=True)
        paths = export_classifiers(own, known, export_to)
        print(f"wrote {', '.join(map(str, paths)) or 'no classifier, since there are no labels to fit one on'}")
    model = as_model(replace(own, scene=scene), space, native, classifier)
    return measured(own, model, known, validation, tests)


def measured(
    own: Config, model: Model, known: Samples | None, validation: Split, tests: Sequence[Split]
) -> Outcome:
    """How well a model of a game does on its test splits; the pictures of its folder.

    Args:
        own: of the game alone.
        known: what few-shot naming draws from, see :func:`known_samples`.
    """
    seen = [detect_all(model, test) for test in tests]
    figures = {
        test.path.name: full_scores(own, [each], known, [test]) for test, each in zip(tests, seen, strict=True)
    }
    if len(tests) > 1:
        figures[ALL_TESTS] = full_scores(own, seen, known, tests)
    drawn = {"example.png": gallery.example(model, validation.frames(range(min(64, len(validation))))[:, 0])}
    if tests:
        drawn["errors.png"] = errors(seen[0], tests[0], own.scene)
    pictures = {name: cv2.imencode(".png", one[..., ::-1])[1].tobytes() for name, one in drawn.items()}
    return Outcome(model, figures, pictures)


def joint_pictures(found: Mapping[str, Outcome]) -> dict[str, bytes]:
    """The pictures of each game, PNG, by the names that they have in the folder of a joint model."""
    return {f"{Path(k).stem}-{name}.png": v for name, one in found.items() for k, v in one.pictures.items()}


def errors(found: Sequence[Detections], test: Split, scene: SceneConfig) -> np.ndarray:
    """The worst frames of a test split beside the truth, (H, W, 3) uint8 RGB.

    Args:
        found: in all its frames.
    """
    truth = moving_truth(test, scene)[0]
    chosen = gallery.worst(found, truth, 4)
    frames = [test.frames([f // test.meta.length])[0, f % test.meta.length] for f in chosen]
    return gallery.differences(frames, [found[f] for f in chosen], [truth[f] for f in chosen])


def joint_figures(scores: Mapping[str, Mapping[str, cards.Figures]]) -> dict[str, figures_file.Numbers]:
    """The figures of each game and test split, and the mean over the games that have some."""
    each = {game: {name: figures_file.numbers(one) for name, one in own.items()} for game, own in scores.items()}
    last = [list(own.values())[-1] for own in each.values() if own]
    mean = {ALL_GAMES: figures_file.mean(last)} if last else {}
    return mean | {f"{game}/{name}": one for game, own in each.items() for name, one in own.items()}


def measure(folder: Path, games: Mapping[str, GameData], run: Path, step: int, several: bool) -> None:
    """What ``evaluate.py`` measures of a model folder: rows of ``evaluation.csv`` and scalars, in the run's folder.

    Of several games, those of each are in ``evaluation/<Game>/``, and ``games.csv`` has a row for each. Some go into
    ``figures.json`` too, see :data:`EVALUATED`.
    """
    name, done = folder.resolve().name, {}
    for game, data in games.items():
        if data.tests:
            samples = data.validation if data.validation.meta.labels else None
            done[game] = evaluate_model(load_model(folder, game), data.tests, samples, name, progress=True)
            written, notes = tables.write(done[game], run / "evaluation" / game if several else run, step)
            print("\n".join([*done[game].notes, *notes, f"wrote {', '.join(map(str, written))}"]))
    added: dict[str, figures_file.Numbers] = {}
    for game, found in done.items():
        own = {key: float(found.sets["moving"][key]) for key in EVALUATED}  # float: also of what is counted, a mean
        own["reconstruction_mse"] = found.reconstruction_mse
        split = found.splits[0] if len(found.splits) == 1 else ALL_TESTS
        added[f"{game}/{split}" if several else split] = figures_file.numbers(own, "evaluation")
    figures_file.add(run, ({ALL_GAMES: figures_file.mean(list(added.values()))} if several and done else {}) | added)
    if several and done:
        print(f"wrote {', '.join(map(str, tables.write_games(name, done, run)))}")
