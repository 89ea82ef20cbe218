"""One training step, for :mod:`spacetime_env.training.loop`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spacetime_env.config import Config, ConfigError
from spacetime_env.config.games import pictures_name
from spacetime_env.space import CountMismatch, Hints, Space, SpaceOutput, Targets, objective
from spacetime_env.space.batch import Batch
from spacetime_env.space.device import DeviceError, require_device
from spacetime_env.space.objective import background_objective
from spacetime_env.training.ranks import Ranks


def make_optimizers(space: Space, config: Config) -> list[torch.optim.Optimizer]:
    """The optimizer of the foreground and, if the background has parameters, that of the background."""
    train = config.train
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.RMSprop
    optimizers: list[torch.optim.Optimizer] = [kind(space.foreground.parameters(), lr=train.learning_rate)]
    background = list(space.background.parameters())
    if background:
        optimizers.append(torch.optim.Adam(background, lr=train.background_learning_rate))
    return optimizers


def train_step(
    space: Space,
    optimizers: list[torch.optim.Optimizer],
    mismatch: CountMismatch,
    frames: Tensor,
    targets: Targets,
    config: Config,
    progress: float,
    ranks: Ranks | None = None,
) -> tuple[dict[str, Tensor], SpaceOutput | None]:
    """Forward, backward and one update of the weights; in the first steps of the background alone, if it goes first.

    Args:
        optimizers: as :func:`make_optimizers` makes them.
        mismatch: the state of the dynamic schedule; updated.
        frames: (B, 3, h, w) float in [0, 1], in the model's colour order.
        targets: of these frames.
        progress: fraction of the training that is done, 0 to 1; all schedules follow it.
        ranks: the processes that have a part of the batch each; None: this one has the whole batch.

    Returns:
        Scalar tensors by name: the losses, their weighted sum ``total``, and ``gradient_norm`` before clipping. And
        the network's output before the update; None where the background trained alone. With several ranks, the losses
        are of the whole batch, and the output is of the frames of this one.

    Raises:
        NotFiniteError: the network has diverged, and a box is nan or inf.
    """
    device = frames.device.type
    amp = config.train.amp == "on" or (config.train.amp == "auto" and device == "cuda")
    with torch.autocast(device, torch.bfloat16, enabled=amp):
        alone = progress < config.train.background_first
        output = None if alone else drawn(space, frames, targets, config, progress)
        background = space.background(frames, sample=True) if output is None else output.background
    if output is None:
        total, terms = background_objective(frames, background, config.loss.sigma_bg)
    else:
        total, terms = objective(
            frames, output.foreground, output.background, targets, config.model, config.loss, progress, mismatch
        )
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    total.backward()
    losses = {"total": total.detach()} | {name: term.detach() for name, term in terms.items()}
    logged = (ranks or Ranks()).finish_gradients(space, config.train.clip_norm, losses)
    factor = config.train.decay.at(progress)
    rates = (config.train.learning_rate, config.train.background_learning_rate)
    for optimizer, rate in zip(optimizers, rates, strict=False):  # without gradients a step changes nothing
        optimizer.param_groups[0]["lr"] = rate * factor
        optimizer.step()
    return logged, output


def drawn(space: Space, frames: Tensor, targets: Targets, config: Config, progress: float) -> SpaceOutput:
    """What the network infers and draws of a batch in training; arguments as of :func:`train_step`."""
    loss = config.loss
    strength = loss.hint.at(progress) if config.model.variant != "space" else 0.0
    hints = Hints(targets.z_pres, targets.z_where, targets.mask, strength) if strength > 0 else None
    return space(
        frames,
        hints,
        loss.tau.at(progress),
        sample=True,
        backgrounds=targets.backgrounds,
        behind=behind_objects(frames, targets, space, config),
        border=loss.boundary_width if loss.boundary.at(progress) > 0 else 0,
    )


def mirrored(frames: Tensor, targets: Targets, grid: int, batch: Batch) -> tuple[Tensor, Targets]:
    """A batch in which each stack is mirrored, left and right, with probability 0.5.

    Args:
        frames: (B, 3, h, w).
        targets: of these frames, without backgrounds of their own.
        grid: G.
        batch: draws the numbers that decide.
    """
    chosen = batch.uniform(frames.new_empty(len(frames) // targets.length)) < 0.5
    flip = chosen.repeat_interleave(targets.length)

    def either(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(flip.view(-1, *[1] * (one.dim() - 1)), other, one)

    def in_columns(cells: Tensor) -> Tensor:  # (B, N, D): a row of cells is read backwards
        return cells.unflatten(1, (grid, grid)).flip(2).flatten(1, 2)

    z_where = in_columns(targets.z_where) * targets.z_where.new_tensor((1.0, 1.0, -1.0, 1.0))
    return either(frames, frames.flip(3)), targets._replace(
        z_pres=either(targets.z_pres, in_columns(targets.z_pres)),
        z_where=either(targets.z_where, z_where),
        mask=either(targets.mask, targets.mask.flip(3)),
    )


def behind_objects(frames: Tensor, targets: Targets, space: Space, config: Config) -> Tensor | None:
    """The image behind the objects of each frame, (B, 3, H, W) in [0, 1]; None if it is the network's background.

    With ``loss.still_is_background`` it is the frame itself, but the fixed background where the motion mask is set and
    one pixel around.
    """
    if not config.loss.still_is_background or config.model.variant == "space":
        return None
    behind = space.image if targets.backgrounds is None else targets.backgrounds
    assert behind is not None  # see require_settings
    moving = F.max_pool2d(targets.mask, 3, stride=1, padding=1) > 0
    return torch.where(moving, behind, frames)


def require_settings(config: Config) -> None:
    """Refuse settings that cannot be trained with, before anything is recorded or read.

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
    if config.model.background.kind == "fixed" and (train.flip or train.background_first):
        name = "flip" if train.flip else "background_first"
        raise ConfigError(f"train.{name}: only with a learned background (model.background.kind); a fixed one stays.")
    require_pictures(config)
    share = config.model.background.share
    if share < 1 or config.data.length % share:
        raise ConfigError(
            f"model.background.share: expected a number that divides data.length, {config.data.length}, got {share}."
        )
    if config.model.subframes not in (0, 1, 2):
        raise ConfigError(f"model.subframes: expected 0, 1 or 2, got {config.model.subframes}.")
    try:
        require_device(train.device)
    except DeviceError as error:
        raise ConfigError(f"train.device: {error}") from None


def require_pictures(config: Config) -> None:
    """Refuse settings of a run of pictures (``data.pictures``) that are of games.

    Raises:
        ConfigError: naming the setting.
    """
    if not config.data.pictures:
        return
    for name, given in (("game", config.game), ("games", ", ".join(config.games))):
        if given and given != pictures_name(config):  # a model's config.yaml has their name as the game
            raise ConfigError(
                f"{name} is {given}, and data.pictures is {config.data.pictures}: give one or the other. (In Python, "
                "give game='' beside data.pictures.)"
            )
    if config.model.subframes != 1:
        raise ConfigError(f"model.subframes: expected 1 with data.pictures, got {config.model.subframes}.")
    if config.motion.foreground != "difference" and config.model.variant != "space":
        raise ConfigError("motion.foreground: rarity counts the colours of a game; with data.pictures, difference.")
