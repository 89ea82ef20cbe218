"""One training step, and the tensors it needs: used by :mod:`spacetime_env.pretrain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spacetime_env.config import Config, ConfigError
from spacetime_env.space import CountMismatch, Hints, Space, SpaceOutput, Targets, objective, value_at


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
        progress: part of the training that is done, 0 to 1; all schedules follow it.
    """
    strength = value_at(config.loss.hint, progress) if config.model.variant != "space" else 0.0
    hints = Hints(targets.z_pres, targets.z_where, targets.mask, strength) if strength > 0 else None
    kind = frames.device.type
    amp = config.train.amp == "on" or (config.train.amp == "auto" and kind == "cuda")
    with torch.autocast(kind, torch.bfloat16, enabled=amp):
        output = space(frames, hints, value_at(config.loss.tau, progress), sample=True)
    total, terms = objective(
        frames, output.foreground, output.background, targets, config.model, config.loss, progress, mismatch
    )
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(space.parameters(), config.train.clip_norm)
    factor = value_at(config.train.decay, progress)
    rates = (config.train.learning_rate, config.train.background_learning_rate)
    for optimizer, rate in zip(optimizers, rates, strict=False):
        optimizer.param_groups[0]["lr"] = rate * factor
        optimizer.step()
    logged = {"total": total.detach(), "gradient_norm": norm.detach()}
    logged.update({name: term.detach() for name, term in terms.items()})
    return logged, output


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
    """Refuse a split that cannot be trained on, in a sentence."""
    stacks = len(examples.frames)
    if stacks == 0:
        raise ConfigError("the training split holds no frames; record some with create_dataset.py.")
    moving = float(examples.z_pres.sum()) / (stacks * examples.frames.shape[1])
    if config.model.variant != "space" and moving == 0:
        raise ConfigError(
            "nothing moves in the training split, so there is nothing to learn from motion. Look at it with "
            "create_dataset.py --plot-boxes, and check motion.min_area, motion.max_area and scene.ignore."
        )
