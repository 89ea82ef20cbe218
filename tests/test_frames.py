from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spacetime_env.frames import (
    boxes_to_z_where,
    from_rows,
    require_frames,
    resize,
    shown_rows,
    to_tensor,
    z_where_to_boxes,
)

N, H, W = 2, 10, 12


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, H, W, 3), dtype=np.uint8)


def test_require_frames_makes_one_frame_a_batch(frames: np.ndarray) -> None:
    assert require_frames(frames) is frames
    assert require_frames(frames[0]).shape == (1, H, W, 3)
    assert require_frames(frames, (H, W)) is frames
    assert require_frames(np.zeros((0, H, W, 3), np.uint8)).shape == (0, H, W, 3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((N, H, W, 3), np.float32), "expected uint8.*got float32"),
        (np.zeros((N, H, W, 3), np.int64), "expected uint8.*got int64"),
        (np.zeros((H, W), np.uint8), r"got \(10, 12\)"),
        (np.zeros((N, 3, H, W), np.uint8), r"got \(2, 3, 10, 12\)"),
        (np.zeros((N, H, W, 4), np.uint8), r"got \(2, 10, 12, 4\)"),
        (np.zeros((N, N, H, W, 3), np.uint8), r"got \(2, 2, 10, 12, 3\)"),
        (np.zeros((N, 0, W, 3), np.uint8), r"got \(2, 0, 12, 3\)"),
        ([[0]], "got list"),
        (torch.zeros(N, H, W, 3), "got Tensor"),
    ],
)
def test_require_frames_refuses(bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_frames(bad)


def test_require_frames_refuses_another_size(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"H x W = 12 x 10, got 10 x 12.*resize"):
        require_frames(frames, (W, H))


def test_resize_to_the_same_size_changes_nothing(frames: np.ndarray) -> None:
    assert resize(frames, (H, W)) is frames


def test_resize_keeps_axes_apart() -> None:
    frames = np.zeros((N, H, W, 3), np.uint8)
    frames[1, :, : W // 2, 2] = 200  # second frame: left half blue
    out = resize(frames, (5, 8))
    assert out.shape == (N, 5, 8, 3) and out.dtype == np.uint8
    assert not out[0].any() and not out[1, ..., :2].any()
    assert (out[1, :, :3, 2] == 200).all() and not out[1, :, 5:].any()


def test_antialias_is_the_mean_of_the_pixels() -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[0, 0] = (200, 100, 40)  # one pixel of four in the first square
    assert resize(frame, (2, 2), antialias=True)[0, 0, 0].tolist() == [50, 25, 10]


def test_antialias_is_linear_where_the_frame_grows(frames: np.ndarray) -> None:
    assert (resize(frames, (20, 24), antialias=True) == resize(frames, (20, 24))).all()


def test_to_tensor_is_exact(frames: np.ndarray) -> None:
    out = to_tensor(frames, (H, W))
    assert out.shape == (N, 3, H, W) and out.dtype == torch.float32 and out.is_contiguous()
    assert torch.equal(out, torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
    assert to_tensor(np.full((H, W, 3), 255, np.uint8), (H, W)).unique().tolist() == [1.0]


def test_to_tensor_turns_the_channels_round(frames: np.ndarray) -> None:
    rgb, bgr = to_tensor(frames, (5, 8)), to_tensor(frames, (5, 8), "bgr")
    assert torch.equal(bgr, rgb.flip(1)) and not torch.equal(bgr, rgb)


def test_to_tensor_does_not_share_memory(frames: np.ndarray) -> None:
    before = frames.copy()
    to_tensor(frames, (H, W)).zero_()
    assert (frames == before).all()


def test_to_tensor_of_no_frames() -> None:
    assert to_tensor(np.zeros((0, H, W, 3), np.uint8), (5, 8)).shape == (0, 3, 5, 8)


def test_to_tensor_refuses_an_unknown_order(frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"'rgb' or 'bgr', got 'RGB'"):
        to_tensor(frames, (H, W), "RGB")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0, 8), (5, -8), (5,), 5, (5.5, 8), None, ("a", "b")])
def test_bad_sizes(frames: np.ndarray, size: Any) -> None:
    with pytest.raises(ValueError, match=r"size as \(H, W\)"):
        resize(frames, size)


def test_boxes_to_z_where_by_hand() -> None:
    # H = 210, W = 160. The whole frame; its upper left quarter; 4 x 16 pixels with the centre at (142, 62).
    boxes = np.array([[0, 0, 160, 210], [0, 0, 80, 105], [140, 54, 4, 16]])
    expected = [[1, 1, 0, 0], [0.5, 0.5, -0.5, -0.5], [0.025, 16 / 210, 0.775, 62 / 105 - 1]]
    z_where = boxes_to_z_where(boxes, (210, 160))
    assert z_where.dtype == np.float32
    np.testing.assert_allclose(z_where, expected, atol=1e-6)


def test_boxes_there_and_back() -> None:
    boxes = np.random.default_rng(0).uniform(0, 50, (7, 2, 4)).astype(np.float32)
    back = z_where_to_boxes(boxes_to_z_where(boxes, (H, W)), (H, W))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, boxes, atol=1e-4)


def test_z_where_of_some_rows_by_hand() -> None:
    # Of rows 34 to 194 of 210: a box of 4 x 16 pixels with its centre at (142, 62), and one as large as what is seen.
    seen = np.array([[4 / 160, 16 / 160, 142 / 80 - 1, (62 - 34) / 80 - 1], [1, 1, 0, 0]])
    z_where = from_rows(seen, (34, 194), (210, 160))
    assert z_where.dtype == np.float32
    boxes = z_where_to_boxes(z_where, (210, 160))
    np.testing.assert_allclose(boxes, [[140, 54, 4, 16], [0, 34, 160, 160]], atol=1e-4)
    np.testing.assert_allclose(from_rows(seen, (0, 0), (210, 160)), seen.astype(np.float32))
    np.testing.assert_allclose(from_rows(seen, (0, 210), (210, 160)), seen.astype(np.float32))
    assert from_rows(np.zeros((0, 4)), (34, 194), (210, 160)).shape == (0, 4)


@pytest.mark.parametrize("rows", [(34, 211), (-1, 20), (20, 20), (30, 20)])
def test_rows_that_a_frame_has_not(rows: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"model.rows: .* 0 to 210, got \[{rows[0]}, {rows[1]}\]"):
        shown_rows(rows, (210, 160))


def test_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert boxes_to_z_where(none, (H, W)).shape == z_where_to_boxes(none, (H, W)).shape == (0, 4)


@pytest.mark.parametrize("convert", [boxes_to_z_where, z_where_to_boxes])
def test_boxes_of_another_shape(convert: Any) -> None:
    with pytest.raises(ValueError, match=r"of shape \(n, 4\), got \(3, 5\)"):
        convert(np.zeros((3, 5)), (H, W))
    with pytest.raises(ValueError, match=r"size as \(H, W\)"):
        convert(np.zeros((3, 4)), (H, 0))


@pytest.mark.parametrize("size", [(7, 5), (10, 6)])
def test_a_list_of_frames_is_what_their_array_is(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 10, 6, 3), np.uint8)
    np.testing.assert_array_equal(resize(list(frames), size), resize(frames, size))
    for channels_last in (False, True):
        one, other = (to_tensor(f, size, channels_last=channels_last) for f in (list(frames), frames))
        assert one.shape == (3, 3, *size) and bool((one == other).all())
        assert one.stride()[1] == (1 if channels_last else size[0] * size[1])


def test_a_list_with_a_bad_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        resize([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)], (2, 2))
