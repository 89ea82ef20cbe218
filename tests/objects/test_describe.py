from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spacetime_env.config import SceneConfig
from spacetime_env.frames import boxes_to_z_where
from spacetime_env.objects import describe as scene
from spacetime_env.objects.describe import Describer
from spacetime_env.objects.detections import Detections, as_arrays, by_name
from tests.helpers.forms import both_forms

NATIVE = (100, 200)  # H, W
NAMES = ("Player", "Ghost", "Ball")
CONFIG = SceneConfig(classes=NAMES, overlap=0.5, threshold=0.5)


form = both_forms(scene)  # everything in both


def by_first_number(z_what: np.ndarray) -> np.ndarray:
    return z_what[:, 0].astype(int)


def cells(boxes: list[tuple[float, ...]], z_pres: list[float], classes: list[int]) -> tuple[np.ndarray, ...]:
    z_what = np.zeros((len(boxes), 5), np.float32)
    z_what[:, 0] = classes
    z_what[:, 1] = np.arange(len(boxes))
    return np.array(z_pres, np.float32), boxes_to_z_where(np.array(boxes), NATIVE), z_what


def run(config: SceneConfig, *latents: np.ndarray) -> Detections:
    """The objects of a single frame."""
    frame = np.zeros(len(latents[0]), np.int64)
    return Describer(by_first_number, NAMES, config, NATIVE).describe(frame, 1, *latents)[0]


def test_describe_by_hand() -> None:
    found = run(CONFIG, *cells([(10, 20, 4, 8), (50, 60, 6, 6), (90, 10, 2, 2)], [0.7, 0.2, 0.9], [1, 0, 2]))
    assert len(found) == 2 and found.names == ["Ball", "Ghost"]  # the most certain first, 0.2 is no object
    np.testing.assert_allclose(found.boxes, [[90, 10, 2, 2], [10, 20, 4, 8]], atol=1e-4)
    np.testing.assert_allclose(found.z_where[1], [0.02, 0.08, -0.88, -0.52], atol=1e-6)
    np.testing.assert_allclose(found.confidence, [0.9, 0.7])
    assert found.z_what[:, 1].tolist() == [2, 0]
    assert found.class_names == NAMES
    dtypes = [getattr(found, field).dtype for field in ("boxes", "z_where", "class_ids", "confidence", "z_what")]
    assert dtypes == [np.float32, np.float32, np.int64, np.float32, np.float32]


def test_edges_lie_on_whole_pixels() -> None:
    # Edges 10.4 to 14.7 and 20.6 to 28.2; what is smaller than a pixel is one. 50 to 56.45 is 6 wide.
    boxes = [(10.4, 20.6, 4.3, 7.6), (90.2, 10.1, 0.2, 0.3), (50, 60, 6.45, 6.55)]
    latents = cells(boxes, [0.9, 0.8, 0.7], [0, 1, 2])
    found = run(CONFIG, *latents)
    assert found.boxes.tolist() == [[10, 21, 5, 7], [90, 10, 1, 1], [50, 60, 6, 7]] and found.boxes.dtype == np.float32
    raw = run(replace(CONFIG, whole_pixels=False), *latents)
    np.testing.assert_allclose(raw.boxes, boxes, atol=1e-4)
    np.testing.assert_array_equal(found.z_where, raw.z_where)  # what the network says


def test_boxes_end_at_the_edges_of_the_frame_if_asked() -> None:
    # The frame is 200 wide and 100 high: over the left and top edge, over the right and bottom edge, and outside.
    boxes = [(-3, -5, 10, 20), (190, 95, 20, 10.5), (201, 50, 4, 4), (20, 30, 4, 8)]
    latents = cells(boxes, [0.9, 0.8, 0.7, 0.6], [0, 1, 2, 0])
    found = run(replace(CONFIG, cut=True, whole_pixels=False), *latents)
    np.testing.assert_allclose(found.boxes, [[0, 0, 7, 15], [190, 95, 10, 5], [200, 50, 0, 4], boxes[3]], atol=1e-4)
    assert found.boxes.dtype == np.float32
    np.testing.assert_array_equal(found.z_where, run(CONFIG, *latents).z_where)  # what the network says


