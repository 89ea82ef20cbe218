"""The training loop: steps, with scalars, pictures, validation and checkpoints on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from spacetime_env.config import Config
from spacetime_env.config.games import run_name
from spacetime_env.data.split import Split
from spacetime_env.training import pictures
from spacetime_env.training.checkpoint import (
    Interrupt,
    State,
    save_checkpoint,
)
from spacetime_env.training.examples import (
    Examples,
    JointExamples,
    with_background,
)
from spacetime_env.training.step import train_step
from spacetime_env.training.validation import mean_scores, quick_scores


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why."""


class Interrupted(TrainingError):
    """Stopped by Ctrl-C; it is saved and can be resumed."""

    exit_status = 130  # of a command that it ends


def train_loop(
    config: Config,
    state: State,
    examples: Examples | JointExamples,
    validation: Split | Mapping[str, Split],
    run: Path,
) -> None:
    """Train to the last step, with scalars, pictures, evaluations and checkpoints on the way.

    Of several games, ``validation`` has a split for each.

    Raises:
        TrainingError: NaN.
        Interrupted: Ctrl-C; the step is finished and saved first.
    """
    steps, t = config.train.steps, config.train
    folder = run / "checkpoints"
    before, began = state.seconds, time.perf_counter()
    saved = state.step or -1  # the step of the last checkpoint
    order = examples.order(t.batch_size, config.seed, state.step)
    state.space.train()

    def save(best: bool) -> None:
        nonlocal saved
        state.seconds = before + time.perf_counter() - began
        save_checkpoint(folder, state, config, t.keep, best)
        saved = state.step

    title = run_name(config) if config.games else config.game
    bar = tqdm(total=steps, initial=state.step, desc=f"training {title}", unit="step", smoothing=0.1)
    with (
        SummaryWriter(str(run / "tensorboard"), purge_step=state.step) as writer,
        bar,
        Interrupt() as interrupt,
    ):
        try:
            while state.step < steps:
                frames, target = examples.batch(next(order), t.device)
                try:
                    logs, output = train_step(
                        *(state.space, state.optimizers, state.mismatch, frames, target, config),
                        progress=state.step / steps,
                    )
                except (ValueError, RuntimeError, IndexError):  # boxes that are not numbers cannot be drawn
                    with torch.no_grad():
                        known = state.space.image if target.backgrounds is None else target.backgrounds
                        z_where = state.space.foreground.infer(frames, background=known).z_where
                    require_finite({"z_where": z_where.sum().item()}, state.step, run)
                    raise
                values = {key: value.item() for key, value in logs.items()}
                require_finite(values, state.step, run)
                state.step += 1
                bar.update()
                done = state.step == steps
                logging, evaluating, saving = (
                    state.step % every == 0 or done for every in (t.log_every, t.eval_every, t.save_every)
                )
                if logging:
                    add_scalars(writer, "train", values, state.step)
                    rate = (bar.format_dict["rate"] or 0) * len(frames)
                    bar.set_postfix(loss=f"{values['total']:.0f}", frames_s=f"{rate:.0f}")
                if state.step % t.picture_every == 0:
                    picture = pictures.picture(frames, output, target, config.model.color_order)
                    writer.add_image("pictures", picture, state.step, dataformats="HWC")
                best = False
                if evaluating:
                    if isinstance(validation, Mapping):
                        assert isinstance(examples, JointExamples)
                        pairs = zip(validation, examples.games, strict=True)
                        spaces = {game: with_background(state.space, own) for game, own in pairs}
                        scores = mean_scores(config, spaces, validation)
                    else:
                        scores = quick_scores(config, state.space, validation)
                    add_scalars(writer, "validation", scores, state.step)
                    best = scores["motion_f1"] >= state.best
                    state.best = max(state.best, scores["motion_f1"])
                    shown = (f"{k} {v:.3f}" for k, v in scores.items() if "/" not in k)  # not of each game
                    tqdm.write(f"step {state.step}: {', '.join(shown)}")
                if best or saving:
                    save(best)
                if interrupt.asked:  # in the last step too: another run may come after this one
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            if state.step != saved:
                save(best=False)
            raise Interrupted(
                f"interrupted at step {state.step} of {steps}, and saved in {folder}. The same command resumes it."
            ) from None


def add_scalars(writer: SummaryWriter, group: str, values: dict[str, float], step: int) -> None:
    """Write them to TensorBoard as ``group/name``."""
    for key, value in values.items():
        writer.add_scalar(f"{group}/{key}", value, step)


def require_finite(values: dict[str, float], step: int, run: Path) -> None:
    """Stop at NaN with a sentence, before anything is judged or saved.

    Raises:
        TrainingError: a value is not finite.
    """
    broken = [key for key, value in values.items() if not math.isfinite(value)]
    if broken:
        raise TrainingError(
            f"{', '.join(broken)} became {values[broken[0]]} after step {step}. The checkpoints in "
            f"{run / 'checkpoints'} are from before. Lower train.learning_rate or train.clip_norm, or raise "
            "loss.sigma_fg, and use --restart."
        )
