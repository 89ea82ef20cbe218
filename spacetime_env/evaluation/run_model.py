"""A model run on labelled splits: its detections in each frame beside the ground truth.

All scores of an evaluation are computed from :class:`Predictions`, so each frame goes through the network once.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from tqdm import tqdm

from spacetime_env.config import SceneConfig
from spacetime_env.data.box_table import BOXES
from spacetime_env.data.meta import META
from spacetime_env.data.pictures import open_pictures
from spacetime_env.data.split import Split, open_split
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.boxes import Truth, divide
from spacetime_env.evaluation.drawn import KINDS, Drawn, as_drawn, drawn_tests, join
from spacetime_env.evaluation.kalman import kalman_features
from spacetime_env.evaluation.latents import Samples, true_names
from spacetime_env.evaluation.truth import named_classes, truth_sets, visible_truth
from spacetime_env.games import is_game
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections


class EvaluationError(ValueError):
    """Nothing can be evaluated; the message says why and what to do."""


class NoTestError(EvaluationError):
    """A game has no labelled test split."""


@dataclass(frozen=True)
class Predictions:
    """A model's detections in all frames of one or more splits, and the ground truth of these frames.

    There are two ground truths: RAM boxes, and tight boxes of what is drawn (:mod:`~spacetime_env.evaluation.drawn`).
    """

    detections: list[Detections]  # of each frame
    truth: list[Truth]  # of each frame, RAM boxes of visible objects of all classes
    drawn: list[Drawn]  # of each frame
    stacks: list[range]  # the frame numbers of each stack
    runs: list[range]  # the frame numbers of each sequence of consecutive frames
    classes: frozenset[str]  # that the ground truth can have

    @classmethod
    def of(
        cls, split: Stacks, detections: list[Detections], scene: SceneConfig, drawn: list[Drawn] | None = None
    ) -> Predictions:
        """Put the labels of a split beside detections in all of its frames.

        Args:
            scene: of the model; RAM boxes in its ignored regions are left out of the truth.
            drawn: of each frame; None: the truth taken as it is.

        Raises:
            EvaluationError: the split has no labels.
        """
        _require_labels(split)
        truth, length = visible_truth(split, scene), split.meta.length
        stacks = [range(at, at + length) for at in range(0, len(detections), length)]
        classes = frozenset(named_classes(split, truth))
        return cls(detections, truth, drawn or as_drawn(truth), stacks, runs_of(split), classes)

    @classmethod
    def join(cls, parts: Sequence[Predictions]) -> Predictions:
        """Take the frames of several splits together, one split after the other."""
        starts = np.cumsum([0, *(len(part.detections) for part in parts)]).tolist()
        return cls(
            [one for part in parts for one in part.detections],
            [one for part in parts for one in part.truth],
            [one for part in parts for one in part.drawn],
            [_moved(one, by) for part, by in zip(parts, starts, strict=False) for one in part.stacks],
            [_moved(one, by) for part, by in zip(parts, starts, strict=False) for one in part.runs],
            frozenset().union(*(part.classes for part in parts)),
        )

    @functools.cached_property
    def true_names(self) -> list[list[str]]:
        """See :func:`~spacetime_env.evaluation.latents.true_names`."""
        return true_names(self.detections, self.truth)

    def moving(self, scene: SceneConfig) -> tuple[list[Truth], list[Truth]]:
        """The true objects of each frame that are of ``moving`` classes, and all others.

        See :func:`~spacetime_env.evaluation.truth.truth_sets`.
        """
        return divide(self.truth, truth_sets(scene, self.classes)["moving"])

    def drawn_moving(self, scene: SceneConfig) -> tuple[list[Truth], list[Truth]]:
        """What is drawn of ``moving`` classes in each frame, and what counts neither way: all else."""
        truth, others = divide([one.truth for one in self.drawn], truth_sets(scene, self.classes)["moving"])
        return truth, [join([other, one.neutral]) for other, one in zip(others, self.drawn, strict=True)]

    def drawn_all(self, scene: SceneConfig) -> tuple[list[Truth], list[Truth]]:
        """As :meth:`drawn_moving`, if nothing of these classes were neutral."""
        every = [join([one.truth, one.neutral]) for one in self.drawn]
        return divide(every, truth_sets(scene, self.classes)["moving"])

    @functools.cached_property
    def neutral_counts(self) -> dict[str, int]:
        """How many boxes of each kind are neutral."""
        return {kind: sum(one.kinds.count(kind) for one in self.drawn) for kind in KINDS}

    def samples(self, classes: Collection[str], kalman: bool = False) -> Samples:
        """The detections that match true objects of some classes, with these objects' names.

        Their features are z_what, or with ``kalman`` those of
        :func:`~spacetime_env.evaluation.kalman.kalman_features`.
        """
        frames = [self._samples_of_frame(f, classes, kalman) for f in range(len(self.detections))]
        features = [frame.features for frame in frames if frame.names]
        return Samples(
            np.concatenate(features) if features else np.zeros((0, 0)), [n for frame in frames for n in frame.names]
        )

    def kalman_stacks(self, classes: Collection[str]) -> list[list[Samples]]:
        """For each stack and each of its frames, as :meth:`samples` with ``kalman``."""
        return [[self._samples_of_frame(f, classes, kalman=True) for f in stack] for stack in self.stacks]

    def _samples_of_frame(self, f: int, classes: Collection[str], kalman: bool) -> Samples:
        one, names = self.detections[f], self.true_names[f]
        at = [i for i, name in enumerate(names) if name in classes]
        return Samples((kalman_features(one) if kalman else one.z_what)[at], [names[i] for i in at])


def _moved(frames: range, by: int) -> range:
    return range(frames.start + by, frames.stop + by)


def predict_tests(model: Model, tests: Sequence[Stacks], progress: bool = False) -> list[Predictions]:
    """Run a model on all frames of some labelled test splits, and find what is drawn in them.

    Raises:
        EvaluationError, DatasetError: see :func:`predict`.
    """
    for test in tests:
        _require_labels(test)
    found = zip(tests, drawn_tests(tests), strict=True)
    return [predict(model, test, progress, drawn) for test, drawn in found]


def predict(
    model: Model, split: Stacks, progress: bool = False, drawn: list[Drawn] | None = None
) -> Predictions:
    """Run a model on all frames of a labelled split.

    Args:
        progress: show a bar.
        drawn: what is drawn in each frame; None: the labels are taken as they are.

    Raises:
        EvaluationError: the split has no labels, or frames of another size than the model reads.
        DatasetError: damaged files.
    """
    _require_labels(split)
    if split.native != model.native:
        raise EvaluationError(
            f"{split.path} has frames of {split.native} pixels (H, W), and the model reads {model.native}."
        )
    return Predictions.of(split, detect_all(model, split, progress=progress), model.scene, drawn)


def _require_labels(split: Stacks) -> None:
    if not split.meta.labels:
        raise EvaluationError(f"{split.path} was recorded without ground truth, so nothing can be compared.")


def runs_of(split: Stacks) -> list[range]:
    """The frame numbers of each sequence of consecutive frames.

    A stack is one sequence. In a split recorded in order, a stack that goes on where the stack before it ended
    lengthens that one's sequence.
    """
    length = split.meta.length
    stacks = [range(at, at + length) for at in range(0, len(split) * length, length)]
    if split.meta.order != "sequential":
        return stacks
    joined: list[range] = []
    at = 0
    # Pictures are never sequential. Episodes are counted within a shard, so none goes on in the next.
    for shard in cast(Split, split).shards():
        for i, (episode, steps) in enumerate(zip(shard.episodes, shard.steps, strict=True)):
            if i and episode == shard.episodes[i - 1] and steps[0] == shard.steps[i - 1][-1] + 1:
                joined[-1] = range(joined[-1].start, stacks[at].stop)
            else:
                joined.append(stacks[at])
            at += 1
    return joined


def open_any(path: Path, game: str, subframes: int = 1) -> Stacks:
    """Open a recorded split of a game, or a folder of pictures if no game is of this name.

    Raises:
        DatasetError: it is of another game, not complete, or damaged.
    """
    return open_split(path, game, None, subframes) if is_game(game) else open_pictures(path, name=game)


def labelled_tests(root: str | Path, game: str, subframes: int = 1) -> list[Stacks]:
    """The labelled ``test-*`` splits in ``<root>/<game>``, sorted by name; of pictures, its folder ``test``.

    Args:
        game: or the name of the pictures.
        subframes: ``model.subframes`` of the model that is to see them.

    Raises:
        NoTestError: there is none.
        DatasetError: one is not complete.
    """
    folder = Path(root) / game
    paths = sorted(folder.glob(f"test-*/{META}" if is_game(game) else f"test/{BOXES}"))
    tests = [one for one in (open_any(path.parent, game, subframes) for path in paths) if one.meta.labels]
    if not tests and not is_game(game):
        raise NoTestError(
            f"no folder {folder / 'test'} with {BOXES}: give the folder of pictures with true boxes with --split, or "
            "with --data-root the one that has such a folder for each model."
        )
    if not tests:
        raise NoTestError(
            f"no labelled test split in {folder}: record one with python create_dataset.py --game {game} "
            "--split test --labels, or give the folder of one with --split, or of all games with --data-root."
        )
    return tests


def require_apart(tests: Sequence[Stacks], few_shot_from: Stacks | None) -> None:
    """Raise unless there is a test split, and few-shot samples come from a split that is not tested.

    Raises:
        EvaluationError: no test split, or ``few_shot_from`` is one of them.
    """
    if not tests:
        raise EvaluationError("expected at least one labelled split to test on, got none.")
    if few_shot_from is not None and few_shot_from.path.resolve() in [test.path.resolve() for test in tests]:
        raise EvaluationError(
            f"few-shot samples would come from {few_shot_from.path}, which is tested too: give another split "
            "with --few-shot-from."
        )


def detect_all(
    model: Model, split: Stacks, stacks: Sequence[int] | None = None, progress: bool = False
) -> list[Detections]:
    """Detections in all frames of some stacks, stack by stack.

    Args:
        stacks: which; None: all.
        progress: show a bar.
    """
    found = []
    wanted = np.arange(len(split)) if stacks is None else np.asarray(stacks, int)
    parts = np.array_split(wanted, max(1, len(wanted) // 16))
    for part in tqdm(parts, desc=f"detecting in {split.path.name}", disable=not progress):
        found += model.detect(split.frames(part.tolist()).reshape(-1, *split.native, 3))
    return found
