"""Statistics of parts over many frames: which shapes move, and which colours belong together."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict

import numpy as np

from spacetime_env.config import RarityConfig
from spacetime_env.data.motion.parts import Parts, Shape

SAME_SIZE = 2  # pixels


class Shapes:
    """Of every shape: how often it occurred, how often it moved, and how often and where it was accepted as an object.

    A pellet occurs many times and never moves. A paddle that rests at a wall is not rare there, but it moves elsewhere.
    Both are recognised by their shapes.
    """

    def __init__(self, config: RarityConfig) -> None:
        self._config = config
        self._seen: Counter[Shape] = Counter()
        self._moving: Counter[Shape] = Counter()
        self._accepted: Counter[Shape] = Counter()
        self._places: defaultdict[Shape, set[tuple[int, int]]] = defaultdict(set)

    def learn(self, parts: Parts, usable: np.ndarray, accepted: np.ndarray, steadiness: np.ndarray) -> None:
        """Add the parts of a frame.

        Args:
            usable: (n,) bool, parts of a size that an object can have.
            accepted: (n,) bool, parts that were accepted as objects.
            steadiness: (n,) 0 to 1, in which fraction of the frames around this one the part is at the same place.
        """
        self.__dict__.pop("_sizes", None)
        for i in np.flatnonzero(usable).tolist():
            shape = parts.shape(i)
            self._seen[shape] += 1
            self._moving[shape] += bool(steadiness[i] < self._config.moves)
            if accepted[i]:
                self._accepted[shape] += 1
                x, y, _, _ = parts.boxes[i].tolist()
                self._places[shape].add((x, y))

    def still(self, shape: Shape) -> bool:
        """Whether the shape occurred often and hardly ever moved."""
        seen = self._seen[shape]
        return seen >= self._config.still_count and self._moving[shape] < self._config.still * seen

    def parked(self, shape: Shape) -> bool:
        """Whether the shape is an object also where it does not move, since it was accepted at several places."""
        config = self._config
        often = self._accepted[shape] >= config.parked_count
        about = len(self._places[shape]) >= config.parked_places
        return often and about and self._moving[shape] >= config.still * self._seen[shape]


    def known_size(self, color: int, width: int, height: int) -> bool:
        """Whether an object of this colour had this size, to SAME_SIZE pixels, at several places."""
        return any(
            abs(width - w) <= SAME_SIZE and abs(height - h) <= SAME_SIZE for w, h in self._sizes.get(color, ())
        )

    @functools.cached_property
    def _sizes(self) -> dict[int, set[tuple[int, int]]]:
        """Colour -> widths and heights of the shapes that :meth:`parked` knows."""
        found: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        for shape in self._accepted:
            if self.parked(shape):
                found[shape[0]].add(shape[1:3])
        return found


class Touching:
    """Which colours belong together: the fraction of a colour's area in parts that are near another colour.

    And which shapes belong to a colour, since they are hardly ever seen without it.
    """

    def __init__(self, config: RarityConfig) -> None:
        self._config = config
        self._seen: Counter[Shape] = Counter()
        self._beside: Counter[tuple[Shape, int]] = Counter()
        self._area = np.zeros(256)
        self._near = np.zeros((256, 256))

    def learn(self, parts: Parts, accepted: np.ndarray, pairs: list[tuple[int, int]]) -> None:
        """Add the parts of a frame.

        Args:
            accepted: (m,) indices of the parts that were accepted as objects.
            pairs: the pairs of these that are near each other.
        """
        np.add.at(self._area, parts.colors[accepted], parts.areas[accepted])
        beside: defaultdict[int, set[int]] = defaultdict(set)
        for i, j in pairs:
            beside[i].add(int(parts.colors[j]))
            beside[j].add(int(parts.colors[i]))
        for i, colors in beside.items():
            for color in colors:
                self._near[parts.colors[i], color] += parts.areas[i]
        for i in accepted.tolist():
            shape = parts.shape(i)
            self._seen[shape] += 1
            for color in beside[i]:
                self._beside[shape, color] += 1

    def beside(self, shape: Shape, color: int) -> bool:
        """Whether the shape is hardly ever seen without the colour near it."""
        seen = self._seen[shape]
        return seen >= self._config.beside_count and self._beside[shape, color] >= self._config.beside * seen

    def together(self, color: int, other: int) -> float:
        """The fraction of the area of one of the colours that is near the other, 0 to 1: the larger of the two."""
        one = self._near[color, other] / max(self._area[color], 1)
        two = self._near[other, color] / max(self._area[other], 1)
        return float(max(one, two))
