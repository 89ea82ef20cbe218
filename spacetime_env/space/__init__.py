"""SPACE and SPACE-Time: the network, its losses and schedules. Torch only: no environments, no files but weights."""

from spacetime_env.space.foreground import Hints
from spacetime_env.space.latents import Latents
from spacetime_env.space.losses import CountMismatch, Targets, objective
from spacetime_env.space.network import Space, SpaceOutput
from spacetime_env.space.sparse import SparseEncoder
from spacetime_env.space.upstream import load_upstream

__all__ = [
    "CountMismatch",
    "Hints",
    "Latents",
    "Space",
    "SpaceOutput",
    "SparseEncoder",
    "Targets",
    "load_upstream",
    "objective",
]
