"""One training step, and the tensors it needs: used by :mod:`spacetime_env.training.pretrain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spacetime_env.config import Config, ConfigError
from spacetime_env.space import CountMismatch, Hints, Space, SpaceOutput, Targets, objective


@dataclass(frozen=True)
class Examples:
    """A training split in the network's size, held in memory. S stacks of T frames."""

    frames: np.ndarray  # (S, T, 3, h, w) uint8, in the model's colour order
    masks: np.ndarray  # (S, T, h, w) bool: the motion masks
    z_pres: np.ndarray  # (S, T, G * G, 1) float32
    z_where: np.ndarray  # (S, T, G * G, 4) float32
    background: np.ndarray  # (3, h, w) uint8, in the model's colour order

    def batch(self, index: np.ndarray, device: str) -> tuple[Tensor, Targets]:
        """The stacks ``index``: frames (B, 3, h, w) float in [0, 1] and targets, B = len(index) * T."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array[index]).to(device).flatten(0, 1)

        frames = tensor(self.frames).float() / 255
        mask = tensor(self.masks).float().unsqueeze(1)
        return frames, Targets(tensor(self.z_pres), tensor(self.z_where), mask, self.frames.shape[1])

    def order(self, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
        """What :meth:`batch` takes, endlessly; see :func:`batches`."""
        return batches(len(self.frames), batch_size, seed, start)


@dataclass(frozen=True)
class JointExamples:
    """The training splits of several games. Their stacks are of the same length and size."""

    games: Sequence[Examples]
    fixed: bool  # each frame comes with its game's background

    def batch(self, index: np.ndarray, device: str) -> tuple[Tensor, Targets]:
        """As :meth:`Examples.batch`. ``index`` (n, 2): game and stack; what is of one game becomes neighbours."""
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

    def order(self, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
        """What :meth:`batch` takes, endlessly; see :func:`joint_batches`."""
        return joint_batches([len(game.frames) for game in self.games], batch_size, seed, start)


def batches(count: int, batch_size: int, seed: int, start: int) -> Iterator[np.ndarray]:
    """Endless shuffled batches of indices below ``count``, from step ``start`` on.

    Batch ``i`` depends on the seed and on ``i`` alone, so a resumed run sees what an uninterrupted one sees.
    An epoch takes each index once; what does not fill a batch at its end is left out, other ones each time.
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
    """Endless batches of several games, (batch_size, 2) with the game and the index below its count, from ``start`` on.

    In a batch all games are equally frequent, or some have one more; in each ``len(counts)`` batches from the first on,
    all are exactly so. Each game's indices are shuffled, and each comes once before any comes again. Batch ``i``
    depends on the seed and on ``i`` alone.
    """
    games, step = len(counts), start
    shuffled: dict[int, tuple[int, np.ndarray]] = {}  # of each game: its epoch, and the order in it
    while True:
        block, place = divmod(step, games)
        turn = np.random.default_rng((seed, block)).permutation(games)  # which game follows which in these batches
        batch = np.empty((batch_size, 2), np.int64)
        for i, slot in enumerate(range(place * batch_size, (place + 1) * batch_size)):
            game = int(turn[slot % games])
            drawn = block * batch_size + slot // games  # how many of this game were drawn before
            epoch, at = divmod(drawn, counts[game])
            if shuffled.get(game, (-1,))[0] != epoch:
                shuffled[game] = epoch, np.random.default_rng((seed, epoch, game + 1)).permutation(counts[game])
            batch[i] = game, shuffled[game][1][at]
        yield batch
        step += 1


def make_optimizers(space: Space, config: Config) -> list[torch.optim.Optimizer]:
    """One for the foreground and, where the background learns, one for it."""
    train = config.train
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.RMSprop
    optimizers: list[torch.optim.Optimizer] = [kind(space.foreground.parameters(), lr=train.learning_rate)]
    learned = list(space.background.parameters())
    if learned:
        optimizers.append(torch.optim.Adam(learned, lr=train.background_learning_rate))
    return optimizers


