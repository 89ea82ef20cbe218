"""What several ranks need so that their parts of a batch train the network as the whole batch would.

Each rank has n of the N stacks, one part after the other. Losses are means over frames, so the mean of all ranks'
gradients is that of the whole batch, if three things are as in one process: the noise, the statistics of BatchNorm, and
the count mismatch of the dynamic schedule. :func:`share` puts them in.

Gradients are summed here, not by torch's DistributedDataParallel, since a part of a batch may hold no object. Then the
glimpse networks have no gradient in that rank, and the graphs of the ranks differ, while DistributedDataParallel wants
them alike, or searches the graph for what is missing in each step. And its sums, begun while others run, would mix with
those that BatchNorm makes in the backward pass. One sum after it is exact, and costs some milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from spacetime_env.config import Config, LossConfig
from spacetime_env.space import CountMismatch, Targets
from spacetime_env.space.batch import Batch
from spacetime_env.space.finite import NotFiniteError
from spacetime_env.space.latents import Latents
from spacetime_env.training.checkpoint import State, load_checkpoint, resume
from spacetime_env.training.ranks import Ranks
from spacetime_env.training.shared_norm import share_norms
from spacetime_env.training.shared_ranks import SharedRanks


def share(state: State, ranks: Ranks) -> None:
    """Let all ranks train one network: that of rank 0, with the whole batch's noise, statistics and mismatch."""
    if not isinstance(ranks, SharedRanks):
        return
    ranks.same(state.space)
    share_norms(state.space, ranks)
    state.space.share(PartOfBatch(ranks))
    state.mismatch = SharedMismatch(state.mismatch.config, ranks)


def resume_all(folder: Path, state: State, config: Config, ranks: Ranks) -> bool:
    """Resume all ranks from the last checkpoint that rank 0 can read; it may be of another number of ranks.

    Returns:
        Whether there is one. Errors are those of :func:`spacetime_env.training.checkpoint.resume`.
    """
    found = ranks.number(lambda: -1 if resume(folder, state, config) is None else state.step)
    path = folder / f"step-{int(found):07d}.pt"
    if found >= 0 and ranks.size > 1:  # rank 0 reads it again: it knows now that all can
        ranks.each(lambda: load_checkpoint(path, state, config, ranks))
    return found >= 0


class PartOfBatch(Batch):
    """A part of a batch that several ranks share; the answers are those of the whole batch."""

    def __init__(self, ranks: SharedRanks) -> None:
        self.ranks = ranks

    def normal(self, like: Tensor, rows: Sequence[int] = ()) -> Tensor:
        whole, mine = self._whole(like, rows)
        return whole.normal_()[mine]

    def uniform(self, like: Tensor) -> Tensor:
        whole, mine = self._whole(like)
        return whole.uniform_()[mine]

    def settle(self, values: Mapping[str, Tensor], chosen: Tensor, z_pres: Tensor) -> Sequence[int]:
        broken = [~torch.isfinite(value).all() for value in values.values()]
        own = torch.stack([flag.double() for flag in (*broken, chosen.sum(), z_pres.max())]).cpu()
        *flags, counts, most = torch.stack(self.ranks.gather(own)).unbind(1)  # (ranks,) each
        for name, flag in zip(values, flags, strict=True):
            if flag.any():
                raise NotFiniteError(f"{name} became nan or inf in process {int(flag.argmax())} of {self.ranks.size}")
        if not counts.any():
            counts[most.argmax()] = 1
            if most.argmax() == self.ranks.rank:
                chosen.view(-1)[z_pres.argmax()] = True
        return [int(count) for count in counts]

    def _whole(self, like: Tensor, rows: Sequence[int] = ()) -> tuple[Tensor, slice]:
        """Memory for the noise of the whole batch, and which rows of it are those of this part.

        All ranks draw all of it, so that their random numbers stay the same ones.
        """
        rank, rows = self.ranks.rank, rows or [len(like)] * self.ranks.size
        # Numbers are drawn in the order of memory: the whole must lie there as it would in one process.
        shape = (sum(rows), *like.shape[1:])
        layout = torch.empty_strided(shape, like.stride(), dtype=like.dtype, device="meta")
        return torch.empty_like(layout, device=like.device), slice(sum(rows[:rank]), sum(rows[: rank + 1]))


class SharedMismatch(CountMismatch):
    """The count mismatch of the whole batch. It compares boxes across frames, so the boxes are gathered, not sums."""

    def __init__(self, config: LossConfig, ranks: SharedRanks) -> None:
        super().__init__(config)
        self.ranks = ranks

    def update(self, latents: Latents, targets: Targets) -> float:
        def whole(tensor: Tensor) -> Tensor:
            return torch.cat(self.ranks.gather(tensor))

        return super().update(
            replace(latents, z_pres_pure=whole(latents.z_pres_pure), z_where_pure=whole(latents.z_where_pure)),
            targets._replace(z_pres=whole(targets.z_pres), z_where=whole(targets.z_where)),
        )
