"""The command ``evaluate.py``: evaluate a model of one game or of several, and write tables and plots."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from spacetime_env.commands.command_line import exit_status
from spacetime_env.data.box_table import BOXES
from spacetime_env.data.meta import META, read_meta
from spacetime_env.evaluation import game_tables, plots, tables
from spacetime_env.evaluation.crops import save_crops
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_predictions
from spacetime_env.evaluation.run_model import (
    EvaluationError,
    NoTestError,
    Predictions,
    labelled_tests,
    open_any,
    predict,
    predict_tests,
    require_apart,
)
from spacetime_env.files import shown_names
from spacetime_env.games import is_game
from spacetime_env.models.folder import load_model, model_games
from spacetime_env.models.model import Model
from spacetime_env.shipped import find


def parser() -> argparse.ArgumentParser:
    """The command line."""
    make = argparse.ArgumentParser(
        "evaluate.py",
        description="Measure a model on labelled splits: what it finds, names, tracks and draws. Writes a row of "
        "evaluation.csv, evaluation.md, TensorBoard scalars and plots of z_what.",
    )
    make.add_argument("--model", required=True, help="a bundled model's name or a model folder")
    make.add_argument("--game", help="of a model of several games: which (default: all, and a table of them)")
    make.add_argument(
        "--split", nargs="+", type=Path, metavar="PATH", help="default: the game's labelled test-*, or test of pictures"
    )
    make.add_argument(
        "--few-shot-from", type=Path, metavar="PATH", help="default: validation-random, or validation of pictures"
    )
    make.add_argument("--data-root", type=Path, default=Path("data"), metavar="FOLDER", help="default: %(default)s")
    make.add_argument("--out", type=Path, metavar="FOLDER", help="default: runs/evaluate/<model name>")
    make.add_argument("--seed", type=int, default=0, help="of draws, clusters, trees and t-SNE (default: %(default)s)")
    make.add_argument("--device", default="cpu", help="where the model runs, such as cuda (default: %(default)s)")
    make.add_argument("--no-plots", action="store_true", help="no pca.png and tsne.png")
    make.add_argument("--save-crops", action="store_true", help="also write what the boxes hold, with boxes and names")
    make.add_argument("--max-crops", type=int, default=256, metavar="N", help="at most (default: %(default)s)")
    return make


def main(argv: Sequence[str] | None = None) -> int:
    """The command ``evaluate.py``. Exit status: 0 done, 1 an error in plain words, 130 interrupted."""
    options = parser().parse_args(argv)
    return exit_status("evaluate.py", lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """Evaluate as the command line asks, write what it asks for, and print the tables.

    Raises:
        EvaluationError, BundleError, DatasetError, OSError: in plain sentences.
    """
    if options.max_crops < 1 or options.seed < 0:
        raise EvaluationError(
            f"expected --max-crops 1 or more and --seed 0 or more, got {options.max_crops} and {options.seed}."
        )
    folder = find("models", options.model)
    name, games = folder.resolve().name, model_games(folder)
    out = options.out or Path("runs") / "evaluate" / name
    if len(games) > 1 and not options.game:
        run_games(folder, games, options, name, out)
    else:
        model = load_model(folder, options.game or None, options.device)
        run_game(model, options, name, out if len(games) == 1 or options.out else out / model.game)


def run_games(folder: Path, games: Sequence[str], options: argparse.Namespace, name: str, out: Path) -> None:
    """Evaluate a model on each of its games that has a test split, and write tables of all of them.

    Args:
        folder: of the model.
        games: all that the model knows. With ``--split``, only the games of these splits are evaluated.
        name: of the model's folder.
        out: the folder to write into; that of each game is in it.
    """
    if options.few_shot_from:
        raise EvaluationError("--few-shot-from is of one game: say with --game which of the model's is meant.")
    paths: dict[str, list[Path]] = {}
    for path in options.split or ():
        paths.setdefault(read_meta(path).game, []).append(path)
    unknown = [game for game in paths if game not in games]
    if unknown:
        raise EvaluationError(f"{name} does not know {shown_names(unknown)}; it knows {shown_names(games)}.")
    done, missing = {}, []
    for game in paths or games:
        one = argparse.Namespace(**{**vars(options), "split": paths.get(game)})
        try:
            done[game] = run_game(load_model(folder, game, options.device), one, name, out / game)
        except NoTestError as error:
            missing.append(str(error))
    if not done:
        raise EvaluationError(f"none of the model's games has a labelled test split. {missing[0]}")
    print("\n".join([game_tables.markdown(name, done), *missing]))
    print(f"wrote {', '.join(map(str, game_tables.write(name, done, out)))}")


def run_game(model: Model, options: argparse.Namespace, name: str, out: Path) -> Evaluation:
    """Evaluate one model, or one game of several, as the command line asks; see :func:`run`.

    Args:
        name: of the model's folder.
        out: the folder to write into.
    """
    subframes = model.config.subframes
    paths = dict.fromkeys(path.resolve() for path in options.split or ())
    tests = [open_any(path, model.game, subframes) for path in paths]
    tests = tests or labelled_tests(options.data_root, model.game, subframes)
    kind, file = ("validation-random", META) if is_game(model.game) else ("validation", BOXES)
    default = options.data_root / model.game / kind
    source = options.few_shot_from or (default if (default / file).is_file() else None)
    few_shot_from = open_any(source, model.game, subframes) if source else None
    if few_shot_from is not None and not few_shot_from.meta.labels and not options.few_shot_from:
        few_shot_from = None
    require_apart(tests, few_shot_from)
    predictions = Predictions.join(predict_tests(model, tests, progress=True))
    known = predict(model, few_shot_from, progress=True) if few_shot_from is not None else None
    evaluation = evaluate_predictions(model, tests, predictions, known, name, options.seed, progress=True)
    steps = model.settings.trained.get("steps", "")
    written, notes = tables.write(evaluation, out, int(steps) if re.fullmatch(r"\d{1,15}", steps) else 0)
    if not options.no_plots:
        more, said = plots.write(predictions.samples(predictions.classes), out, name, options.seed)
        written, notes = written + more, notes + said
    if options.save_crops:
        written.append(save_crops(out / "crops", tests, predictions, options.max_crops))
    print(tables.markdown(evaluation))
    print("\n".join([*notes, f"wrote {', '.join(map(str, written))}"]))
    return evaluation
