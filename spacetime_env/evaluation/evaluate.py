"""How good a model is: one :class:`Evaluation` holds all that is measured on its test splits.

>>> model = load_model("pong")                                                            # doctest: +SKIP
>>> tests = labelled_tests("data", model.game)                                            # doctest: +SKIP
>>> found = evaluate_model(model, tests, open_split("data/Pong/validation-random"))       # doctest: +SKIP
>>> found.sets["moving"]["f1"], found.classes["Ball"]["ap"]                               # doctest: +SKIP

Views of an evaluation: :mod:`~spacetime_env.evaluation.tables` (CSV, Markdown, TensorBoard),
:mod:`~spacetime_env.evaluation.figures_json` and the model's card (:mod:`spacetime_env.training.card`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tqdm import tqdm

from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.metrics import (
    Metrics,
    class_metrics,
    drawn_metrics,
    reconstruction_mse,
    set_metrics,
    switches_by_class,
    with_true_classes,
)
from spacetime_env.evaluation.run_model import Predictions, predict, predict_tests, require_apart
from spacetime_env.evaluation.split_scores import SplitScores
from spacetime_env.evaluation.truth import truth_sets
from spacetime_env.models.model import Model


@dataclass(frozen=True)
class Evaluation:
    """All that is measured of a model on its test splits, taken together, and on each split."""

    model: str  # the name of its folder
    sha256: str  # of its weights
    splits: tuple[str, ...]  # names of the test splits
    frames: int  # in all of them
    reconstruction_mse: float  # mean squared difference of the pixels' colours, in [0, 1]
    # Of what is drawn and moves, "drawn"; of the RAM boxes "all", "moving" and "relevant".
    sets: Mapping[str, Metrics]
    classes: Mapping[str, Metrics]  # for each class, of what is drawn; of classes that never move, of RAM boxes
    notes: tuple[str, ...]  # sentences that say why a metric is missing
    by_split: Mapping[str, SplitScores] = field(default_factory=dict)  # after a training only


def evaluate_model(
    model: Model,
    tests: Sequence[Stacks],
    few_shot_from: Stacks | None = None,
    name: str = "",
    seed: int = 0,
    progress: bool = False,
) -> Evaluation:
    """Evaluate a model on labelled splits, taken together. The same model and splits give the same evaluation.

    Args:
        model: see :func:`spacetime_env.load_model`.
        tests: the splits to test on.
        few_shot_from: the split that few-shot samples are drawn from; None: no few-shot metrics.
        name: of the model, for the reader.
        seed: of draws, clusters and trees.
        progress: show bars.

    Raises:
        EvaluationError: no split, one without labels, or few-shot samples from a tested one.
        DatasetError: damaged files.
    """
    require_apart(tests, few_shot_from)
    predictions = Predictions.join(predict_tests(model, tests, progress))
    known = predict(model, few_shot_from, progress) if few_shot_from is not None else None
    return evaluate_predictions(model, tests, predictions, known, name, seed, progress)


def evaluate_predictions(
    model: Model,
    tests: Sequence[Stacks],
    predictions: Predictions,
    known: Predictions | None,
    name: str = "",
    seed: int = 0,
    progress: bool = False,
    by_split: Mapping[str, SplitScores] | None = None,
) -> Evaluation:
    """As :func:`evaluate_model`, from a model's predictions. Only for the reconstruction the model runs again.

    Args:
        predictions: of all ``tests`` together.
        known: predictions in the split that few-shot samples are drawn from.
        by_split: see :func:`~spacetime_env.evaluation.split_scores.scores_by_split`.
    """
    notes = []
    if known is None:
        notes.append("There is no split to draw few-shot samples from, so what needs them is missing.")
    renamed = with_true_classes(model, predictions, known)
    if renamed is None:
        notes.append("The model's classes are clusters, and no few-shot samples say what they are: no name is judged.")
    with tqdm(total=7, desc="scoring", disable=not progress) as bar:
        switches, why_not = switches_by_class(model, predictions)
        bar.update()
        sets = {"drawn": drawn_metrics(model.scene, predictions, renamed)}
        bar.update()
        members_of = truth_sets(model.scene, predictions.classes)
        for key, members in members_of.items():
            same = next((other for other in members_of if other in sets and members_of[other] == members), None)
            sets[key] = sets[same] if same else set_metrics(members, predictions, renamed, known, switches, seed)
            bar.update()
        classes = class_metrics(predictions, renamed, switches)
        bar.update()
        mse = reconstruction_mse(model, tests)
        bar.update()
    return Evaluation(
        model=name,
        sha256=model.settings.sha256,
        splits=tuple(test.path.name for test in tests),
        frames=len(predictions.detections),
        reconstruction_mse=mse,
        sets=sets,
        classes=classes,
        notes=(*notes, *why_not),
        by_split=by_split or {},
    )
