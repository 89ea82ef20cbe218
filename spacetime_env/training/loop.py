"""The training loop: step, log, validate, save."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from spacetime_env.config import Config
from spacetime_env.config.games import run_name
from spacetime_env.interrupt import Interrupt
from spacetime_env.space import Space, SpaceOutput, Targets
from spacetime_env.space.batch import Batch
from spacetime_env.space.finite import NotFiniteError, require_finite
from spacetime_env.training import pictures
from spacetime_env.training.checkpoint import State, save_checkpoint
from spacetime_env.training.examples import Examples, JointExamples
from spacetime_env.training.ranks import Ranks
from spacetime_env.training.step import mirrored, train_step

DIVERGED = (
    "The checkpoints in {folder} are from before. Lower train.learning_rate or train.clip_norm, or raise "
    "loss.sigma_fg, and use --restart."
)
# The scores of a network on validation data, among them "motion_f1", or of pictures "elbo".
Validate = Callable[[Space], Mapping[str, float]]


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why."""


class Interrupted(TrainingError):
    """Stopped by Ctrl-C; the run is saved and can be resumed."""

    exit_status = 130  # of a command that it ends


def train_loop(
    config: Config,
    state: State,
    examples: Examples | JointExamples,
    validate: Validate,
    run: Path,
    ranks: Ranks | None = None,
) -> None:
    """Train from ``state.step`` to the last step, with checkpoints and TensorBoard's logs in the folder ``run``.

    Args:
        state: changed in place.
        validate: called every ``train.eval_every`` steps; the network with the best ``motion_f1``, or of pictures the
            best ``elbo``, becomes ``best.pt``.
        ranks: the processes that train together; None: this one alone.

    Raises:
        TrainingError: a loss or a box became nan or inf.
        Interrupted: Ctrl-C. The step under way is finished and saved first.
    """
    settings, steps, folder, ranks = config.train, config.train.steps, run / "checkpoints", ranks or Ranks()
    batches = examples.order(settings.batch_size, config.seed, state.step)
    saved = state.step or -1  # the step of the last checkpoint; a new run has none
    before, began = state.seconds, time.perf_counter()
    state.space.train()
    logs, patient = run / "tensorboard" if ranks.main else None, ranks.size > 1
    with Log(config, state.step, logs) as log, Interrupt(signal.SIGINT, patient=patient) as interrupt:
        try:
            while state.step < steps:
                frames, targets = batch_of(examples, ranks.part(next(batches)), config, state.space.batch)
                terms, output = train_step(
                    state.space, state.optimizers, state.mismatch, frames, targets, config, state.step / steps, ranks
                )
                require_finite(terms)
                state.step += 1
                log.bar.update()
                last = state.step == steps

                if last or state.step % settings.log_every == 0:
                    log.terms(terms, state.step, len(frames) * ranks.size)
                if output is not None and state.step % settings.picture_every == 0:
                    log.picture(frames, output, targets, state.step)

                best = False
                if last or state.step % settings.eval_every == 0:
                    best = is_best(state, validate, log, config, ranks)

                state.seconds = before + time.perf_counter() - began
                if last or best or state.step % settings.save_every == 0:
                    save(folder, state, config, best, ranks)
                    saved = state.step
                if ranks.any(interrupt.asked):  # also after the last step: otherwise a sweep would begin its next run
                    raise KeyboardInterrupt
        except NotFiniteError as error:
            raise TrainingError(f"{error} after step {state.step}. {DIVERGED.format(folder=folder)}") from None
        except KeyboardInterrupt:
            if state.step != saved:
                save(folder, state, config, False, ranks)
            done = f"interrupted at step {state.step} of {steps}, and saved in {folder}."
            raise Interrupted(f"{done} The same command resumes it.") from None


def batch_of(
    examples: Examples | JointExamples, index: np.ndarray, config: Config, batch: Batch
) -> tuple[Tensor, Targets]:
    """The batch of an index of :meth:`Examples.order`; some stacks of it are mirrored with ``train.flip``.

    Args:
        batch: see :func:`~spacetime_env.training.step.mirrored`.
    """
    frames, targets = examples.batch(index, config.train.device)
    return mirrored(frames, targets, config.model.grid, batch) if config.train.flip else (frames, targets)


def is_best(state: State, validate: Validate, log: Log, config: Config, ranks: Ranks) -> bool:
    """Let rank 0 validate and log the scores; whether no earlier network was better. No label decides."""

    def validated() -> float:
        scores = validate(state.space)
        log.scores(scores, state.step)
        return scores["elbo" if config.data.pictures else "motion_f1"]

    score = ranks.number(validated)
    best = score >= state.best
    state.best = max(state.best, score)
    return best


def save(folder: Path, state: State, config: Config, best: bool, ranks: Ranks) -> None:
    """Let rank 0 write a checkpoint, with the random numbers of all ranks."""
    states = ranks.random_states()
    ranks.only(lambda: save_checkpoint(folder, state, config, config.train.keep, best, states))


class Log:
    """What a training shows of itself: scalars and pictures in TensorBoard, and a progress bar.

    Args:
        step: the step that the training begins at; what TensorBoard has of later steps is dropped.
        folder: of TensorBoard; None: nothing is shown.
    """

    def __init__(self, config: Config, step: int, folder: Path | None) -> None:
        self._color_order = config.model.color_order
        self._writer = SummaryWriter(str(folder), purge_step=step) if folder is not None else None
        title, off = f"training {run_name(config)}", folder is None
        self.bar = tqdm(total=config.train.steps, initial=step, desc=title, unit="step", smoothing=0.1, disable=off)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        if self._writer is not None:
            self._writer.close()

    def terms(self, terms: Mapping[str, Tensor], step: int, frames: int) -> None:
        """Losses and the norm of the gradient, scalar tensors, of a step on so many frames."""
        if self._writer is None:
            return
        self._scalars("train", {name: term.item() for name, term in terms.items()}, step)
        rate = (self.bar.format_dict["rate"] or 0) * frames
        self.bar.set_postfix(loss=f"{terms['total'].item():.0f}", frames_s=f"{rate:.0f}")

    def picture(self, frames: Tensor, output: SpaceOutput, targets: Targets, step: int) -> None:
        """A picture of a step, see :func:`spacetime_env.training.pictures.picture`."""
        if self._writer is None:
            return
        image = pictures.picture(frames, output, targets, self._color_order)
        self._writer.add_image("pictures", image, step, dataformats="HWC")

    def scores(self, scores: Mapping[str, float], step: int) -> None:
        """Validation scores. Those of one game among several, such as ``Pong/f1``, are not printed."""
        self._scalars("validation", scores, step)
        shown = (f"{name} {score:.3f}" for name, score in scores.items() if "/" not in name)
        tqdm.write(f"step {step}: {', '.join(shown)}")

    def _scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        assert self._writer is not None
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)