def train_step(
    space: Space,
    optimizers: list[torch.optim.Optimizer],
    mismatch: CountMismatch,
    frames: Tensor,
    targets: Targets,
    config: Config,
    progress: float,
) -> tuple[dict[str, Tensor], SpaceOutput]:
    """Forward, backward and one update. Returns every loss term (detached) and the output.

    Args:
        frames: (B, 3, h, w) float in [0, 1].
        progress: fraction of the training that is done, 0 to 1; all schedules follow it.
    """
    strength = config.loss.hint.at(progress) if config.model.variant != "space" else 0.0
    hints = Hints(targets.z_pres, targets.z_where, targets.mask, strength) if strength > 0 else None
    kind = frames.device.type
    amp = config.train.amp == "on" or (config.train.amp == "auto" and kind == "cuda")
    with torch.autocast(kind, torch.bfloat16, enabled=amp):
        tau = config.loss.tau.at(progress)
        behind = behind_objects(frames, targets, space, config)
        output = space(frames, hints, tau, sample=True, backgrounds=targets.backgrounds, behind=behind)
    total, terms = objective(
        frames, output.foreground, output.background, targets, config.model, config.loss, progress, mismatch
    )
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(space.parameters(), config.train.clip_norm)
    factor = config.train.decay.at(progress)
    rates = (config.train.learning_rate, config.train.background_learning_rate)
    for optimizer, rate in zip(optimizers, rates, strict=False):
        optimizer.param_groups[0]["lr"] = rate * factor
        optimizer.step()
    logged = {"total": total.detach(), "gradient_norm": norm.detach()}
    logged.update({name: term.detach() for name, term in terms.items()})
    return logged, output


def behind_objects(frames: Tensor, targets: Targets, space: Space, config: Config) -> Tensor | None:
    """What is behind the objects of each frame, (B, 3, H, W) in [0, 1]; None where it is the background.

    With ``loss.still_is_background``, the frame itself but for what moves and one pixel around it.
    """
    if not config.loss.still_is_background or config.model.variant == "space":
        return None
    behind = space.image if targets.backgrounds is None else targets.backgrounds
    assert behind is not None  # see require_settings
    moving = F.max_pool2d(targets.mask, 3, stride=1, padding=1) > 0
    return torch.where(moving, behind, frames)


def require_settings(config: Config) -> None:
    """Refuse settings that training cannot work with, before any time is spent.

    Raises:
        ConfigError: naming the setting.
    """
    train = config.train
    counts = (
        "steps",
        "batch_size",
        "eval_every",
        "save_every",
        "log_every",
        "picture_every",
        "keep",
        "threads",
    )
    for name in counts:
        if getattr(train, name) < 1:
            raise ConfigError(f"train.{name}: expected 1 or more, got {getattr(train, name)}.")
    if not train.few_shot or min(train.few_shot) < 1:
        raise ConfigError(f"train.few_shot: expected numbers of 1 or more, got {list(train.few_shot)}.")
    if config.loss.still_is_background and config.model.background.kind != "fixed":
        raise ConfigError("loss.still_is_background: only with model.background.kind: fixed; the other kind learns it.")
    share = config.model.background.share
    if share < 1 or config.data.length % share:
        raise ConfigError(
            f"model.background.share: expected a number that divides data.length, {config.data.length}, got {share}."
        )
    if config.model.subframes not in (0, 1, 2):
        raise ConfigError(f"model.subframes: expected 0, 1 or 2, got {config.model.subframes}.")
    try:
        torch.zeros(1, device=train.device).item()
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
    ) as error:  # torch without CUDA raises AssertionError
        reason = str(error).split("\n")[0].rstrip(".")
        raise ConfigError(f"train.device: {train.device!r} cannot be used ({reason}). Use cpu.") from None


def require_examples(examples: Examples, config: Config) -> None:
    """Refuse a split of ``config.game`` that cannot be trained on, in a sentence."""
    stacks = len(examples.frames)
    if stacks == 0:
        raise ConfigError(f"the training split of {config.game} holds no frames; record some with create_dataset.py.")
    moving = float(examples.z_pres.sum()) / (stacks * examples.frames.shape[1])
    if config.model.variant != "space" and moving == 0:
        raise ConfigError(
            f"nothing moves in the training split of {config.game}, so there is nothing to learn from motion. Look at "
            "it with create_dataset.py --plot-boxes, and check motion.min_area, motion.max_area and scene.ignore."
        )
