"""What the foreground and the background of a model draw of the pictures of a split."""

from __future__ import annotations

import numpy as np
import torch

from spacetime_env.data.stacks import Stacks
from spacetime_env.models.model import Model

MEASURED = 256  # pictures


@torch.no_grad()
def layer_figures(model: Model, split: Stacks) -> dict[str, float]:
    """How much of each picture the objects cover, and how far the background has learned the scene.

    Args:
        split: with labels; its first pictures are measured.

    Returns:
        Figure -> value: the fraction of the pixels with alpha over 0.5; with a background of several components the
        variance of the masks over the pictures (mean over pixels, sum over components); and the mean absolute error of
        the background, colours in [0, 1], within true boxes and elsewhere.
    """
    covered: list[float] = []
    inside, outside = [0.0, 0], [0.0, 0]
    sums: list[torch.Tensor] = []
    pictures = range(0, min(len(split) * split.meta.length, MEASURED))
    stacks = range(-(-len(pictures) // split.meta.length))
    for part in np.array_split(np.arange(len(stacks)), max(1, len(stacks) // 16)):
        native = split.frames(part.tolist()).reshape(-1, *split.native, 3)
        frames = model.tensor(native)
        output = model.space(frames)
        covered += (output.foreground.alpha > 0.5).float().mean(dim=(1, 2, 3)).tolist()
        masks = output.background.masks.double()
        each = [masks.sum(0), masks.square().sum(0)]
        sums = [a + b for a, b in zip(sums, each, strict=True)] if sums else each
        drawn = model.reconstruct(native)["background"]
        error = np.abs(drawn.astype(np.float32) - native).mean(axis=3) / 255
        for f, picture in enumerate(error, start=int(part[0]) * split.meta.length):
            within = _within(split, f)
            for total, where in ((inside, within), (outside, ~within)):
                total[0] += float(picture[where].sum())
                total[1] += int(where.sum())
    found = {"pixels that objects cover (alpha over 0.5)": float(np.mean(covered))}
    if model.config.background.kind != "fixed":
        mean, square = (one / len(covered) for one in sums)
        variance = (square - mean.square()).mean(dim=(1, 2, 3)).sum()
        found["variance of the background's masks over pictures"] = float(variance)
    named = {"within true boxes": inside, "elsewhere": outside}
    return found | {f"error of the background {name}": total / max(1, n) for name, (total, n) in named.items()}


def _within(split: Stacks, frame: int) -> np.ndarray:
    """(H, W) bool: the pixels that true boxes cover."""
    mask = np.zeros(split.native, bool)
    for x, y, w, h in split.labels[frame].tolist():
        mask[int(y) : int(np.ceil(y + h)), int(x) : int(np.ceil(x + w))] = True
    return mask
