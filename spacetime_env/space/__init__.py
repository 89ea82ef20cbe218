"""The network that finds objects in frames, SPACE or SPACE-Time, and the losses that it is trained with.

In: frames as float tensors (B, 3, H, W) in [0, 1]. Out: the :class:`Latents` of every cell of a grid, or the
:class:`Objects` of the present cells alone. This room knows tensors; it knows no environments and no model folders.

:class:`Space` is the network, and calling it gives a :class:`SpaceOutput`. A :class:`SparseEncoder` finds the objects
of successive frames, and computes only what changed. In training, :class:`Hints` are motion targets that are blended
into the latents, and :func:`objective` is the loss, which compares with :class:`Targets`. :func:`load_upstream` reads a
checkpoint of the published code.
"""

from spacetime_env.space.foreground import Hints
from spacetime_env.space.latents import Latents, Objects
from spacetime_env.space.losses import CountMismatch, Targets
from spacetime_env.space.network import Space, SpaceOutput
from spacetime_env.space.objective import objective
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
