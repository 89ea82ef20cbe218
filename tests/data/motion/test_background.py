from __future__ import annotations

import numpy as np
import pytest

from spacetime_env.data.motion.background import ColorCounts
from tests.data.motion.test_parts import ids_of


def test_share_is_of_the_frames_in_which_a_pixel_had_the_colour():
    counts = ColorCounts((2, 3))
    assert counts.share(ids_of("AB.", "...")).tolist() == [[0, 0, 0], [0, 0, 0]]  # of no frames
    frames = np.stack([ids_of("AB.", "..."), ids_of("AA.", "..A"), ids_of("BA.", "..A"), ids_of("AAC", "..A")])
    counts.add(frames)
    assert counts.share(ids_of("AAA", "AAA")).tolist() == [[0.75, 0.75, 0], [0, 0, 0.75]]
    assert counts.share(ids_of("BBC", "..D")).tolist() == [[0.25, 0.25, 0.25], [1, 1, 0]]


def test_share_follows_frames_that_come_and_go():
    counts = ColorCounts((1, 2))
    counts.add(np.stack([ids_of("AB"), ids_of("AA")]))
    assert counts.share(ids_of("AA")).tolist() == [[1, 0.5]]
    counts.add(ids_of("BA")[None])
    np.testing.assert_allclose(counts.share(ids_of("AA")), [[2 / 3, 2 / 3]], rtol=1e-6)
    counts.remove(ids_of("AB")[None])
    assert counts.share(ids_of("AA")).tolist() == [[0.5, 1]] and counts.total == 2


@pytest.mark.parametrize("frames", [np.zeros((2, 3), np.uint8), np.zeros((1, 3, 2), np.uint8), np.zeros((1, 2, 3))])
def test_frames_of_another_size_or_type_are_refused(frames):
    with pytest.raises(ValueError, match=r"uint8 palette ids, got \("):
        ColorCounts((2, 3)).add(frames)
