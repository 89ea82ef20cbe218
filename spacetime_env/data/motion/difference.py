"""Motion as what differs from the background: the published way from a frame to motion boxes.

The algorithm of SPACE-Time (Delfosse et al. 2022, arXiv 2211.09771) on native frames: the mask is where the absolute
difference of a frame to the mode background is over its own mean, after closing. Each connected part of the mask has a
box.

With ``components="color"`` each connected part of one colour is an object of its own, so that a ball that touches a
paddle is still found. On the shipped validation and test splits of Pong (visible RAM boxes, IoU 0.5) F1 goes
from 0.995 to 0.999 and the recall of the ball from 0.973 to 0.998.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from spacetime_env.config import ConfigError, MotionConfig
from spacetime_env.data.motion.background import packed

NO_BOXES = np.zeros((0, 4), np.float32)


def difference(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The absolute difference of two (H, W, 3) uint8 images, summed over the channels: (H, W) uint16, 0 to 765."""
    if frame.shape != background.shape:
        raise ValueError(f"the frame is {frame.shape}, the background {background.shape}; expected the same.")
    apart: np.ndarray = cv2.absdiff(frame, background)
    return np.add(apart[..., 0], apart[..., 1], dtype=np.uint16) + apart[..., 2]


def close(mask: np.ndarray, side: int) -> np.ndarray:
    """Closing of a mask, (H, W) bool, with a square: fills holes, and joins parts less than ``side`` pixels apart.

    Raises:
        ConfigError: ``side`` is not odd.
    """
    if side < 1 or side % 2 == 0:
        raise ConfigError(f"motion.closing: expected an odd number (an even one shifts boxes), got {side}.")
    if side == 1:
        return mask
    kernel = np.ones((side, side), np.uint8)
    # With a margin, since OpenCV would otherwise extend parts near the frame's edge up to the edge.
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    return cv2.morphologyEx(wide, cv2.MORPH_CLOSE, kernel)[side:-side, side:-side] > 0


def motion_mask(frame: np.ndarray, background: np.ndarray, config: MotionConfig) -> np.ndarray:
    """The motion mask: where the difference to the background is over its mean, after closing.

    Args:
        frame, background: (H, W, 3) uint8.

    Returns:
        (H, W) bool. All False if the frame is the background.
    """
    apart = difference(frame, background)
    return close(apart > apart.mean(), config.closing)


def motion_boxes(mask: np.ndarray, config: MotionConfig, frame: np.ndarray | None = None) -> np.ndarray:
    """A box around each connected part of the mask (8 neighbours), largest first.

    Args:
        mask: (H, W) bool.
        frame: (H, W, 3) uint8; needed if ``config.components`` is ``"color"``. The mask should then be without
            closing, which is done for each colour.

    Returns:
        (n, 4) float32 ``x, y, w, h`` in pixels of the mask.
    """
    if config.components == "color":
        if frame is None or frame.shape[:2] != mask.shape:
            raise ValueError("motion.components=color needs the frame that the mask was made from.")
        parts = _color_parts(mask, frame, config.closing)
    else:
        parts = [mask]
    boxes = np.concatenate([_part_boxes(part) for part in parts]) if parts else NO_BOXES
    area = boxes[:, 2] * boxes[:, 3]
    keep = (area >= config.min_area) & (area <= config.max_area * mask.size)
    boxes, area = boxes[keep], area[keep]
    # Boxes of equal area are ordered by position, so that the order does not depend on how the parts were found.
    return boxes[np.lexsort((boxes[:, 0], boxes[:, 1], -area))]


def motion_of(
    frame: np.ndarray, background: np.ndarray, config: MotionConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and boxes of one frame, see :func:`motion_mask` and :func:`motion_boxes`.

    Returns:
        (H, W) bool, and (n, 4) float32 ``x, y, w, h``.
    """
    apart = difference(frame, background)
    raw = apart > apart.mean()
    mask = close(raw, config.closing)
    return mask, motion_boxes(raw if config.components == "color" else mask, config, frame)


def _color_parts(mask: np.ndarray, frame: np.ndarray, side: int) -> Sequence[np.ndarray]:
    colors = np.where(mask, packed(frame), -1)
    return [close(colors == color, side) for color in np.unique(colors[mask])]


def _part_boxes(mask: np.ndarray) -> np.ndarray:
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return NO_BOXES
    # A contour with a parent is the edge of a hole. The contour of a part has no parent, also inside of a hole.
    outer = [cv2.boundingRect(c) for c, (*_, parent) in zip(contours, tree[0], strict=True) if parent < 0]
    return np.array(outer, np.float32)
