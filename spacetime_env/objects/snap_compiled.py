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
        background: (h, w, 3) uint8.
        top: the row of the frame that is the first one of ``pixels``.
    """
    result = np.empty_like(boxes)
    for i in range(len(boxes)):
        picture = pixels[frame[i]]
        x0, y0 = int(boxes[i, 0]), int(boxes[i, 1]) - top
        x1, y1 = x0 + int(boxes[i, 2]), y0 + int(boxes[i, 3])
        full = np.empty((4, 4), np.bool_)  # of each side: the two lines outside, its own, and the one inside
        for k in range(4):
            out = 2 - k
            full[0, k] = _drawn(picture, colors, background, x0 - out, x0 - out + 1, y0, y1)
            full[1, k] = _drawn(picture, colors, background, x1 - 1 + out, x1 + out, y0, y1)
            full[2, k] = _drawn(picture, colors, background, x0, x1, y0 - out, y0 - out + 1)
            full[3, k] = _drawn(picture, colors, background, x0, x1, y1 - 1 + out, y1 + out)
        left, right, up, down = _out(full[0]), _out(full[1]), _out(full[2]), _out(full[3])
        if x1 + right <= x0 - left:
            left = right = 0
        if y1 + down <= y0 - up:
            up = down = 0
        result[i, 0], result[i, 1] = x0 - left, y0 - up + top
        result[i, 2], result[i, 3] = x1 - x0 + right + left, y1 - y0 + down + up
    return result


@compiled
def _drawn(picture, colors, background, x0, x1, y0, y1):  # type: ignore[no-untyped-def]
    """Whether a part of a picture has a pixel that is not background."""
    for y in range(max(y0, 0), min(y1, background.shape[0])):
        for x in range(max(x0, 0), min(x1, background.shape[1])):
            for c in range(3):
                value = picture[y, x, c] if picture.shape[2] == 3 else colors[picture[y, x, 0], c]
                if value != background[y, x, c]:
                    return True
    return False


@compiled
def _out(full):  # type: ignore[no-untyped-def]
    """By how much an edge moves outwards: -1, 0 or 1."""
    if full[2]:
        return 1 if full[1] and not full[0] else 0
    return -1 if full[3] else 0
