"""The rule of :mod:`spacetime_env.objects.snap`, compiled."""

from __future__ import annotations

import numpy as np

from spacetime_env.compiled import compiled


@compiled
def snap(boxes, frame, pixels, colors, background, top):  # type: ignore[no-untyped-def]
    """As :func:`spacetime_env.objects.snap.snap`.

    Args:
        boxes: (n, 4) float32.
        frame: (n,) int64.
        pixels: (B, h, w, 3) uint8 RGB, or (B, h, w, 1) numbers of ``colors``.
        colors: (256, 3) uint8.
        background: (h, w) int32, see :func:`spacetime_env.objects.snap.packed`.
        top: the row of the frame that is the first one of ``pixels``.
    """
    result, values = np.empty_like(boxes), np.empty(len(colors), np.int32)
    for k in range(len(colors)):
        values[k] = _packed(colors[k])
    for i in range(len(boxes)):
        picture = pixels[frame[i]]
        x0, y0 = int(boxes[i, 0]), int(boxes[i, 1]) - top
        x1, y1 = x0 + int(boxes[i, 2]), y0 + int(boxes[i, 3])
        left = _across(picture, values, background, x0, -1, y0, y1)
        right = _across(picture, values, background, x1 - 1, 1, y0, y1)
        up = _down(picture, values, background, y0, -1, x0, x1)
        down = _down(picture, values, background, y1 - 1, 1, x0, x1)
        if x1 + right <= x0 - left:
            left = right = 0
        if y1 + down <= y0 - up:
            up = down = 0
        result[i, 0], result[i, 1] = x0 - left, y0 - up + top
        result[i, 2], result[i, 3] = x1 - x0 + right + left, y1 - y0 + down + up
    return result


@compiled
def _packed(color):  # type: ignore[no-untyped-def]
    return np.int32(color[0]) << 16 | np.int32(color[1]) << 8 | np.int32(color[2])


@compiled
def _drawn(picture, values, background, x0, x1, y0, y1):  # type: ignore[no-untyped-def]
    """Whether a part of a picture has a pixel that is not background."""
    for y in range(max(y0, 0), min(y1, background.shape[0])):
        for x in range(max(x0, 0), min(x1, background.shape[1])):
            value = _packed(picture[y, x]) if picture.shape[2] == 3 else values[picture[y, x, 0]]
            if value != background[y, x]:
                return True
    return False


@compiled
def _across(picture, values, background, x, out, y0, y1):  # type: ignore[no-untyped-def]
    """By how much the left or the right edge moves outwards: -1, 0 or 1. Its column is ``x``, ``x + out`` the next."""
    if not _drawn(picture, values, background, x, x + 1, y0, y1):
        return -1 if _drawn(picture, values, background, x - out, x - out + 1, y0, y1) else 0
    near, far = x + out, x + 2 * out
    if not _drawn(picture, values, background, near, near + 1, y0, y1):
        return 0
    return 0 if _drawn(picture, values, background, far, far + 1, y0, y1) else 1


@compiled
def _down(picture, values, background, y, out, x0, x1):  # type: ignore[no-untyped-def]
    """As :func:`_across`, of the upper or the lower edge, whose row is ``y``."""
    if not _drawn(picture, values, background, x0, x1, y, y + 1):
        return -1 if _drawn(picture, values, background, x0, x1, y - out, y - out + 1) else 0
    near, far = y + out, y + 2 * out
    if not _drawn(picture, values, background, x0, x1, near, near + 1):
        return 0
    return 0 if _drawn(picture, values, background, x0, x1, far, far + 1) else 1
