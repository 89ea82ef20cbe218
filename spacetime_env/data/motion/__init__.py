"""From frames to motion targets, without labels: where something moves, and how large it is.

=============  =========================================================================================
background     how often each colour occurs at each pixel; the mode or median image
difference     the published way: what differs from the background (``motion.foreground: difference``)
steadiness     for how much of the time around a frame its pixels had their colours
parts          connected pixels of one colour
shapes         what many frames tell about parts: which shapes move, which colours belong together
rarity         the stages on parts, in order (``motion.foreground: rarity``)
cells          boxes as z_pres and z_where of the grid's cells
=============  =========================================================================================

Every stage is a function or a small class on plain arrays. Native frames, palette ids or RGB uint8.
"""

from spacetime_env.data.motion.background import ColorCounts, background_of
from spacetime_env.data.motion.cells import targets
from spacetime_env.data.motion.difference import (
    NO_BOXES,
    close,
    difference,
    motion_boxes,
    motion_mask,
    motion_of,
)
from spacetime_env.data.motion.rarity import RareMotion, Trace, View
from spacetime_env.data.motion.steadiness import LEVELS, STRIDE, Window

STAGES = 2  # counts up when a change gives other masks or boxes: saved ones are then made again

__all__ = [
    "LEVELS",
    "NO_BOXES",
    "STAGES",
    "STRIDE",
    "ColorCounts",
    "RareMotion",
    "Trace",
    "View",
    "Window",
    "background_of",
    "close",
    "difference",
    "motion_boxes",
    "motion_mask",
    "motion_of",
    "targets",
]
