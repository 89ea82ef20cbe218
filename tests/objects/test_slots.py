"""The two forms of the slots are the same rules. What the rules are is in test_tracker.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from spacetime_env.compiled import INSTALLED
from spacetime_env.objects import slots

NATIVE = (210, 160)
needs_numba = pytest.mark.skipif(not INSTALLED, reason="numba is not installed")


def play(seed: int, steps: int = 80):
    """Boxes of a few objects that fly, turn round, are missed, shake, and of some that are not there."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    at, speed = rng.uniform(0, 150, (count, 2)), rng.uniform(-7, 7, (count, 2))
    for _ in range(steps):
        at += speed
        speed[rng.random((count, 2)) < 0.05] *= -1
        seen = (at + rng.normal(0, 0.5, at.shape))[rng.random(count) < 0.8]
        seen = np.rint(rng.permutation(np.concatenate([seen, rng.uniform(0, 150, (rng.integers(0, 2), 2))])))
        size = rng.integers(2, 9, (len(seen), 2))
        boxes = np.concatenate([seen - size / 2, size], axis=1).astype(np.float32)
        yield boxes, rng.integers(0, 3, len(seen)), rng.uniform(0.5, 1, len(seen)).astype(np.float32)


def state(keep: int, class_ids: list[int]) -> tuple[np.ndarray, np.ndarray, slots.Rules, np.ndarray]:
    objects = slots.empty(np.array(class_ids))
    rules = slots.Rules(keep, slots.REACH * 8.0, 8.0, *NATIVE)
    return objects, np.zeros(0, slots.WAITING), rules, np.full((len(objects), 7), np.nan, np.float32)


@needs_numba
@pytest.mark.parametrize("class_ids", [[1], [1, 1], [0, 1], [-1, 1, 1, 0, 0, 0], [2] * 12 + [0] * 2], ids=str)
@pytest.mark.parametrize("keep", [0, 3])
def test_both_forms_are_one_rule(class_ids: list[int], keep: int) -> None:
    from spacetime_env.objects import slots_compiled

    happened = {"filled": 0, "lost": 0, "waited": 0, "swapped": 0}
    for seed in range(20):
        objects, waiting, rules, rows = state(keep, class_ids)
        others, patient, _, again = state(keep, class_ids)
        for seen in play(seed):
            before = objects["source"].copy()
            waiting = slots.step(objects, waiting, *seen, rules, rows)
            patient = slots_compiled.step(others, patient, *seen, rules, again)
            np.testing.assert_array_equal(again, rows)
            np.testing.assert_array_equal(patient, waiting)
            known = objects["alive"]
            np.testing.assert_array_equal(others["alive"], known)
            np.testing.assert_array_equal(others["missed"], objects["missed"])
            assert not objects["missed"][~known].any() and not rows[~known].any() and np.abs(rows).max() <= 1
            for name in ("source", "at", "step", "velocity", "weight", "w", "h"):
                np.testing.assert_array_equal(others[name][known], objects[name][known], err_msg=name)
            happened["filled"] += int(rows[:, 0].sum())
            happened["lost"] += int((known & (objects["missed"] > 0)).sum())
            happened["waited"] += len(waiting)
            happened["swapped"] += int((known & (before != objects["source"])).any())
    enough: dict[str, Any] = {name: count > 100 for name, count in happened.items()}
    assert enough["filled"] and enough["swapped"] and (enough["lost"] or keep == 0)  # something to disagree on
    assert enough["waited"] or len(class_ids) > 6


def test_a_missed_object_is_freed_and_remembers_nothing() -> None:
    objects, waiting, rules, rows = state(1, [0])
    box, nothing = np.array([[10, 20, 4, 6]], np.float32), np.zeros((0, 4), np.float32)
    waiting = slots.step(objects, waiting, box, np.array([0]), np.ones(1, np.float32), rules, rows)
    assert objects["alive"][0] and objects["at"][0] == 12 + 23j and objects["weight"][0] == 1
    for missed, alive in ((1, True), (0, False), (0, False)):
        waiting = slots.step(objects, waiting, nothing, np.zeros(0, int), np.zeros(0, np.float32), rules, rows)
        assert (objects["missed"][0], objects["alive"][0]) == (missed, alive)
    assert not rows.any() and len(waiting) == 0


@needs_numba
def test_the_compiled_assignment_is_scipys() -> None:
    from spacetime_env.objects.assign_compiled import assign

    rng = np.random.default_rng(0)
    for trial in range(600):
        rows = int(rng.integers(1, 9))
        shape = (rows, rows + int(rng.integers(0, 5)))
        cost = rng.random(shape) if trial % 2 else rng.integers(0, 4, shape) / 3  # many that are equal
        np.testing.assert_array_equal(assign(cost), linear_sum_assignment(cost)[1])
