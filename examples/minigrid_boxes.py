"""The true boxes of MiniGrid's Dynamic-Obstacles, read from its state: create_dataset.py --boxes uses them for figures.

Of each object it is the box of what is drawn, as minigrid/core/grid.py and world_object.py draw it.
"""

from __future__ import annotations

from typing import Any

RADIUS = 0.31  # of a ball, in tiles
ARROW = (0.12, 0.19, 0.87, 0.81)  # left, top, right and bottom of the agent that looks to the right, in tiles


def boxes(env: Any) -> list[tuple[str, float, float, float, float]]:
    """``(name, x, y, w, h)`` of the agent and of each ball, in pixels of the frame that ``env`` renders."""
    tile = env.tile_size
    found = [("Agent", env.agent_pos, arrow(env.agent_dir))]
    round_ = (0.5 - RADIUS, 0.5 - RADIUS, 0.5 + RADIUS, 0.5 + RADIUS)
    found += [("Ball", ball.cur_pos, round_) for ball in env.obstacles]
    return [
        (name, (x + left) * tile, (y + top) * tile, (right - left) * tile, (bottom - top) * tile)
        for name, (x, y), (left, top, right, bottom) in found
    ]


def arrow(direction: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the agent that looks to the right (0), down, to the left, or up (3), in tiles."""
    left, top, right, bottom = ARROW
    for _ in range(direction):  # a quarter turn about the middle of the tile
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return left, top, right, bottom
