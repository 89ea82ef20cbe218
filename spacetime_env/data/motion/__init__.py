"""From frames to motion targets, without labels: boxes and masks of what moves.

=============  =========================================================================================
background     how often each colour occurs at each pixel; the mode or median image
difference     motion as pixels that differ from the background (published, ``motion.foreground: difference``)
steadiness     in which fraction of the frames around a frame its pixels have the same colours
parts          connected pixels of one colour
shapes         statistics of parts over many frames: which shapes move, which colours belong together
rarity         motion as parts with rare colours, in stages (``motion.foreground: rarity``)
cells          boxes as z_pres and z_where of the grid's cells
=============  =========================================================================================

Every stage is a function or a small class on arrays. Frames are native, as palette ids or as RGB uint8.
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

STAGES = 5  # a version: raise it when a change gives other masks or boxes, and saved ones are computed again

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
