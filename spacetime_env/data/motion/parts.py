"""Parts: connected pixels of one colour. Atari draws an object in one colour, or in a few that touch.

Colours are palette ids. Whether a part moves is decided in :mod:`spacetime_env.data.motion.rarity`: by how much of it
is foreground, which pixels adjoin it, and which parts are near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Shape = tuple[int, int, int, bytes]  # palette id, width, height, bitmap; equal for parts that look the same


@dataclass(frozen=True)
class Parts:
    """The n parts of a frame.

    Attributes:
        colors: (n,) palette ids.
        boxes: (n, 4) int, x, y, w, h in pixels.
        areas: (n,) pixels.
        labels: (H, W) int32: i + 1 in part i, 0 outside of all parts.
    """

    colors: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of (H, W) values over each part's pixels: (n,) float."""
        total = np.bincount(self.labels.ravel(), values.ravel(), len(self) + 1)[1:]
        return total / np.maximum(self.areas, 1)

    def bitmap(self, i: int) -> np.ndarray:
        """The pixels of part ``i`` in its box: (h, w) bool."""
        x, y, w, h = self.boxes[i]
        bitmap: np.ndarray = self.labels[y : y + h, x : x + w] == i + 1
        return bitmap

    def shape(self, i: int) -> Shape:
        """The shape of part ``i``, which does not depend on its place."""
        _, _, w, h = self.boxes[i].tolist()
        return int(self.colors[i]), w, h, np.packbits(self.bitmap(i)).tobytes()


def find_parts(ids: np.ndarray, where: np.ndarray) -> Parts:
    """All connected parts (8 neighbours) of one colour.

    Args:
        ids: (H, W) uint8 palette ids.
        where: (H, W) bool; the other pixels belong to no part, and separate parts.
    """
    labels = np.zeros(ids.shape, np.int32)
    colors: list[int] = []
    found = []
    for color in np.flatnonzero(np.bincount(ids[where], minlength=256)).tolist():
        mask = ((ids == color) & where).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        region = np.s_[y : y + h, x : x + w]
        count, local, stats, _ = cv2.connectedComponentsWithStats(mask[region], connectivity=8, ltype=cv2.CV_32S)
        labels[region] += np.where(local > 0, local + len(colors), 0)
        found.append(stats[1:] + np.array([x, y, 0, 0, 0]))
        colors += [color] * (count - 1)
    stats = np.concatenate(found) if found else np.zeros((0, 5), np.int64)
    return Parts(np.array(colors, np.int64), stats[:, :4], stats[:, 4], labels)


def open_edge(parts: Parts, ids: np.ndarray) -> np.ndarray:
    """The fraction of each part's outline that adjoins pixels of its own colour outside of all parts: (n,) 0 to 1.

    It is large for a hole through which the background shows, and small for an object.

    Args:
        ids: (H, W) uint8 palette ids.
    """
    outline, opening = np.zeros(len(parts) + 1), np.zeros(len(parts) + 1)
    height, width = ids.shape
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        here = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        there = np.s_[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
        part, beside = parts.labels[here], parts.labels[there]
        edge = (part > 0) & (part != beside)
        owner = part[edge]
        outline += np.bincount(owner, minlength=len(outline))
        same = (beside[edge] == 0) & (ids[here][edge] == ids[there][edge])
        opening += np.bincount(owner[same], minlength=len(outline))
    return opening[1:] / np.maximum(outline[1:], 1)


def neighbours(parts: Parts, chosen: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """Pairs i < j of parts that are near each other: two of their pixels are at most ``gap`` apart in x and in y.

    Args:
        chosen: (m,) indices of the parts that are compared, in ascending order.
        gap: pixels; 1: parts that touch by an edge or a corner.
    """
    x, y, w, h = parts.boxes[chosen].T
    near = (x[:, None] - gap < (x + w)[None]) & (x[None] - gap < (x + w)[:, None])
    near &= (y[:, None] - gap < (y + h)[None]) & (y[None] - gap < (y + h)[:, None])
    kernel = np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)
    pairs = []
    for a, i in enumerate(chosen.tolist()):
        others = chosen[a + 1 :][near[a, a + 1 :]]
        if len(others):
            top, left = max(int(y[a]) - gap, 0), max(int(x[a]) - gap, 0)
            around = parts.labels[top : y[a] + h[a] + gap, left : x[a] + w[a] + gap]
            reach = cv2.dilate((around == i + 1).view(np.uint8), kernel) > 0
            reached = np.zeros(len(parts) + 1, bool)
            reached[around[reach]] = True
            pairs += [(i, j) for j in others[reached[others + 1]].tolist()]
    return pairs


def join(members: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The groups of ``members`` that ``pairs`` connect, in the order of their first members."""
    parent = {i: i for i in members}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, j in pairs:
        parent[root(j)] = root(i)
    groups: dict[int, list[int]] = {}
    for i in members:
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())
