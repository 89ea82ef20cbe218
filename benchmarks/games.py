"""``python -m benchmarks.games``: every shipped model on its test frames; writes docs/games.md.

Splits that are missing are recorded, as ``pretrain_space.py`` records them: ten seconds a game, the same frames each
time. Evaluation takes half a minute a game. Run ``python -m benchmarks.documents --write`` afterwards: README cites it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import yaml

from benchmarks import shapes
from benchmarks.common import ROOT, Table, machine
from spacetime_env.commands.command_line import shown
from spacetime_env.config import Config, from_dict
from spacetime_env.evaluation.boxes import centeredness, match
from spacetime_env.evaluation.evaluate import Evaluation, evaluate_predictions
from spacetime_env.evaluation.run_model import Predictions, predict, predict_tests
from spacetime_env.evaluation.split_scores import target_scores
from spacetime_env.games import is_game
from spacetime_env.models.folder import available_models, load_model, model_games
from spacetime_env.models.model import Model
from spacetime_env.shipped import find
from spacetime_env.training.splits import prepare_split, test_splits

DOCS = ROOT / "docs" / "games.md"
CLASSES = """In the tables of classes:

- **recall**, **recall by centre**: the fraction of the true objects that are found, at an IoU of 0.5 or with the centre
  within half the diagonal. Both count a detection whatever it is called.
- **called right**: of the objects found at an IoU of 0.5, the fraction that is called by its name. Empty where none is
  found.

"""
HEAD = """# The games

What each shipped model sees on its test frames. No model was trained on the seeds of these frames. Most were not
trained on frames of the same policy either; Pong's was, on `random`. Ground truth is read from RAM
([OCAtari](https://github.com/k4ntz/OC_Atari)), for these figures and for the few-shot names only. Figures are of what
moves; the score and the like are left out, and so are boxes with nothing in them.

Ten games on one network: [the card of `joint`](../models/joint/CARD.md).

In the first table:

- **F1**: detections against true boxes, one to one, at an IoU of 0.5 or more. **Centre**: with the centre within half
  the true box's diagonal.
- **Targets**: the same of the motion targets that the network learned from, on the same frames: the limit of what it
  could learn, unless it sees better than it was taught.
- **16-shot**: accuracy of names from 16 labelled samples per class, mean of 5 draws.
- **Frames**: 2 where the model looks at the emulator's last two frames, since sprites flicker.
- **Trained on**: who played the training data. The test frames of each game are named in its section.
- **Minutes**: from nothing to a model, as its card says.

"""


def main() -> int:
    """Evaluate the shipped models and write docs/games.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.games", description=__doc__)
    parser.add_argument("--models", nargs="+", default=single(), help="default: all that are of one game")
    parser.add_argument("--data-root", default="data", help="where the splits are, or are recorded")
    parser.add_argument("--out", type=Path, default=DOCS)
    asked = parser.parse_args()
    heads = ("game", "F1", "centre", "targets F1", "centre", "AP", "16-shot", "frames", "trained on", "minutes")
    table = Table("", heads)
    sections, rows = [], []
    for name in asked.models:
        model, config = load_model(name), trained_with(name)
        config = replace(config, data=replace(config.data, root=asked.data_root))
        tests, validation = test_splits(config), prepare_split(config, "validation")
        predictions = Predictions.join(predict_tests(model, tests, progress=True))
        known = predict(model, validation, progress=True)
        found = evaluate_predictions(model, tests, predictions, known, name, progress=True)
        targets = target_scores(tests, predictions, model.scene)
        trained = model.settings.trained
        seconds = [float(trained[key]) for key in ("seconds_data", "seconds_training") if key in trained]
        row = [found.sets["moving"][key] for key in ("f1", "center_f1")]
        row += [targets.f1, targets.center_f1, *(found.sets["moving"][key] for key in ("ap", "few_shot_16"))]
        rows.append(row)
        minutes = f"{sum(seconds) / 60:.1f}" if seconds else ""
        cells = [*(f"{value:.3f}" for value in row), str(model.config.subframes), f"`{config.data.agent}`", minutes]
        table.rows.append([f"[{model.game}](#{model.game.lower()})", *cells])
        sections.append(section(name, model, found, center_recall(predictions), asked.out.parent))
        print(table.rows[-1])
    table.rows.append(["**mean**", *(f"**{value:.3f}**" for value in np.mean(rows, axis=0)), "", "", ""])
    command = shown("python", "-m", "benchmarks.games", words=sys.argv[1:])
    about = f"{date.today()}: `{command}`\n\n{machine()}\n\n"
    lines = "\n".join(table.text().splitlines()[2:])
    asked.out.write_text(f"{HEAD}{about}{lines}\n\n{shapes.page()}\n{CLASSES}" + "\n".join(sections), encoding="utf-8")
    print(f"wrote {asked.out}")
    return 0


def single() -> list[str]:
    """The shipped models of one game each; ``evaluate.py`` has a table of the games of a joint one."""
    return [name for name in available_models() if len(known := model_games(name)) == 1 and is_game(known[0])]


def trained_with(name: str) -> Config:
    """The configuration that lies in a model's folder."""
    return from_dict(Config, yaml.safe_load((find("models", name) / "config.yaml").read_text(encoding="utf-8")))


def center_recall(predictions: Predictions) -> dict[str, float]:
    """For each class, the fraction of its objects that a detection's centre fits, whatever the detection is called."""
    found: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for one, true in zip(predictions.detections, predictions.truth, strict=True):
        there.update(true.names)
        found.update(true.names[j] for _, j in match(centeredness(one.boxes, true.boxes)))
    return {name: found[name] / count for name, count in there.items()}


def section(name: str, model: Model, found: Evaluation, centered: Mapping[str, float], beside: Path) -> str:
    """A game's pictures and its classes.

    Args:
        name: of the model.
        centered: recall by centre of each class.
        beside: the folder of the page.
    """
    folder = Path(os.path.relpath(find("models", name), beside)).as_posix()
    links = f"[Card]({folder}/CARD.md)"
    if (find("models", name) / "errors.png").is_file():
        links += f", [worst frames beside the ground truth]({folder}/errors.png)"
    lines = [
        f"## {model.game}",
        "",
        f"{found.frames} frames of {', '.join(found.splits)}. {links}.",
        "",
        f"![{model.game}: a frame, what is found, and the reconstruction]({folder}/example.png)",
        "",
    ]
    table = Table("", ("class", "objects", "recall", "recall by centre", "called right"))
    for member, values in found.classes.items():
        if member in model.class_names and values["objects"]:
            shares = (values["recall_any_name"], centered[member], values["name_accuracy"])
            cells = ["" if np.isnan(value) else f"{value:.3f}" for value in shares]
            table.rows.append([member, f"{values['objects']:.0f}", *cells])
    return "\n".join([*lines, *table.text().splitlines()[2:], ""])


if __name__ == "__main__":
    sys.exit(main())
