"""The two forms of a class's slots are the same rules. What the rules are is in test_tracker.py."""

from __future__ import annotations

import numpy as np
import pytest

from spacetime_env import slot_arrays as module
from spacetime_env.slot_arrays import ManySlots
from spacetime_env.slots import FewSlots, Sight

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


@pytest.fixture(params=["compiled", "arrays"], autouse=True)
def form(request, monkeypatch) -> None:
    """Everything twice: with numba, and without."""
    if request.param == "compiled" and module.loops is None:
        pytest.skip("numba is not installed")
    if request.param == "arrays":
        monkeypatch.setattr(module, "loops", None)


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
