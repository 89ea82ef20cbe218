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

from benchmarks import shapes, steady, vision
from benchmarks.common import ROOT, Table, machine
from benchmarks.sources import trained_with
from spacetime_env.commands.command_line import shown
from spacetime_env.data.recording import Recording
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
VISION = """## Beside rules written by hand

[OCAtari](https://github.com/k4ntz/OC_Atari)'s vision mode is what one would take instead: for each game, colours and
rules that people wrote. It is shown the emulator's last frame, for which it was written, and judged on what is drawn
there; a model is shown what it is made for. The same frames; `python -m benchmarks.vision` makes this table alone.
**ms**: median milliseconds of a frame alone, on one core.

"""
STEADY = """## Steady rows

An agent reads rows, not boxes. On 2048 frames of play in order, half by `random` and half by `held`, per 1000 steps of
an object that is drawn, was drawn the step before and will be the step after
(`spacetime_env/evaluation/steadiness.py`; `python -m benchmarks.steady` makes this table alone):

- **gaps**: steps at which it is in no row, but was in one before and will be in one again.
- **switches**: steps at which it goes to another row of its class; **flips**: to a row of another class.
- **ghosts**: rows that show something where nothing is drawn.

"""
HEAD = """# The games

What each shipped model sees on its test frames. No model was trained on the seeds of these frames. Most were not
trained on frames of the same policy either; Pong's was, on `random`. No training uses the policy `held`.

True boxes are of what is drawn, to the pixel. They are made from RAM boxes
([OCAtari](https://github.com/k4ntz/OC_Atari)) and the frames: the visible pixels of an object's own colours, which are
found by counting (`spacetime_env/evaluation/drawn.py`; judged by eye in [DRAWN.md](../benchmarks/DRAWN.md)). They serve
these figures alone. Figures are of what moves. What never moves, what is hidden by another object of its colours, and
what is drawn but not in the RAM count neither way: the cards say how many.

Ten games on one network: [the card of `joint`](../models/joint/CARD.md).

In the first table:

- **F1**: detections against true boxes, one to one, at an IoU of 0.5 or more, and of **0.75** or more. **Centre**: with
  the centre within half the true box's diagonal.
- **RAM**: the same against the RAM boxes, which can be off by some pixels, or of something that is not drawn.
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
    parser.add_argument("--ocatari", default=sys.executable, metavar="PYTHON", help="that has OCAtari (this one)")
    asked = parser.parse_args()
    heads = ("game", "F1", "at 0.75", "centre", "RAM F1", "centre", "targets F1", "AP", "16-shot", "frames")
    table = Table("", (*heads, "trained on", "minutes"))
    sections, rows, beside, rows_of = [], [], [], []
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
        row = [found.sets["drawn"][key] for key in ("f1", "f1_75", "center_f1")]
        row += [found.sets["moving"][key] for key in ("f1", "center_f1")]
        row += [targets.f1, found.sets["drawn"]["ap"], found.sets["moving"]["few_shot_16"]]
        rows.append(row)
        minutes = f"{sum(seconds) / 60:.1f}" if seconds else ""
        cells = [*(f"{value:.3f}" for value in row), str(model.config.subframes), f"`{config.data.agent}`", minutes]
        table.rows.append([f"[{model.game}](#{model.game.lower()})", *cells])
        sections.append(section(name, model, found, center_recall(predictions), asked.out.parent))
        print(table.rows[-1], flush=True)
        recorded = [test for test in tests if isinstance(test, Recording)]
        beside.append(vision.compare(model, recorded, predictions, asked.ocatari))
        rows_of.append((model.game, steady.measure(model, config)))
    table.rows.append(["**mean**", *(f"**{value:.3f}**" for value in np.mean(rows, axis=0)), "", "", ""])
    command = shown("python", "-m", "benchmarks.games", words=sys.argv[1:])
    about = f"{date.today()}: `{command}`\n\n{machine()}\n\n"
    lines = "\n".join(table.text().splitlines()[2:])
    rules = "\n".join(vision.table(beside).text().splitlines()[2:])
    kept = "\n".join(steady.table(rows_of).text().splitlines()[2:])
    page = f"{HEAD}{about}{lines}\n\n{VISION}{rules}\n\n{STEADY}{kept}\n\n{shapes.page()}\n{CLASSES}"
    page += "\n".join(sections)
    asked.out.write_text(page, encoding="utf-8")
    print(f"wrote {asked.out}")
    return 0


def single() -> list[str]:
    """The shipped models of one game each; ``evaluate.py`` has a table of the games of a joint one."""
    return [name for name in available_models() if len(known := model_games(name)) == 1 and is_game(known[0])]


def center_recall(predictions: Predictions) -> dict[str, float]:
    """For each class, the fraction of its objects that a detection's centre fits, whatever the detection is called."""
    found: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for one, true in zip(predictions.detections, (one.truth for one in predictions.drawn), strict=True):
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
        if member in centered and member in model.class_names and values["objects"]:
            shares = (values["recall_any_name"], centered[member], values["name_accuracy"])
            cells = ["" if np.isnan(value) else f"{value:.3f}" for value in shares]
            table.rows.append([member, f"{values['objects']:.0f}", *cells])
    return "\n".join([*lines, *table.text().splitlines()[2:], ""])


if __name__ == "__main__":
    sys.exit(main())
