"""SPACE and SPACE-Time, the network that finds objects in frames, and the losses it is trained with.

In: frames as float tensors (B, 3, H, W) in [0, 1]. Out: the :class:`Latents` of every cell of a grid, or the
:class:`Objects` of the present cells only. This room knows tensors, no environments and no model folders.

=====================  ============================================================================
:class:`Space`         the network; calling it infers the latents and draws the frame again
:class:`SpaceOutput`   what a call returns
:class:`Hints`         motion targets that are blended into the posterior in training
:class:`Latents`       the latents of all cells
:class:`Objects`       the latents of the present cells
:class:`SparseEncoder` finds the objects of successive frames; computes what changed only
:func:`objective`      the loss: the weighted sum of all terms of a variant
:class:`Targets`       the motion targets it compares with
:class:`CountMismatch` the state of its dynamic schedule
:func:`load_upstream`  a network from a checkpoint of the published code
=====================  ============================================================================
"""

from spacetime_env.space.foreground import Hints
from spacetime_env.space.latents import Latents, Objects
from spacetime_env.space.losses import CountMismatch, Targets, objective
from spacetime_env.space.network import Space, SpaceOutput
from spacetime_env.space.sparse import SparseEncoder
from spacetime_env.space.upstream import load_upstream

__all__ = [
    "CountMismatch",
    "Hints",
    "Latents",
    "Objects",
    "Space",
    "SpaceOutput",
    "SparseEncoder",
    "Targets",
    "load_upstream",
    "objective",
]
