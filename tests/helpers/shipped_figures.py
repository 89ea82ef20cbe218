"""What each shipped model reaches on the 64 small test frames of each game, measured once and kept.

``python -m tests.helpers.shipped_figures`` measures again and writes ``tests/files/shipped/figures.yaml``: needed when
a model is trained again, or when what it is meant to find changes. ``tests/test_shipped.py`` compares.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from spacetime_env.evaluation.boxes import DetectionScores, detection_scores
from spacetime_env.evaluation.run_model import open_any, predict_tests
from spacetime_env.games import is_game
from spacetime_env.models.folder import available_models, load_model, model_games

SPLITS = Path(__file__).parents[1] / "files" / "shipped"
FIGURES = SPLITS / "figures.yaml"


def small_split(game: str) -> Path:
    """64 labelled frames of a game, of a seed that no other split has. Recorded by, for example::

        python create_dataset.py --config configs/mspacman.yaml -f test --agent random \\
            data.root=tests/files/shipped data.seed=7 data.eval_size=16 data.shard_size=16 motion.foreground=difference

    Of pictures, 16 with their boxes, drawn by ``create_dataset.py --rooms large --size 1 --seed 7 --out FOLDER``.
    """
    return SPLITS / game / ("test-random" if is_game(game) else "test")


def figures(name: str) -> dict[str, dict[str, object]]:
    """Of a shipped model, by game: the hash of its weights, and F1 and name accuracy where frames of the game are."""
    found: dict[str, dict[str, object]] = {}
    for game in model_games(name):
        if small_split(game).is_dir():
            model = load_model(name, game)
            scores = score(name, game)
            found[game] = {
                "sha256": model.settings.sha256,
                "f1": round(scores.f1, 4),
                "name_accuracy": round(scores.name_accuracy, 4),
            }
    return found


def score(name: str, game: str) -> DetectionScores:
    """Of a shipped model on the small frames of a game: what is drawn and moves."""
    model = load_model(name, game)
    (found,) = predict_tests(model, [open_any(small_split(game), game, model.config.subframes)])
    return detection_scores(found.detections, *found.drawn_moving(model.scene))


def main() -> None:
    """Measure all shipped models and write the file."""
    tree = {name: figures(name) for name in available_models()}
    FIGURES.write_text("# Written by python -m tests.helpers.shipped_figures\n" + yaml.safe_dump(tree, sort_keys=False))
    print(FIGURES.read_text())


if __name__ == "__main__":
    main()
