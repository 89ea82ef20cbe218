"""Training, third part: how good a model is, measured on labelled splits.

In: a model and splits with ground truth. Out: an :class:`Evaluation`, the figures that tables, plots and cards show.
:mod:`~spacetime_env.evaluation.boxes` asks what is found, :mod:`~spacetime_env.evaluation.latents` what z_what and the
places tell apart, :mod:`~spacetime_env.evaluation.tracks` what happens from frame to frame.
"""

from __future__ import annotations

from typing import Any

from spacetime_env.lazy import load

_CONTENTS = {
    "DetectionScores": "boxes",
    "Evaluation": "evaluate",
    "EvaluationError": "run_model",
    "NoTestError": "run_model",
    "Samples": "latents",
    "Truth": "boxes",
    "average_precision": "coco",
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


def __getattr__(name: str) -> Any:
    return load(__name__, _CONTENTS, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS})
