"""What is learned from many frames about parts: which shapes move, and which colours belong together."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from spacetime_env.config import RarityConfig
from spacetime_env.data.motion.parts import Parts, Shape


class Shapes:
    """Every shape that was seen: how often, how often moving, how often and where it was taken for an object.

    A pellet is many times on the screen and never moves; a paddle that parks at a wall is not rare there, and
    moves elsewhere. Both are told from the shape.
    """

    def __init__(self, config: RarityConfig) -> None:
        self._config = config
        self._seen: Counter[Shape] = Counter()
        self._moving: Counter[Shape] = Counter()
        self._accepted: Counter[Shape] = Counter()
        self._places: defaultdict[Shape, set[tuple[int, int]]] = defaultdict(set)

    def learn(self, parts: Parts, usable: np.ndarray, accepted: np.ndarray, steadiness: np.ndarray) -> None:
        """Take note of a frame's parts.

        Args:
            usable: (n,) bool, parts of a size that an object can have.
            accepted: (n,) bool, parts that were taken for objects.
            steadiness: (n,) 0 to 1, for how much of the time around this frame the part was there, just so.
        """
        for i in np.flatnonzero(usable).tolist():
            shape = parts.shape(i)
            self._seen[shape] += 1
            self._moving[shape] += bool(steadiness[i] < self._config.moves)
            if accepted[i]:
                self._accepted[shape] += 1
                x, y, _, _ = parts.boxes[i].tolist()
                self._places[shape].add((x, y))

    def still(self, shape: Shape) -> bool:
        """Whether it is a thing that stays where it is until it goes away."""
        seen = self._seen[shape]
        return seen >= self._config.still_count and self._moving[shape] < self._config.still * seen

    def parked(self, shape: Shape) -> bool:
        """Whether it is an object even where it does not move, since it was one at several places."""
        config = self._config
        often = self._accepted[shape] >= config.parked_count
        about = len(self._places[shape]) >= config.parked_places
        return often and about and self._moving[shape] >= config.still * self._seen[shape]


class Touching:
    """Which colours belong together: of a colour's area, how much lies in parts that are near another one's."""

    def __init__(self) -> None:
        self._area = np.zeros(256)
        self._near = np.zeros((256, 256))

    def learn(self, parts: Parts, accepted: np.ndarray, pairs: list[tuple[int, int]]) -> None:
        """Take note of a frame.

        Args:
            accepted: (m,) indices of the parts that were taken for objects.
            pairs: of these, those that are near each other.
        """
        np.add.at(self._area, parts.colors[accepted], parts.areas[accepted])
        beside: defaultdict[int, set[int]] = defaultdict(set)
        for i, j in pairs:
            beside[i].add(int(parts.colors[j]))
            beside[j].add(int(parts.colors[i]))
        for i, colors in beside.items():
            for color in colors:
                self._near[parts.colors[i], color] += parts.areas[i]

    def together(self, color: int, other: int) -> float:
        """0 to 1: how often the one that depends more on the other is near it."""
        one = self._near[color, other] / max(self._area[color], 1)
        two = self._near[other, color] / max(self._area[other], 1)
        return float(max(one, two))
