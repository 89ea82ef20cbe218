"""``python -m benchmarks.vision``: the shipped models beside OCAtari's vision mode, on the same frames and truth.

OCAtari's vision mode is what a user would take instead: for each game, colours and rules written by hand. It is shown
the emulator's last frame, for which it was written, and judged on what is drawn there. A model is shown what it is made
for, and judged on that. Classes that never move count neither way. ``python -m benchmarks.games`` writes the table.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import sources
from benchmarks.common import Table
from spacetime_env.data.recording import Recording
from spacetime_env.data.split import open_split
from spacetime_env.evaluation.boxes import DetectionScores, detection_scores, of_classes
from spacetime_env.evaluation.drawn import drawn_tests
from spacetime_env.evaluation.run_model import Predictions, labelled_tests, predict_tests
from spacetime_env.models.folder import load_model
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections, from_boxes

HEAD = ("game", "F1", "F1 at 0.75", "centre", "ms", "OCAtari F1", "F1 at 0.75", "centre", "ms")
FRAMES = Path(__file__).parent / "ocatari_frames.py"
TIMED = 200  # frames, one after the other, of which the median counts


@dataclass(frozen=True)
class Row:
    """One game."""

    game: str
    ours: DetectionScores
    our_ms: float
    theirs: DetectionScores
    their_ms: float

    def numbers(self) -> list[float]:
        """In the order of HEAD."""
        each = ((self.ours, self.our_ms), (self.theirs, self.their_ms))
        return [value for one, ms in each for value in (one.f1, one.f1_75, one.center_f1, ms)]


def compare(model: Model, tests: Sequence[Recording], predictions: Predictions, python: str) -> Row:
    """A model and OCAtari's vision mode on the frames of some test splits.

    Args:
        predictions: of the model, on all of them together.
        python: that has OCAtari and all that it imports.

    Raises:
        SystemExit: OCAtari failed; the message has what it said.
    """
    plain = [open_split(test.path, subframes=1) for test in tests]
    found = [run_ocatari(model.game, test, python) for test in plain]
    detections = [one for boxes, _ in found for one in boxes]
    drawn = [one for each in drawn_tests(plain) for one in each or ()]
    there = Predictions(
        detections, predictions.truth, drawn, predictions.stacks, predictions.runs, predictions.classes
    )
    moving = {name for one in drawn for name in one.truth.names}
    theirs = detection_scores(of_classes(detections, moving), *there.drawn_moving(model.scene))
    ours = detection_scores(predictions.detections, *predictions.drawn_moving(model.scene))
    seconds = np.median(np.concatenate([times for _, times in found]))
    return Row(model.game, ours, seconds_of(model, tests[0]) * 1000, theirs, float(seconds) * 1000)


def run_ocatari(game: str, split: Recording, python: str) -> tuple[list[Detections], np.ndarray]:
    """What OCAtari's vision mode finds in each frame of a split, and the seconds of each frame."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "frames.npy", Path(folder) / "found.npz"
        np.save(source, split.frames().reshape(-1, *split.native, 3))
        command = [python, str(FRAMES), game, str(source), str(split.meta.length), str(out)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"OCAtari's vision mode failed on {game}: {done.stderr[-1000:]}")
        with np.load(out) as data:
            boxes, names, counts, seconds = (data[key] for key in ("boxes", "names", "counts", "seconds"))
    ends = np.cumsum(counts)
    found = []
    for start, end in zip([0, *ends], ends, strict=False):
        one = from_boxes(boxes[start:end], split.native)
        known = tuple(sorted(set(names[start:end].tolist())))
        ids = np.array([known.index(name) for name in names[start:end].tolist()], np.int64)
        found.append(Detections(one.boxes, one.z_where, ids, one.confidence, one.z_what, known))
    return found, seconds


def seconds_of(model: Model, split: Recording) -> float:
    """The median seconds that a model takes for a frame, alone."""
    frames = split.frames(range(-(-TIMED // split.meta.length))).reshape(-1, *split.native, 3)
    times = []
    for frame in frames:
        began = time.perf_counter()
        model.detect(frame[None])
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def table(rows: Sequence[Row]) -> Table:
    """The rows, and their mean."""
    found = Table("", HEAD)
    for row in rows:
        found.rows.append([row.game, *_cells(row.numbers())])
    mean = np.mean([row.numbers() for row in rows], axis=0)
    found.rows.append(["**mean**", *(f"**{cell}**" for cell in _cells(mean.tolist()))])
    return found


def _cells(numbers: Sequence[float]) -> list[str]:
    return [f"{value:.2f}" if i % 4 == 3 else f"{value:.3f}" for i, value in enumerate(numbers)]


def main() -> int:
    """Compare, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vision", description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*sources.singles().values()], help="default: all of one game")
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="default: %(default)s")
    parser.add_argument("--ocatari", default=sys.executable, metavar="PYTHON", help="default: this one")
    asked = parser.parse_args()
    rows = []
    for name in asked.models:
        model = load_model(name)
        tests = labelled_tests(asked.data_root, model.game, model.config.subframes)
        recorded = [test for test in tests if isinstance(test, Recording)]
        predictions = Predictions.join(predict_tests(model, recorded, progress=True))
        rows.append(compare(model, recorded, predictions, asked.ocatari))
        print(rows[-1].game, *_cells(rows[-1].numbers()), flush=True)
    print("\n".join(table(rows).text().splitlines()[2:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