def test_threshold_is_exclusive() -> None:
    assert len(run(CONFIG, *cells([(10, 20, 4, 8)], [0.5], [0]))) == 0


def test_nothing_found_asks_no_classifier() -> None:
    def never(z_what: np.ndarray) -> np.ndarray:
        raise AssertionError("called")

    one = cells([(1, 1, 2, 2)], [0.1], [0])
    (found,) = Describer(never, NAMES, CONFIG, NATIVE).describe(np.zeros(1, np.int64), 1, *one)
    assert (found.boxes.shape, found.z_what.shape, found.class_ids.shape) == ((0, 4), (0, 5), (0,))
    assert found.names == [] and scene_of(found) == {"Player": [], "Ghost": [], "Ball": []}


def test_objects_with_their_centre_in_an_ignored_region_are_dropped() -> None:
    config = replace(CONFIG, ignore=((0, 0, 200, 20), (150, 50, 10, 10)))
    # Centres: (52, 19) in the first region, (52, 21) below, (155, 55) in the second, (161, 55) beside it.
    boxes = [(50, 17, 4, 4), (50, 19, 4, 4), (153, 53, 4, 4), (159, 53, 4, 4)]
    found = run(config, *cells(boxes, [0.9] * 4, [0, 1, 2, 0]))
    assert sorted(found.z_what[:, 1].tolist()) == [1, 3]


@pytest.mark.parametrize(("shift", "left"), [(3, [1]), (4, [0, 1])])
def test_of_two_that_overlap_the_less_certain_goes(shift: int, left: list[int]) -> None:
    # 10 x 10 boxes: moved by 3, IoU = 70 / 130 = 0.54; by 4, 60 / 140 = 0.43. The limit is 0.5.
    found = run(CONFIG, *cells([(20, 20, 10, 10), (20 + shift, 20, 10, 10)], [0.7, 0.8], [0, 1]))
    assert sorted(found.z_what[:, 1].tolist()) == left


def test_a_dropped_box_drops_no_other() -> None:
    # A row of three, each over half on the next: the surest drops the second, and the third stays.
    found = run(CONFIG, *cells([(20, 20, 10, 10), (23, 20, 10, 10), (26, 20, 10, 10)], [0.9, 0.8, 0.7], [0] * 3))
    assert found.z_what[:, 1].tolist() == [0, 2]


def test_an_ignored_box_drops_no_other() -> None:
    config = replace(CONFIG, ignore=((0, 0, 200, 25),))  # the surer one has its centre at y = 24, the other at 26
    found = run(config, *cells([(20, 19, 10, 10), (20, 21, 10, 10)], [0.9, 0.6], [0, 0]))
    assert found.z_what[:, 1].tolist() == [1]


def test_flat_boxes_do_not_divide_by_zero() -> None:
    assert len(run(CONFIG, *cells([(20, 20, 0, 0), (20, 20, 0, 0)], [0.9, 0.8], [0, 0]))) == 2


def test_a_diverged_network_is_named() -> None:
    z_pres, z_where, z_what = cells([(1, 1, 2, 2)], [0.9], [0])
    with pytest.raises(ValueError, match="diverged"):
        run(CONFIG, z_pres, z_where * np.nan, z_what)


def scene_of(found: Detections) -> dict[str, list[tuple[float, float]]]:
    return by_name(found.class_ids, found.z_where[:, 2:], found.class_names)


def test_a_scene_has_every_class() -> None:
    found = run(CONFIG, *cells([(0, 0, 100, 50), (100, 50, 100, 50), (98, 48, 4, 4)], [0.9, 0.8, 0.7], [1, 1, 0]))
    scene = scene_of(found)
    assert list(scene) == list(NAMES)
    assert scene["Ball"] == []
    assert scene["Player"] == [pytest.approx((0, 0), abs=1e-6)]
    assert scene["Ghost"] == [(-0.5, -0.5), (0.5, 0.5)]


