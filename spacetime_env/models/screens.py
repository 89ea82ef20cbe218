"""The screen as the emulator holds it: one byte for each pixel, the number of its colour in a palette.

A screen has a third of the bytes of an RGB frame, so it is compared and copied faster, and the emulator does not spend
a tenth of each step on making an RGB frame. A model that sees a game at its own size can take screens. It looks up the
colours of the few cells that changed only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spacetime_env.compiled import INSTALLED

loops: Any = None
if INSTALLED:
    from spacetime_env.models import screens_compiled

    loops = screens_compiled

# The 128 colours of an NTSC console as ALE shows them, in order of their numbers 0, 2, 4 ... 254. No screen has odd
# numbers. 83 of ALE's games have these colours (measured). The others are seen in RGB.
_NTSC = (
    "0000004a4a4a6f6f6f8e8e8eaaaaaac0c0c0d6d6d6ececec48480069690f86861da2a22abbbb35d2d240e8e84afcfc547c2c00904811"
    "a26221b47a30c3903dd2a44adfb755ecc860901c00a33915b55328c66c3ad5824ae39759f0aa67fcbc74940000a71a1ab83232c84848"
    "d65c5ce46f6ff08080fc909084006497197aa8308fb846a2c659b3d46cc3e07cd2ec8ce050008468199a7d30ad9246c0a459d0b56ce0"
    "c57ceed48cfc140090331aa34e32b56848c67f5cd5956fe3a980f0bc90fc000094181aa72d32b84248c8545cd6656fe47580f08490fc"
    "001c88183b9d2d57b04272c2548ad265a0e175b5ef84c8fc0030641850802d6d984288b054a0c565b7d975cceb84e0fc00403018624e"
    "2d8169429e8254b89965d1ae75e7c284fcd40044001a661a32843248a0485cba5c6fd26f80e88090fc90143c00355f18527e2d6e9c42"
    "87b7549ed065b4e775c8fc843038005059166d762b88923ea0ab4fb7c25fccd86ee0ec7c482c00694d14866a26a28638bb9f47d2b656"
    "e8cc63fce070"
)


class Screen(NamedTuple):
    """A frame of a game in palette numbers, H x W in its native size."""

    ids: np.ndarray  # (H, W) uint8: the number of each pixel's colour
    before: np.ndarray | None = None  # (H, W) uint8: the emulator's frame before, for a model that looks at both


def ntsc_colors() -> np.ndarray:
    """(256, 3) uint8 RGB: the colour of each even number; black for odd ones."""
    colors = np.zeros((256, 3), np.uint8)
    colors[::2] = np.frombuffer(bytes.fromhex("".join(_NTSC)), np.uint8).reshape(128, 3)
    return colors


class PaletteFullError(RuntimeError):
    """A :class:`Palette` has no number left for another mixture."""


class Palette:
    """The console's colours, and further ones for two frames that are seen at once.

    A model that looks at two frames sees the brighter value of each pixel and channel. So a pixel may have a colour
    that the console does not have. Such a mixture gets one of the odd numbers.

    Attributes:
        colors: (256, 3) uint8 RGB, the colour of each number; black where there is none yet.
    """

    def __init__(self) -> None:
        self.colors = ntsc_colors()
        self._numbers = {tuple(color): number for number, color in enumerate(self.colors.tolist()) if number % 2 == 0}
        self._free = list(range(1, 254, 2))  # without 255: SparseEncoder takes it as the number that no pixel has
        self._mixed = np.full((256, 256), -1, np.int16)  # the number of each pair's mixture, -1: not known yet

    def brighter(self, ids: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Two frames seen at once: the brighter value of each pixel and channel.

        Args:
            ids, before: (H, W) uint8 palette numbers of the frames.

        Returns:
            (H, W) uint8 numbers of :attr:`colors`.

        Raises:
            PaletteFullError: they have a mixture that is new, after 127 others.
        """
        one, other = ids.ravel(), before.ravel()
        if loops is not None:
            out, word = one.copy(), np.uint64 if len(one) % 8 == 0 else np.uint8
            words = one.view(word), other.view(word)
            while (missing := loops.mix(one, other, *words, self._mixed, out)) >= 0:
                self._add(one[missing], other[missing])
            return out.reshape(ids.shape)
        places = (one != other).nonzero()[0]
        if not len(places):
            return ids
        pairs = one[places], other[places]
        if (new := self._mixed[pairs] < 0).any():
            for pair in set(zip(pairs[0][new].tolist(), pairs[1][new].tolist(), strict=True)):
                self._add(*pair)
        mixed = one.copy()
        mixed[places] = self._mixed[pairs]
        return mixed.reshape(ids.shape)

    def _add(self, one: int, other: int) -> None:
        """Remember the number of a pair's mixture."""
        self._mixed[one, other] = self._mixture(int(one), int(other))

    def _mixture(self, one: int, other: int) -> int:
        """The number of a pair's mixture; a new number if its colour has none."""
        color = tuple(np.maximum(self.colors[one], self.colors[other]).tolist())
        if color not in self._numbers:
            if not self._free:
                raise PaletteFullError
            number = self._numbers[color] = self._free.pop(0)
            self.colors[number] = color
        return self._numbers[color]
