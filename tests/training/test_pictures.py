"""Pictures of a training and of a model folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from spacetime_env.evaluation.boxes import Truth
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.objects.detections import from_boxes
from spacetime_env.space import Targets
from spacetime_env.training.pictures import as_detections, differences, example, picture, worst
from tests.helpers.tiny import CONFIG, MODEL, NATIVE, make_classifier, make_frames, make_space


def truth(*boxes: tuple[int, int, int, int]) -> Truth:
    return Truth(np.array(boxes, np.float32).reshape(-1, 4), ("Ball",) * len(boxes))


def test_example_shows_the_frame_in_which_most_is_found() -> None:
    classifier = make_classifier()
    settings = Settings("Pong", NATIVE, classifier.class_names, MODEL, CONFIG.scene, "", "")
    model, frames = Model(make_space(), classifier, settings), make_frames(3)
    detections = model.detect(frames)
    counts = [len(one) for one in detections]
    most = counts.index(max(counts))
    found = example(model, frames, detections)
    assert found.shape == (44 * 3, 3 * 36 * 3, 3)
    assert (found[::3, : 36 * 3 : 3] == frames[most]).all()
    assert (found[:, 36 * 3 : 2 * 36 * 3] != found[:, : 36 * 3]).any()  # boxes
    assert (found[::3, 2 * 36 * 3 :: 3] == model.reconstruct(frames[most])["reconstruction"][0]).all()


def test_worst_frame_of_each_stretch() -> None:
    right, wrong = (2, 3, 4, 5), (20, 20, 4, 5)
    there = [truth(right), truth(right), truth(), truth(right, wrong), truth()]
    seen = [from_boxes(np.array(b, np.float32).reshape(-1, 4), (44, 36)) for b in ([right], [wrong], [], [right], [])]
    # F1 of each: 1, 0, 1 (nothing, and nothing is there), 2/3, 1. Stretches: frames 0 to 2, and 3 to 4.
    assert worst(seen, there, 2) == [1, 3]
    assert worst(seen, there, 9) == [0, 1, 2, 3, 4]


def test_differences_shows_what_was_found_beside_what_is_there() -> None:
    frame = np.full((44, 36, 3), 90, np.uint8)
    nothing = from_boxes(np.zeros((0, 4), np.float32), (44, 36))
    found = differences([frame] * 3, [nothing] * 3, [truth((5, 20, 6, 7))] * 3)
    wide, high = 2 * 36 * 3 + 12, 44 * 3 + 12
    assert found.shape == (2 * high, 2 * wide, 3) and found.dtype == np.uint8
    assert (found[: 44 * 3, : 36 * 3] == 90).all()
    assert (found[: 44 * 3, 36 * 3 : 2 * 36 * 3] != 90).any()
    assert (found[high : high + 44 * 3, wide:] == 0).all()  # there is no fourth


def test_truth_takes_the_colours_of_the_models_classes() -> None:
    both = Truth(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32), ("Wall", "Ball"))
    found = as_detections(both, (44, 36), ("Player", "Ball"))
    assert found.class_names == ("Player", "Ball", "Wall")
    assert found.names == ["Wall", "Ball"]
    assert np.allclose(found.z_where[0], [3 / 36, 4 / 44, 2 * 2.5 / 36 - 1, 2 * 4 / 44 - 1])


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_picture_has_a_row_a_frame_and_is_rgb(order: str) -> None:
    space = make_space(config=replace(MODEL, color_order=order))
    red = torch.tensor([1.0, 0.0, 0.0])
    frames = (red if order == "rgb" else red.flip(0))[None, :, None, None].expand(6, 3, 38, 32)
    with torch.no_grad():
        output = space(frames)
    z_pres, z_where = torch.zeros(6, 16, 1), torch.zeros(6, 16, 4)
    z_pres[:, 5], z_where[:, 5] = 1, torch.tensor([0.5, 0.5, 0.0, 0.0])
    targets = Targets(z_pres, z_where, torch.zeros(6, 1, 38, 32), 3)
    found = picture(frames, output, targets, order, count=2)
    assert found.shape == (2 * 38 * 3, 5 * 32 * 3, 3) and found.dtype == np.uint8
    assert (found[:, : 32 * 3] == (255, 0, 0)).all()  # the frames themselves
    # The box around the middle of the black mask: red lines 2 px outside of 24 to 72, 28.5 to 85.5.
    mask = found[: 38 * 3, 4 * 32 * 3 :]
    ys, xs = np.nonzero(mask.any(-1))
    assert (mask[ys, xs] == (255, 0, 0)).all()
    assert (xs.min(), xs.max()) == (22, 73) and (ys.min(), ys.max()) == (26, 87)
    assert picture(frames[:1], output, targets, order).shape[0] == 38 * 3