def test_a_scene_in_arrays_has_the_same_shapes_in_every_frame() -> None:
    """Two rows for ghosts, of which three are found; one for a ball, of which none is; a class that is not known."""
    boxes = [(0, 0, 100, 50), (100, 50, 100, 50), (98, 48, 4, 4), (0, 90, 10, 10)]
    found = run(CONFIG, *cells(boxes, [0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1]))
    scene = as_arrays(found.class_ids, found.z_where[:, 2:], NAMES, {"Ghost": 2, "Ball": 1, "Dragon": 3})
    assert [(name, of.shape, of.dtype) for name, of in scene.items()] == [
        ("Ghost", (2, 2), np.float32),
        ("Ball", (1, 2), np.float32),
        ("Dragon", (3, 2), np.float32),
    ]
    np.testing.assert_allclose(scene["Ghost"], [(-0.5, -0.5), (0.5, 0.5)], atol=1e-6)
    assert np.isnan(scene["Ball"]).all() and np.isnan(scene["Dragon"]).all()


def test_frames_described_together_are_as_if_alone() -> None:
    """Overlaps within a frame only, ignored regions, and frames with none, one and many objects."""
    rng = np.random.default_rng(0)
    config = replace(CONFIG, ignore=((0, 0, 30, 30),), overlap=0.3)
    latents, frame = [], []
    for f, count in enumerate([0, 9, 1, 0, 25, 2, 0]):
        boxes = np.concatenate([rng.uniform(0, 90, (count, 2)), rng.uniform(5, 30, (count, 2))], axis=1)
        latents.append(cells(boxes.reshape(-1, 4), rng.random(count), rng.integers(0, 3, count)))
        frame += [f] * count
    together = [np.concatenate(parts) for parts in zip(*latents, strict=True)]
    found = Describer(by_first_number, NAMES, config, NATIVE).describe(np.array(frame), 7, *together)
    assert len(found) == 7 and sum(map(len, found)) > 8
    for one, alone in zip(found, latents, strict=True):
        expected = run(config, *alone)
        for field in ("boxes", "z_where", "class_ids", "confidence", "z_what"):
            np.testing.assert_array_equal(getattr(one, field), getattr(expected, field))
    alone = sum(int((p > config.threshold).sum()) for p, _, _ in latents)
    assert sum(map(len, found)) < alone  # some overlapped, or were ignored


@pytest.mark.parametrize("whole", [True, False])
def test_both_forms_are_one_rule(whole: bool) -> None:
    if scene.loops is None:
        pytest.skip("there is one form without numba, and with it both are compared once")
    rng = np.random.default_rng(5)
    kept = 0
    for limit in (0.0, 0.3, 1.0):
        config = replace(CONFIG, whole_pixels=whole, overlap=limit, ignore=((0, 0, 60, 30), (150, 70, 20, 20)))
        for count in (0, 1, 2, 90):
            frame = np.sort(rng.integers(0, 5, count))
            z_pres = rng.choice(np.linspace(0.3, 1, 12, dtype=np.float32), count)  # some are equally certain
            boxes = rng.integers(0, 24, (count, 4)) * (8, 4, 1, 1) / 2 + (0, 0, 1, 1)
            z_where = boxes_to_z_where(boxes, NATIVE)
            ours, theirs = (
                form(frame, z_pres, z_where, config, NATIVE) for form in (scene._arranged, scene._arranged_quickly)
            )
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(one, other)
            kept += len(ours[0])
    assert kept > 60
    shuffled = rng.permutation(frame)  # not frame by frame: it is put in order all the same
    for form in (scene._arranged, scene._arranged_quickly):
        order, *_ = form(shuffled, z_pres, z_where, config, NATIVE)
        assert (np.diff(shuffled[order]) >= 0).all()
