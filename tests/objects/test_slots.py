"""The forms of a class's slots are the same rules. What the rules are is in test_tracker.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from spacetime_env.config import SceneConfig
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.objects import tracker as module
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.slot_arrays import ManySlots
from spacetime_env.objects.slots import FewSlots, Sight
from spacetime_env.objects.tracker import Tracker

NATIVE = (210, 160)


def play(seed: int, steps: int = 80):
    """Sights of a few objects that fly, turn round, are missed, shake, and of some that are not there."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    at, speed = rng.uniform(0, 150, (count, 2)), rng.uniform(-7, 7, (count, 2))
    for _ in range(steps):
        at += speed
        speed[rng.random((count, 2)) < 0.05] *= -1
        seen = (at + rng.normal(0, 0.5, at.shape))[rng.random(count) < 0.8]
        seen = np.concatenate([seen, rng.uniform(0, 150, (rng.integers(0, 2), 2))])
        yield np.rint(rng.permutation(seen)), rng.integers(2, 9, (len(seen), 2)), rng.uniform(0.5, 1, len(seen))


@pytest.mark.parametrize("slots", [1, 2, 5, 12])
@pytest.mark.parametrize("keep", [0, 3])
def test_both_forms_are_one_rule(slots: int, keep: int) -> None:
    filled = swapped = 0
    for seed in range(12):
        few, many = FewSlots(slots, 12.0, keep), ManySlots(slots, 12.0, keep)
        before: list[int] = []
        for at, size, confidence in play(seed):
            number = np.arange(len(at)) * 2 + 1  # those between are of other classes
            few.update(
                [
                    Sight(n, complex(x, y), w, h, c)
                    for n, (x, y), (w, h), c in zip(number.tolist(), at, size, confidence, strict=True)
                ]
            )
            many.update(number, at[:, 0] + 1j * at[:, 1], size.astype(float), confidence)
            assert few.sources() == many.sources()
            rows = many.rows(NATIVE, 8.0)
            np.testing.assert_allclose(few.rows(NATIVE, 8.0), rows, atol=1e-12)
            assert rows.shape == (slots, 7) and np.abs(rows).max(initial=0) <= 1
            filled += int(rows[:, 0].sum())
            swapped += few.sources() != before
            before = few.sources()
        few.reset()
        many.reset()
        assert not np.any(few.rows(NATIVE, 8.0)) and not many.rows(NATIVE, 8.0).any()
        assert few.sources() == many.sources() == [-1] * slots
    assert filled > 100 and swapped > 100  # there was something to disagree on


@pytest.mark.parametrize("keep", [0, 4])
def test_a_compiled_tracker_is_the_same(keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if module.loops is None:
        pytest.skip("numba is not installed")
    names = ("Ball", "Fish", "Bird", "Star")  # no slot is for a Star, and no Bird is ever seen by the model
    config = SceneConfig(classes=names, slots={"Fish": 9, "Ball": 2, "Star": 0}, keep=keep, max_speed=8.0)
    known = ("Star", "Fish", "Ball")
    compiled = Tracker(config, NATIVE)
    with monkeypatch.context() as patch:
        patch.setattr(module, "loops", None)
        plain = Tracker(config, NATIVE)
    assert {type(group).__name__ for group, _, _ in plain._groups} == {"FewSlots", "ManySlots"}
    quickly, calls = 0, []
    monkeypatch.setattr(compiled, "_update", lambda *given: calls.append(Tracker._update(compiled, *given)))
    for seed in range(20):
        for step, (at, size, confidence) in enumerate(play(seed)):
            boxes = np.concatenate([at - size / 2, size], axis=1).astype(np.float32)
            ids = np.random.default_rng((seed, step)).permutation(np.arange(len(at)) % 3)
            what = np.zeros((len(at), 2), np.float32)
            certain = confidence.astype(np.float32)
            seen = Detections(boxes, boxes_to_z_where(boxes, NATIVE), ids, certain, what, known)
            with monkeypatch.context() as patch:
                patch.setattr(module, "loops", None)
                wanted = plain.update(seen)
            calls.clear()
            rows = compiled.update(seen)
            quickly += not calls
            np.testing.assert_allclose(rows, wanted, atol=1e-6)
            assert compiled.sources == plain.sources and len(plain.sources) == len(plain.slot_names) == 12
        compiled.reset()
        plain.reset()
    assert 200 < quickly < 1500  # the compiled loop did it alone at times, and left a class to the arrays at times


def test_the_compiled_assignment_is_scipys() -> None:
    if module.loops is None:
        pytest.skip("numba is not installed")
    rng = np.random.default_rng(0)
    for trial in range(600):
        rows = int(rng.integers(1, 9))
        shape = (rows, rows + int(rng.integers(0, 5)))
        cost = rng.random(shape) if trial % 2 else rng.integers(0, 4, shape) / 3  # many that are equal
        np.testing.assert_array_equal(module.loops.assign(cost), linear_sum_assignment(cost)[1])
