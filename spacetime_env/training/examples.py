"""Training examples: the tensors of a split, and the order of batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_env.config import Config, ConfigError
from spacetime_env.data.motion import targets
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.truth import motion_truth
from spacetime_env.frames import resize, shown_rows
from spacetime_env.space import Space, Targets
from spacetime_env.space.background import FixedBackground


@dataclass(frozen=True)
class Examples:
    """A training split in memory, in the network's size (h, w). S stacks of T frames."""

    frames: np.ndarray  # (S, T, 3, h, w) uint8, in the model's colour order
    masks: np.ndarray  # (S, T, h, w) bool: the motion masks
    z_pres: np.ndarray  # (S, T, G * G, 1) float32
    z_where: np.ndarray  # (S, T, G * G, 4) float32
    background: np.ndarray  # (3, h, w) uint8, in the model's colour order

    def batch(self, index: np.ndarray, device: str) -> tuple[Tensor, Targets]:
        """A batch of the stacks ``index``, (n,) int: frames (B, 3, h, w) float in [0, 1] and targets, B = n * T."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array[index]).to(device).flatten(0, 1)

        frames = tensor(self.frames).float() / 255
        mask = tensor(self.masks).float().unsqueeze(1)
        return frames, Targets(tensor(self.z_pres), tensor(self.z_where), mask, self.frames.shape[1])

    def set_background(self, space: Space) -> None:
        """Give a network with a fixed background the image of the game."""
        if isinstance(space.background, FixedBackground):
            space.background.image.copy_(torch.from_numpy(self.background).float() / 255)

    def stacks(self, batch_size: int) -> int:
        """The stacks in each batch: ``batch_size``, or all if there are fewer."""
        return min(batch_size, len(self.frames))

    def order(self, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
        """The ``index`` of each batch from step ``start`` on, without end; see :func:`batches`."""
        return batches(len(self.frames), batch_size, seed, start)


@dataclass(frozen=True)
class JointExamples:
    """The training splits of several games, in stacks of the same length and size."""

    games: Sequence[Examples]
    fixed: bool  # each frame comes with its game's background

    def batch(self, index: np.ndarray, device: str) -> tuple[Tensor, Targets]:
        """As :meth:`Examples.batch`. ``index``, (n, 2) int: game and stack. Stacks of a game are put side by side."""
        frames, targets, backgrounds = [], [], []
        for number in np.unique(index[:, 0]).tolist():
            game = self.games[number]
            own, wanted = game.batch(index[index[:, 0] == number, 1], device)
            frames.append(own)
            targets.append(wanted)
            if self.fixed:
                backgrounds.append((torch.from_numpy(game.background).to(device).float() / 255).expand_as(own))
        z_pres, z_where, mask = (torch.cat([one[i] for one in targets]) for i in range(3))
        behind = torch.cat(backgrounds) if backgrounds else None
        return torch.cat(frames), Targets(z_pres, z_where, mask, targets[0].length, behind)

    def set_background(self, space: Space) -> None:
        """Does nothing: with a fixed background, :meth:`batch` gives each frame that of its game."""

    def stacks(self, batch_size: int) -> int:
        """The stacks in each batch: ``batch_size``."""
        return batch_size

    def order(self, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
        """The ``index`` of each batch from step ``start`` on, without end; see :func:`joint_batches`."""
        return joint_batches([len(game.frames) for game in self.games], batch_size, seed, start)


def batches(count: int, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
    """Shuffled batches of indices below ``count``, (batch_size,) each, from step ``start`` on, without end.

    Batch ``i`` depends only on the seed and on ``i``, so a resumed run has the same batches as one without stop. An
    epoch takes each index once. Indices that do not fill a batch at its end are left out, others in each epoch.
    """
    batch_size = min(batch_size, count)
    per_epoch = count // batch_size
    step = start
    while True:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for i in range(place, per_epoch):
            yield order[i * batch_size : (i + 1) * batch_size]
            step += 1


def joint_batches(counts: Sequence[int], batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
    """Batches of several games from step ``start`` on, without end: (batch_size, 2), the game and an index of its own.

    An index is below the count of its game. In a batch each game has as many indices as the others, or one more. In
    each block of ``len(counts)`` batches, the first of which is batch 0, all games have the same number. The indices of
    a game are shuffled, and each comes once before any comes again. Batch ``i`` depends only on the seed and on ``i``.
    """
    games, step = len(counts), start
    shuffled: dict[int, tuple[int, np.ndarray]] = {}  # of each game: its epoch, and the order in it
    while True:
        block, place = divmod(step, games)
        turn = np.random.default_rng((seed, block)).permutation(games)  # the order of the games in this block
        batch = np.empty((batch_size, 2), np.int64)
        for i, number in enumerate(range(place * batch_size, (place + 1) * batch_size)):
            game = int(turn[number % games])
            drawn = block * batch_size + number // games  # indices of this game so far
            epoch, at = divmod(drawn, counts[game])
            if shuffled.get(game, (-1,))[0] != epoch:
                shuffled[game] = epoch, np.random.default_rng((seed, epoch, game + 1)).permutation(counts[game])
            batch[i] = game, shuffled[game][1][at]
        yield batch
        step += 1


def require_examples(examples: Examples, config: Config) -> None:
    """Refuse a split of ``config.game`` that cannot be trained on.

    Raises:
        ConfigError: it holds no frames, or nothing moves in it.
    """
    if not len(examples.frames):
        raise ConfigError(f"the training split of {config.game} holds no frames; record some with create_dataset.py.")
    if config.model.variant != "space" and not examples.z_pres.any():
        look = "" if config.data.pictures else "Look at it with create_dataset.py --plot-boxes, and check "
        raise ConfigError(
            f"nothing moves in the training split of {config.game}, so there is nothing to learn from motion. "
            f"{look or 'Check '}motion.min_area, motion.max_area and scene.ignore."
        )


def load_examples(split: Stacks, config: Config) -> Examples:
    """The training examples of a split. Motion in the regions of ``scene.ignore`` is left out of the targets.

    Raises:
        ConfigError: ``model.rows`` does not fit the split's frames.
    """
    model, width = config.model, split.native[1]
    size, grid = model.frame_size, model.grid
    try:
        top, bottom = shown_rows(model.rows, split.native)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    seen = (bottom - top, width)
    frames, background = split.small(size, model.rows), _behind(split, config)
    if model.color_order == "bgr":
        frames, background = frames[..., ::-1], background[..., ::-1]
    masks = split.motion_masks(size, rows=model.rows)
    for x, y, w, h in config.scene.ignore:
        above, below = (max(0, round((v - top) * size[0] / seen[0])) for v in (y, y + h))
        left, right = (round(v * size[1] / width) for v in (x, x + w))
        masks[..., above:below, left:right] = 0
    found = [targets(within(one.boxes, top, bottom), seen, grid) for one in motion_truth(split, config.scene)]
    lead = (len(split), split.meta.length)
    return Examples(
        frames=np.ascontiguousarray(frames.transpose(0, 1, 4, 2, 3)),
        masks=masks > 127,
        z_pres=np.stack([z_pres for z_pres, _ in found]).reshape(*lead, grid * grid, 1),
        z_where=np.stack([z_where for _, z_where in found]).reshape(*lead, grid * grid, 4),
        background=np.ascontiguousarray(background.transpose(2, 0, 1)),
    )


def _behind(split: Stacks, config: Config) -> np.ndarray:
    """The split's background in the network's size, (h, w, 3) uint8 RGB; black where pictures have a learned one."""
    size = config.model.frame_size
    if config.data.pictures and config.model.background.kind != "fixed":  # it would be computed for nothing
        return np.zeros((*size, 3), np.uint8)
    top, bottom = shown_rows(config.model.rows, split.native)
    return resize(split.background[None, top:bottom], size)[0]


def within(boxes: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """Boxes (n, 4) ``x, y, w, h``, cut at two rows, with ``y`` counted from ``top``; without those that are outside."""
    low, high = boxes[:, 1].clip(top, bottom), (boxes[:, 1] + boxes[:, 3]).clip(top, bottom)
    cut = np.stack([boxes[:, 0], low - top, boxes[:, 2], high - low], axis=1)
    return cut[high > low]


def with_background(space: Space, examples: Examples) -> Space:
    """A copy of the network with the game's image as fixed background; the network itself if it learns backgrounds."""
    if not isinstance(space.background, FixedBackground):
        return space
    copy = deepcopy(space)
    examples.set_background(copy)
    return copy
