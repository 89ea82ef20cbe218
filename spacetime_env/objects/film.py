"""A film of pictures, written as a GIF."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

STEPS_PER_SECOND = 15  # a step is four of the game's 60 frames a second
GIF_COLOURS = 64


class Film:
    """Pictures of one size that become a GIF. Held with few colours: a step takes 130 kB, not 400."""

    def __init__(self) -> None:
        self.pictures: list[Image.Image] = []

    def add(self, picture: np.ndarray) -> None:
        """Take (H, W, 3) uint8 RGB."""
        self.pictures.append(Image.fromarray(picture).quantize(GIF_COLOURS, dither=Image.Dither.NONE))

    def save(self, path: Path) -> Path:
        """Write the GIF: whole or not at all."""
        from spacetime_env.files import write_atomically

        buffer = io.BytesIO()
        first, *rest = self.pictures
        duration = 1000 // STEPS_PER_SECOND
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
        write_atomically(path, buffer.getvalue())
        return path
