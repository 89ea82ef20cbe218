"""Units, sizes and colour order: frames, the tensors that a network takes, and boxes in pixels or as z_where.

No other module resizes frames for a network, reorders colours, or converts between pixels and z_where.

======== ================================================================================================
frames   uint8 RGB, (N, H, W, 3), native size (Pong: H = 210, W = 160)
tensor   float32, (N, 3, H, W), in [0, 1], RGB or BGR
boxes    float32, (n, 4): x, y, w, h of the box in native pixels; x, y is its top-left corner
z_where  float32, (n, 4): w, h as fractions of the frame, in (0, 1); x, y of the centre in (-1, 1), y down
======== ================================================================================================
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

Size = tuple[int, int]  # H, W


def require_frames(frames: Any, size: Size | None = None) -> np.ndarray:
    """Check that ``frames`` are uint8 RGB pictures, (N, H, W, 3) or one (H, W, 3); returns (N, H, W, 3).

    Args:
        frames: the frames.
        size: H, W that they must have; None: any.

    Raises:
        ValueError: not an array, not uint8, another shape or another size.
    """
    if not isinstance(frames, np.ndarray):
        raise ValueError(f"expected frames as a uint8 array, (N, H, W, 3), got {type(frames).__name__}.")
    if frames.dtype != np.uint8:
        raise ValueError(
            f"expected uint8 frames with values 0 to 255, got {frames.dtype}. "
            "Frames are RGB pictures as ALE gives them: do not scale them first."
        )
    batch = frames[None] if frames.ndim == 3 else frames
    if batch.ndim != 4 or batch.shape[-1] != 3 or 0 in batch.shape[1:]:
        raise ValueError(f"expected frames of shape (N, H, W, 3) or (H, W, 3), RGB, got {frames.shape}.")
    if size is not None and batch.shape[1:3] != tuple(size):
        raise ValueError(
            f"expected frames of H x W = {size[0]} x {size[1]}, got {batch.shape[1]} x {batch.shape[2]}. "
            "spacetime_env.frames.resize changes their size."
        )
    return batch


def resize(frames: np.ndarray | list[np.ndarray], size: Size, antialias: bool = False) -> np.ndarray:
    """Frames at another size: (N, H, W, 3) uint8. An array that has the size already is not copied.

    Args:
        frames: (N, H0, W0, 3) or (H0, W0, 3) uint8 RGB; or a list of (H0, W0, 3), which saves copying them together.
        size: H, W.
        antialias: if both sides shrink, average the pixels that fall together (``cv2.INTER_AREA``). Objects of one or
            two pixels are kept so. It is slower than ``cv2.INTER_LINEAR``, which is used otherwise.

    Raises:
        ValueError: as :func:`require_frames` does.
    """
    batch: Any = [require_frames(frame)[0] for frame in frames] if isinstance(frames, list) else require_frames(frames)
    height, width = _require_size(size)
    native = (batch[0].shape[:2] if batch else (height, width)) if isinstance(batch, list) else batch.shape[1:3]
    if native == (height, width):
        return np.array(batch, np.uint8).reshape(-1, height, width, 3) if isinstance(batch, list) else batch
    shrinks = height <= native[0] and width <= native[1]
    how = cv2.INTER_AREA if antialias and shrinks else cv2.INTER_LINEAR
    out = np.empty((len(batch), height, width, 3), np.uint8)
    for source, target in zip(batch, out, strict=True):
        cv2.resize(source, (width, height), dst=target, interpolation=how)
    return out


def to_tensor(
    frames: np.ndarray | list[np.ndarray],
    size: Size,
    color_order: Literal["rgb", "bgr"] = "rgb",
    antialias: bool = False,
    channels_last: bool = False,
) -> torch.Tensor:
    """Frames as a network takes them: float32 (N, 3, H, W) in [0, 1], on the CPU.

    Args:
        frames: uint8 RGB, (N, H0, W0, 3) or (H0, W0, 3), or a list of the latter.
        size: H, W of the tensor.
        color_order: ``"bgr"`` reverses the channels, for networks that were trained on OpenCV's order (upstream).
        antialias: see :func:`resize`.
        channels_last: lay the tensor out in memory as frames are. Convolutions without GroupNorm are faster so. Shape
            and values are the same.

    Raises:
        ValueError: as :func:`require_frames` does; an unknown colour order.
    """
    import torch

    if color_order not in ("rgb", "bgr"):
        raise ValueError(f"expected color_order 'rgb' or 'bgr', got {color_order!r}.")
    small = resize(frames, size, antialias)
    if color_order == "bgr":
        small = small[..., ::-1]
    if channels_last:
        return torch.from_numpy(np.ascontiguousarray(small)).float().div_(255).permute(0, 3, 1, 2)
    out = np.empty((len(small), 3, *small.shape[1:3]), np.float32)
    np.divide(small.transpose(0, 3, 1, 2), np.float32(255), out=out)  # no copy in between
    return torch.from_numpy(out)


def boxes_to_z_where(boxes: np.ndarray, native: Size) -> np.ndarray:
    """Boxes in pixels (n, 4) -> z_where (n, 4), float32.

    >>> boxes_to_z_where(np.array([[40, 0, 80, 105]]), (210, 160))
    array([[ 0.5,  0.5,  0. , -0.5]], dtype=float32)
    """
    boxes, scale = _fours(boxes, "boxes (x, y, w, h)"), _scale(native)
    size = boxes[..., 2:] / scale
    return np.concatenate([size, 2 * boxes[..., :2] / scale + size - 1], axis=-1)


def z_where_to_boxes(z_where: np.ndarray, native: Size) -> np.ndarray:
    """z_where (n, 4) -> boxes in pixels (n, 4), float32; not cut off at the frame's border.

    >>> z_where_to_boxes(np.array([[0.5, 0.5, 0.0, -0.5]]), (210, 160))
    array([[ 40.,   0.,  80., 105.]], dtype=float32)
    """
    z_where, scale = _fours(z_where, "z_where (w, h, x, y)"), _scale(native)
    size = z_where[..., :2] * scale
    return np.concatenate([((z_where[..., 2:] + 1) * scale - size) / 2, size], axis=-1)


def shown_rows(rows: tuple[int, int], native: Size) -> tuple[int, int]:
    """The rows of a frame that a network sees: the first one, and the one after the last.

    Args:
        rows: ``model.rows``; (0, 0) stands for all.
        native: H, W of the frame.

    >>> shown_rows((0, 0), (210, 160)), shown_rows((34, 194), (210, 160))
    ((0, 210), (34, 194))

    Raises:
        ValueError: the frame does not have these rows.
    """
    top, bottom = rows if tuple(rows) != (0, 0) else (0, native[0])
    if not 0 <= top < bottom <= native[0]:
        raise ValueError(
            f"model.rows: expected the first row and the one after the last of 0 to {native[0]}, got {list(rows)}."
        )
    return top, bottom


def from_rows(z_where: np.ndarray, rows: tuple[int, int], native: Size) -> np.ndarray:
    """z_where of a network that sees some rows only, converted to the whole frame: (n, 4) float32.

    Args:
        z_where: (n, 4), relative to the rows.
        rows: see :func:`shown_rows`.
        native: H, W of the frame.

    >>> from_rows(np.array([[0.5, 0.5, 0.0, 0.0]]), (0, 105), (210, 160))
    array([[ 0.5 ,  0.25,  0.  , -0.5 ]], dtype=float32)
    """
    z_where = _fours(z_where, "z_where (w, h, x, y)")
    scale, shift = _rows_to_frame(tuple(rows), tuple(native))
    return z_where if scale is None else z_where * scale + shift


@functools.lru_cache(maxsize=64)
def _rows_to_frame(rows: tuple[int, int], native: Size) -> tuple[np.ndarray | None, np.ndarray]:
    """Factor and summand (4,) float32 of z_where; None where the rows are the whole frame."""
    top, bottom = shown_rows(rows, native)
    part, shift = (bottom - top) / native[0], np.array([0, 0, 0, (top + bottom) / native[0] - 1], np.float32)
    return None if part == 1 else np.array([1, part, 1, part], np.float32), shift


def _fours(values: np.ndarray, what: str) -> np.ndarray:
    """``values`` as float32, if they are (..., 4)."""
    values = np.asarray(values, np.float32)
    if values.ndim == 0 or values.shape[-1] != 4:
        raise ValueError(f"expected {what} of shape (n, 4), got {values.shape}.")
    return values


def _scale(native: Size) -> np.ndarray:
    """W, H of a frame as float32, in the order of x, y."""
    height, width = _require_size(native)
    return np.array([width, height], np.float32)


def _require_size(size: Size) -> Size:
    """``size`` as two integers, if it is H, W."""
    try:
        height, width = size
        if height == int(height) > 0 and width == int(width) > 0:
            return int(height), int(width)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"expected a size as (H, W), two whole numbers over 0, got {size!r}.")
