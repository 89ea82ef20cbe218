"""Pretraining: from recorded frames to a model folder. :func:`pretrain` reads from top to bottom.

It records what data is missing, trains on motion, evaluates alongside, names the objects from a few labels
(or, where there are none, by clusters), writes the folder that :func:`spacetime_env.load_model` reads, and measures it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from spacetime_env import files
from spacetime_env.config import Config
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.players import Player, policy_for
from spacetime_env.data.split import Split
from spacetime_env.evaluation import figures as figures_file
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training import card
from spacetime_env.training.checkpoint import (
    BEST,
    CheckpointError,
    Interrupt,
    State,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from spacetime_env.training.finish import GameData, as_yaml, finish, measure, set_background, with_background
from spacetime_env.training.naming import mean_scores, quick_scores, require_classes
from spacetime_env.training.splits import load_examples, prepare_split, settle_subframes, test_splits
from spacetime_env.training.step import (
    Examples,
    JointExamples,
    make_optimizers,
    require_examples,
    require_settings,
    train_step,
)


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why."""


class Interrupted(TrainingError):
    """Stopped by Ctrl-C; it is saved and can be resumed."""


def pretrain(
    config: Config,
    out: str | Path | None = None,
    run: str | Path | None = None,
    restart: bool = False,
    policy: Player | None = None,
    command: str = "",
    export_classifier: bool = False,
    gathered: dict[str, GameData] | None = None,
) -> Path:
    """Train a model and write its folder.

    Args:
        config: see :class:`spacetime_env.config.Config`.
        out: the model folder; ``models/<name>`` where None.
        run: where checkpoints and logs go; ``runs/<name>`` where None. An unfinished run there is resumed.
        restart: throw away the run that is there: its checkpoints and logs, not the data.
        policy: who plays the training data; ``data.agent`` where None.
        command: the command line, for the card.
        export_classifier: also write ``z_what-classifier_{n}.joblib.pkl`` into ``run`` for each n of
            ``train.few_shot``, where there are labels.
        gathered: what other runs have of the same data; kept up to date for the next one. Reading them takes as long
            as a thousand steps.

    Returns:
        The model folder.

    Raises:
        ConfigError, DatasetError, TrainingError, CheckpointError, NothingFoundError, BundleError: in plain
            sentences.
    """
    began = time.perf_counter()
    require_settings(config)
    name, each = run_name(config), each_game(config)
    policy = policy or policy_for(config.data.agent)
    eval_policy = policy_for(config.data.eval_agent, "data.eval_agent")
    run = Path(run or Path("runs") / name)
    out = Path(out or Path("models") / name)
    folder = run / "checkpoints"
    if restart:
        forget(run)
    folder.mkdir(parents=True, exist_ok=True)
    files.sweep(folder, time.time() - 3600)
    torch.set_num_threads(config.train.threads)

    games: dict[str, GameData] = {}
    gathered = {} if gathered is None else gathered
    asked = {game: data_key(one, policy) for game, one in each.items()}
    for key in set(gathered) - set(asked.values()):
        del gathered[key]  # it may be gigabytes
    for game, one in each.items():
        if config.games:
            print(f"{game}: {len(games) + 1} of {len(each)} games")
        if asked[game] not in gathered:
            gathered[asked[game]] = gather(one, policy, eval_policy)
        games[game] = gathered[asked[game]].of(one)
        require_examples(games[game].examples, one)
    data_seconds = time.perf_counter() - began
    examples: Examples | JointExamples
    validation: Split | dict[str, Split]
    if config.games:
        fixed = config.model.background.kind == "fixed"
        examples = JointExamples([data.examples for data in games.values()], fixed)
        validation = {game: data.validation for game, data in games.items()}
    else:
        (data,) = games.values()
        config, examples, validation = data.config, data.examples, data.validation

    state = start(config, examples)
    if resume(folder, state, config) is not None:
        print(f"resuming {run} at step {state.step} of {config.train.steps}")
    files.write_atomically(run / "run.yaml", as_yaml(card.provenance(config)))
    train_loop(config, state, examples, validation, run)
    use_best(folder, state)
    written = finish(config, state, games, out, run, data_seconds, command, export_classifier)
    measure(written, games, run, state.step, bool(config.games))
    return written


def gather(config: Config, policy: Player, eval_policy: Player) -> GameData:
    """The splits of one game, recorded where they are missing, and its examples.

    Raises:
        ConfigError, DatasetError: they do not fit the settings.
    """
    train = prepare_split(config, "train", policy)
    config = settle_subframes(config, train)
    train = train.with_subframes(config.model.subframes)
    validation = prepare_split(config, "validation", eval_policy)
    require_classes(config, validation)
    tests = test_splits(config)
    for split in (train, validation, *tests):
        split.prepare()
    return GameData(config, train, validation, tests, load_examples(train, config))


def data_key(config: Config, policy: Player) -> str:
    """What :func:`gather` depends on, as text: runs with the same may share what it returns."""
    model = config.model
    shape = (model.frame_size, model.rows, model.color_order, model.grid, model.subframes)
    return repr((config.game, policy.name, config.data, config.motion, config.scene, shape))


def forget(run: Path) -> None:
    """Throw away a run's checkpoints, logs and figures, and nothing else that lies in its folder."""
    for old in (run / "checkpoints", run / "tensorboard"):
        shutil.rmtree(old, ignore_errors=True)
    (run / figures_file.NAME).unlink(missing_ok=True)


def start(config: Config, examples: Examples | JointExamples) -> State:
    """A fresh network, its optimizers and the state of its schedule, from the seed."""
    torch.manual_seed(config.seed)
    space = Space(config.model)
    if isinstance(examples, Examples):  # of several games, each frame brings its own
        set_background(space, examples)
    space.to(config.train.device)
    return State(space, make_optimizers(space, config), CountMismatch(config.loss))


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
                    picture = card.picture(frames, output, target, config.model.color_order)
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


def use_best(folder: Path, state: State) -> None:
    """Take the weights of the best checkpoint, where there is one that can be read."""
    if (folder / BEST).is_file():
        try:
            state.space.load_state_dict(read_checkpoint(folder / BEST)["space"])
        except (CheckpointError, RuntimeError) as error:
            print(f"{error} The last weights are used instead of the best.")


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
