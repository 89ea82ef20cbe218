"""Third part of training: how good a model is, measured on splits with ground truth.

In: a model and its :func:`labelled_tests`. Out: an :class:`Evaluation`, the figures that tables, plots and cards show.

:func:`evaluate_model` measures everything. :mod:`~spacetime_env.evaluation.boxes` compares found boxes with true ones,
:mod:`~spacetime_env.evaluation.latents` measures how well z_what and places tell classes apart, and
:mod:`~spacetime_env.evaluation.tracks` follows objects from frame to frame.
"""

from __future__ import annotations

from spacetime_env.lazy import lazy_names

_CONTENTS = {
    "DetectionScores": "boxes",
    "Evaluation": "evaluate",
    "EvaluationError": "run_model",
    "NoTestError": "run_model",
    "Truth": "boxes",
    "average_precision": "boxes",
    "centroid_accuracy": "latents",
    "detect_all": "run_model",
    "detection_scores": "boxes",
    "evaluate_model": "evaluate",
    "few_shot_accuracy": "latents",
    "identity_switches": "tracks",
    "labelled_tests": "run_model",
    "moving_truth": "truth",
}

__all__ = [*_CONTENTS]
__getattr__, __dir__ = lazy_names(__name__, _CONTENTS)
