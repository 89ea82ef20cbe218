"""The screen as the emulator holds it: one byte for each pixel, the number of its colour. A third of RGB's memory.

What an RGB frame costs, a tenth of a step's time to make and three bytes a pixel to compare and copy, a model that sees
its game pixel by pixel need not pay: of the few cells that changed it looks the colours up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spacetime_env.compiled import INSTALLED

loops: Any = None
if INSTALLED:
    from spacetime_env.models import screens_compiled

    loops = screens_compiled

# The 128 colours of an NTSC console, as ALE shows them (measured: 83 of its games have these), of the even numbers;
# odd ones are never on a screen. Games of consoles with other colours are seen as RGB.
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
    """A frame. H x W as the game has it."""

    ids: np.ndarray  # (H, W) uint8: the number of each pixel's colour
    before: np.ndarray | None = None  # (H, W) uint8: of the emulator's frame before, for a model that sees both


def ntsc() -> np.ndarray:
    """(256, 3) uint8 RGB: the colour of each number, black where there is none."""
    colors = np.zeros((256, 3), np.uint8)
    colors[::2] = np.frombuffer(bytes.fromhex("".join(_NTSC)), np.uint8).reshape(128, 3)
    return colors


class Palette:
    """Colours, and the mixtures of two frames, which get numbers of their own.

    Two frames are seen at once as the brighter value of each place and channel, so a mixture may be a colour that the
    console has not.
    """

    def __init__(self) -> None:
        self.colors = ntsc()
        self._numbers = {tuple(color): number for number, color in enumerate(self.colors.tolist()) if number % 2 == 0}
        self._free = list(range(1, 254, 2))  # 255 stays what no pixel is
        self._mixed = np.full((256, 256), -1, np.int16)

    def flat(self, ids: np.ndarray, before: np.ndarray) -> np.ndarray:
        """(H, W) uint8 numbers of two frames -> (H, W) uint8, of the brighter of both at each place."""
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
        flat = one.copy()
        flat[places] = self._mixed[pairs]
        return flat.reshape(ids.shape)

    def _add(self, one: int, other: int) -> None:
        self._mixed[one, other] = self._mix(int(one), int(other))

    def _mix(self, one: int, other: int) -> int:
        color = tuple(np.maximum(self.colors[one], self.colors[other]).tolist())
        if color not in self._numbers:
            if not self._free:  # 127 mixtures: no game has nearly so many
                return one
            number = self._numbers[color] = self._free.pop(0)
            self.colors[number] = color
        return self._numbers[color]
