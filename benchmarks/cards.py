"""``python -m benchmarks.cards``: measure shipped models again, and put the scores into their cards.

For changes of the code between a network and its boxes, which need no new training. Weights, names and how a model was
made stay as they are. Scores, limits and pictures are replaced. Splits that are missing are recorded, as for
``python -m benchmarks.games``. Run ``python -m benchmarks.documents --write`` afterwards: the pages cite the cards.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from benchmarks.sources import trained_with
from spacetime_env import files
from spacetime_env.config import Config
from spacetime_env.config.games import each_game
from spacetime_env.evaluation.run_model import detect_all, predict_tests
from spacetime_env.evaluation.split_scores import SplitScores, scores_by_split
from spacetime_env.games import is_game
from spacetime_env.models.folder import available_models, load_model, model_games
from spacetime_env.models.weights import CARD
from spacetime_env.shipped import find
from spacetime_env.training.card import joint_score_lines, last_scores, score_lines
from spacetime_env.training.limits import Limits, joint_limit_lines, limit_lines
from spacetime_env.training.naming import known_samples
from spacetime_env.training.pictures import joint_pictures, model_pictures
from spacetime_env.training.provenance import commit
from spacetime_env.training.splits import prepare_split, test_splits

BEGIN, END = "## Figures", "## Limits"


@dataclass(frozen=True)
class Measured:
    """What a card says of a model in one game, and the game's pictures."""

    by_split: Mapping[str, SplitScores]
    limits: Limits
    pictures: dict[str, bytes]  # PNG by file name


def of_games() -> list[str]:
    """The shipped models that are of games; pictures are not recorded again."""
    return [name for name in available_models() if all(map(is_game, model_games(name)))]


def main() -> int:
    """Measure the models and write their cards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cards", description=__doc__)
    parser.add_argument("--models", nargs="+", default=of_games(), help="default: all that ship, but those of pictures")
    parser.add_argument("--data-root", default="data", help="where the splits are, or are recorded")
    asked = parser.parse_args()
    for name in asked.models:
        config = trained_with(name)
        config = replace(config, data=replace(config.data, root=asked.data_root))
        if config.games:
            games = {game: measure(name, one) for game, one in each_game(config).items()}
            lines = joint_score_lines({game: one.by_split for game, one in games.items()})
            limits = joint_limit_lines({game: one.limits for game, one in games.items()})
            pictures = joint_pictures({game: one.pictures for game, one in games.items()})
        else:
            found = measure(name, config)
            lines, limits, pictures = score_lines(found.by_split), limit_lines(found.limits), found.pictures
        folder = find("models", name)
        text = with_scores((folder / CARD).read_text(encoding="utf-8"), lines, limits)
        files.write_atomically(folder / CARD, text.encode())
        for file, content in pictures.items():
            files.write_atomically(folder / file, content)
        print(f"{name}: wrote {folder / CARD} and {len(pictures)} pictures", flush=True)
    return 0


def measure(name: str, config: Config) -> Measured:
    """Measure a shipped model in the game of ``config``."""
    model = load_model(name, config.game if len(model_games(name)) > 1 else None)
    config = replace(config, model=replace(config.model, subframes=model.config.subframes))
    validation, tests = prepare_split(config, "validation"), test_splits(config)
    detections, predictions = detect_all(model, validation), predict_tests(model, tests)
    known = known_samples(config, detections, validation, nearby=False)
    by_split = scores_by_split(tests, predictions, config.scene, known, config.train.few_shot)
    limits = Limits(model.scene, model.config.subframes, last_scores(by_split))
    pictures = model_pictures(model, validation, detections, tests, predictions, config.scene)
    return Measured(by_split, limits, pictures)


def with_scores(card: str, lines: list[str], limits: list[str] | None = None) -> str:
    """A card with other scores and limits, and when they were measured. Without ``limits`` it keeps its own."""
    head, begin, rest = card.partition(f"{BEGIN}\n")
    _, end, old = rest.partition(f"{END}\n")
    if not (begin and end):
        raise SystemExit(f"expected a card with {BEGIN!r} and {END!r}, and one is missing in:\n{card[:300]}")
    scores = "\n".join(lines).partition(f"{BEGIN}\n")[2]
    told = f"Measured again on {date.today()} by `python -m benchmarks.cards`, commit {commit()}."
    said = old if limits is None else "\n".join([*limits, ""])
    return f"{head}{begin}{told}\n{scores}\n\n{end}{said}"


if __name__ == "__main__":
    sys.exit(main())
