"""What a model finds in labelled splits beside what is there: what all figures of an evaluation are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from spacetime_env.data.meta import META
from spacetime_env.data.split import Split, open_split
from spacetime_env.evaluation.boxes import Truth
from spacetime_env.evaluation.kalman import kalman_features
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.truth import visible_truth
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections


class EvaluationError(ValueError):
    """Nothing can be evaluated; the message says why and what to do."""


class NoTestError(EvaluationError):
    """A game has no labelled test split."""


@dataclass(frozen=True)
class Seen:
    """What a model finds in some splits, taken together, and what is there."""

    found: list[Detections]  # of each frame
    truth: list[Truth]  # of each frame, all classes
    stacks: list[range]  # frames of each stack
    runs: list[range]  # frames that follow each other
    classes: frozenset[str]  # that the truth can name


def look(model: Model, splits: Sequence[Split], progress: bool = False) -> Seen:
    """Run the model on all frames of some splits.

    Raises:
        EvaluationError: a split has no labels, or frames of another size than the model reads.
        DatasetError: damaged files.
    """
    found: list[Detections] = []
    truth: list[Truth] = []
    stacks, runs, classes = [], [], set()
    for split in splits:
        if not split.meta.labels:
            raise EvaluationError(f"{split.path} was recorded without ground truth, so nothing can be compared.")
        if split.native != model.native:
            raise EvaluationError(
                f"{split.path} has frames of {split.native} pixels (H, W), and the model reads {model.native}."
            )
        start, length = len(found), split.meta.length
        found += detect_all(model, split, progress=progress)
        truth += visible_truth(split, model.scene)
        stacks += [range(at, at + length) for at in range(start, len(found), length)]
        runs += [range(start + run.start, start + run.stop) for run in runs_of(split)]
        classes |= {*split.meta.classes, *(name for one in truth[start:] for name in one.names)}
    return Seen(found, truth, stacks, runs, frozenset(classes))


def runs_of(split: Split) -> list[range]:
    """Frames that follow each other: those of a stack, and of stacks that go on where the one before ended."""
    length = split.meta.length
    ends = [range(at, at + length) for at in range(0, len(split) * length, length)]
    if split.meta.order != "sequential":
        return ends
    joined: list[range] = []
    at = 0
    for shard in split.shards():  # episodes are counted within a shard, so none goes on in the next
        for i, (episode, steps) in enumerate(zip(shard.episodes, shard.steps, strict=True)):
            if i and episode == shard.episodes[i - 1] and steps[0] == shard.steps[i - 1][-1] + 1:
                joined[-1] = range(joined[-1].start, ends[at].stop)
            else:
                joined.append(ends[at])
            at += 1
    return joined


def labelled_tests(root: str | Path, game: str, subframes: int = 1) -> list[Split]:
    """The labelled ``test-*`` splits in ``<root>/<game>``, by name, as a model with ``model.subframes`` sees them.

    Raises:
        NoTestError: there is none.
        DatasetError: one is not complete.
    """
    folder = Path(root) / game
    tests = [open_split(path.parent, game, None, subframes) for path in sorted(folder.glob(f"test-*/{META}"))]
    tests = [test for test in tests if test.meta.labels]
    if not tests:
        raise NoTestError(
            f"no labelled test split in {folder}: record one with python create_dataset.py --game {game} "
            "--split test --labels, or give the folder of one with --split, or of all games with --data-root."
        )
    return tests


def require_apart(tests: Sequence[Split], few_shot_from: Split | None) -> None:
    """Refuse no split at all, and few-shot samples from a tested one.

    Raises:
        EvaluationError: one of these.
    """
    if not tests:
        raise EvaluationError("expected at least one labelled split to test on, got none.")
    if few_shot_from is not None and few_shot_from.path.resolve() in [test.path.resolve() for test in tests]:
        raise EvaluationError(
            f"few-shot samples would come from {few_shot_from.path}, which is tested too: give another split "
            "with --few-shot-from."
        )


def samples_of(seen: Seen | None, names: Sequence[Sequence[str]], members: Sequence[str], kalman: bool) -> Samples:
    """Features and true names of the objects found that are of some classes."""
    features, kept = [np.zeros((0, 0))], []
    for one, true in zip(seen.found if seen else (), names, strict=True):
        at = [i for i, name in enumerate(true) if name in members]
        if at:
            features.append((kalman_features(one) if kalman else one.z_what)[at])
            kept += [true[i] for i in at]
    return Samples(np.concatenate(features[1:] or features), kept)


def stacks_of(seen: Seen, names: Sequence[Sequence[str]], members: Sequence[str]) -> list[list[Samples]]:
    """For each stack and frame of it, what the Kalman classifier reads of the objects of some classes, and names."""
    result = []
    for stack in seen.stacks:
        frames = []
        for f in stack:
            at = [i for i, name in enumerate(names[f]) if name in members]
            frames.append(Samples(kalman_features(seen.found[f])[at], [names[f][i] for i in at]))
        result.append(frames)
    return result


def detect_all(
    model: Model, split: Split, stacks: Sequence[int] | None = None, progress: bool = False
) -> list[Detections]:
    """Detections of all frames of some stacks (all where None), stack by stack; ``progress`` shows a bar."""
    found = []
    wanted = np.arange(len(split)) if stacks is None else np.asarray(stacks, int)
    parts = np.array_split(wanted, max(1, len(wanted) // 16))
    for part in tqdm(parts, desc=f"detecting in {split.path.name}", disable=not progress):
        found += model.detect(split.frames(part.tolist()).reshape(-1, *split.native, 3))
    return found
