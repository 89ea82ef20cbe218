"""Evaluation: how good a model is, measured on labelled test splits. The third part of training.

In: a model, and splits with ground truth. Out: an :class:`Evaluation`, and its views.

- :mod:`~spacetime_env.evaluation.run_model`: the model's detections in each frame beside the ground truth.
- :mod:`~spacetime_env.evaluation.drawn`: true boxes of what is drawn, to the pixel, from RAM boxes and frames.
- :mod:`~spacetime_env.evaluation.boxes`, :mod:`~spacetime_env.evaluation.coco`,
  :mod:`~spacetime_env.evaluation.latents`, :mod:`~spacetime_env.evaluation.kalman` and
  :mod:`~spacetime_env.evaluation.tracks`: one kind of score each.
- :mod:`~spacetime_env.evaluation.metrics`, :mod:`~spacetime_env.evaluation.split_scores` and
  :mod:`~spacetime_env.evaluation.evaluate`: all scores of a model.
- :mod:`~spacetime_env.evaluation.tables`, :mod:`~spacetime_env.evaluation.figures_json`: an evaluation as CSV,
  Markdown, TensorBoard scalars and JSON.
- :mod:`~spacetime_env.evaluation.plots`, :mod:`~spacetime_env.evaluation.crops`: pictures.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

_CONTENTS = {
    "DetectionScores": "boxes",
    "Drawn": "drawn",
    "Evaluation": "evaluate",
    "EvaluationError": "run_model",
    "NoTestError": "run_model",
    "Predictions": "run_model",
    "Samples": "latents",
    "SplitScores": "split_scores",
    "Truth": "boxes",
    "average_precision": "coco",
    "centroid_accuracy": "latents",
    "detect_all": "run_model",
    "detection_scores": "boxes",
    "drawn_tests": "drawn",
    "evaluate_model": "evaluate",
    "evaluate_predictions": "evaluate",
    "few_shot_accuracy": "latents",
    "identity_switches": "tracks",
    "labelled_tests": "run_model",
    "moving_truth": "truth",
    "predict": "run_model",
    "predict_tests": "run_model",
    "scores_by_split": "split_scores",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
