"""The fixed background that a network knows, where it sees the game's own pixels."""

from __future__ import annotations

from spacetime_env.frames import shown_rows
from spacetime_env.objects.snap import Backdrop, packed
from spacetime_env.space import Space
from spacetime_env.space.background import FixedBackground
from spacetime_env.space.sparse import as_bytes


def sees_native(space: Space, native: tuple[int, int]) -> bool:
    """Whether a network sees the pixels of frames of this size (H, W) as they are: none is resized."""
    top, bottom = shown_rows(space.config.rows, native)
    return space.config.frame_size == (bottom - top, native[1])


def native_backdrop(space: Space, native: tuple[int, int]) -> Backdrop | None:
    """The background in native pixels; None where the network resizes frames or has no fixed one."""
    if not sees_native(space, native) or not isinstance(space.background, FixedBackground):
        return None
    pixels = as_bytes(space.background.image)
    rgb = pixels[..., ::-1] if space.config.color_order == "bgr" else pixels
    return Backdrop(packed(rgb), shown_rows(space.config.rows, native)[0])
