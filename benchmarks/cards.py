"""``python -m benchmarks.cards``: measure shipped models again, and put the figures into their cards.

For changes of the code between a network and its boxes, which need no new training. Weights, names and how a model was
made stay as they are; figures, limits and pictures are of now. Splits that are missing are recorded, as for
``python -m benchmarks.games``. Run ``python -m benchmarks.documents --write`` afterwards: the pages cite the cards.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import date

from benchmarks.games import trained_with
from spacetime_env import files
from spacetime_env.config import Config, SceneConfig
from spacetime_env.config.games import each_game
from spacetime_env.evaluation.boxes import DetectionScores
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.models.folder import available_models, load_model, model_games
from spacetime_env.models.weights import CARD
from spacetime_env.shipped import find
from spacetime_env.training.card import figure_lines, joint_figure_lines, last_scores
from spacetime_env.training.finish import Outcome, joint_pictures, measured
from spacetime_env.training.limits import joint_limit_lines, limit_lines
from spacetime_env.training.naming import known_samples
from spacetime_env.training.provenance import commit
from spacetime_env.training.splits import prepare_split, test_splits

BEGIN, END = "## Figures", "## Limits"


def main() -> int:
    """Measure the models and write their cards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cards", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(available_models()), help="default: all that are shipped")
    parser.add_argument("--data-root", default="data", help="where the splits are, or are recorded")
    asked = parser.parse_args()
    for name in asked.models:
        config = trained_with(name)
        config = replace(config, data=replace(config.data, root=asked.data_root))
        if config.games:
            games = {game: again(name, one) for game, one in each_game(config).items()}
            lines = joint_figure_lines({game: one.figures for game, one in games.items()})
            pictures = joint_pictures(games)
            limits = joint_limit_lines({game: known_of(one) for game, one in games.items()})
        else:
            found = again(name, config)
            lines, pictures, limits = figure_lines(found.figures), found.pictures, limit_lines(*known_of(found))
        folder = find("models", name)
        text = with_figures((folder / CARD).read_text(encoding="utf-8"), lines, limits)
        files.write_atomically(folder / CARD, text.encode())
        for file, content in pictures.items():
            files.write_atomically(folder / file, content)
        print(f"{name}: wrote {folder / CARD} and {len(pictures)} pictures", flush=True)
    return 0


def again(name: str, config: Config) -> Outcome:
    """What a shipped model comes to in the game of ``config``."""
    model = load_model(name, config.game if len(model_games(name)) > 1 else None)
    config = replace(config, model=replace(config.model, subframes=model.config.subframes))
    validation = prepare_split(config, "validation")
    known = known_samples(config, detect_all(model, validation), validation)
    return measured(config, model, known, validation, test_splits(config))


def known_of(found: Outcome) -> tuple[SceneConfig, int, DetectionScores | None]:
    """What the limits are said from: the scene, how many frames are looked at, the scores."""
    return found.model.scene, found.model.config.subframes, last_scores(found.figures)


def with_figures(card: str, lines: list[str], limits: list[str] | None = None) -> str:
    """A card with other figures and limits, and when they were measured. Without ``limits`` it keeps its own."""
    head, begin, rest = card.partition(f"{BEGIN}\n")
    _, end, old = rest.partition(f"{END}\n")
    if not (begin and end):
        raise SystemExit(f"expected a card with {BEGIN!r} and {END!r}, and one is missing in:\n{card[:300]}")
    figures = "\n".join(lines).partition(f"{BEGIN}\n")[2]
    told = f"Measured again on {date.today()} by `python -m benchmarks.cards`, commit {commit()}."
    said = old if limits is None else "\n".join([*limits, ""])
    return f"{head}{begin}{told}\n{figures}\n\n{end}{said}"


if __name__ == "__main__":
    sys.exit(main())
