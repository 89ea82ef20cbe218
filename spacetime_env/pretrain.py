"""Pretraining: from recorded frames to a model folder. :func:`pretrain` reads from top to bottom.

It records what data is missing, trains on motion, evaluates alongside, names the objects from a few labels
(or, where there are none, by clusters), writes the folder that :func:`spacetime_env.load_model` reads, and measures it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
import yaml
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from spacetime_env import figures as figures_file
from spacetime_env import files, gallery, report, results
from spacetime_env.bundle import Model, load_model, save_model
from spacetime_env.checkpoint import (
    BEST,
    CheckpointError,
    Interrupt,
    State,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from spacetime_env.config import Config, to_dict
from spacetime_env.dataset import Split, policy_for
from spacetime_env.evaluate import evaluate_model
from spacetime_env.games import canonical
from spacetime_env.naming import (
    as_model,
    detect_all,
    export_classifiers,
    full_scores,
    known_samples,
    moving_truth,
    name_objects,
    quick_scores,
    require_classes,
)
from spacetime_env.optimize import (
    Examples,
    batches,
    make_optimizers,
    require_examples,
    require_settings,
    train_step,
)
from spacetime_env.policies import Player
from spacetime_env.prepare import load_examples, prepare_split, settle_subframes, test_splits
from spacetime_env.space import CountMismatch, Space
from spacetime_env.space.background import FixedBackground


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

    Returns:
        The model folder.

    Raises:
        ConfigError, DatasetError, TrainingError, CheckpointError, NothingFoundError, BundleError: in plain
            sentences.
    """
    began = time.perf_counter()
    require_settings(config)
    game = canonical(config.game)
    name = config.name or game.lower()
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

    train = prepare_split(config, "train", policy)
    if not config.model.subframes:
        config = settle_subframes(config, train)
        train = prepare_split(config, "train", policy)
    validation = prepare_split(config, "validation", eval_policy)
    require_classes(config, validation)
    tests = test_splits(config)
    examples = load_examples(train, config)
    require_examples(examples, config)
    data_seconds = time.perf_counter() - began

    state = start(config, examples)
    if resume(folder, state, config) is not None:
        print(f"resuming {run} at step {state.step} of {config.train.steps}")
    files.write_atomically(run / "run.yaml", as_yaml(report.provenance(config)))
    train_loop(config, state, examples, validation, run)
    use_best(folder, state)
    return finish(config, state, train, validation, tests, out, run, data_seconds, command, export_classifier)


def forget(run: Path) -> None:
    """Throw away a run's checkpoints, logs and figures, and nothing else that lies in its folder."""
    for old in (run / "checkpoints", run / "tensorboard"):
        shutil.rmtree(old, ignore_errors=True)
    (run / figures_file.NAME).unlink(missing_ok=True)


def as_yaml(tree: object) -> bytes:
    """Plain lists, dicts and scalars as YAML."""
    return yaml.safe_dump(tree, sort_keys=False).encode()


def start(config: Config, examples: Examples) -> State:
    """A fresh network, its optimizers and the state of its schedule, from the seed."""
    torch.manual_seed(config.seed)
    space = Space(config.model)
    if isinstance(space.background, FixedBackground):
        space.background.image.copy_(torch.from_numpy(examples.background).float() / 255)
    space.to(config.train.device)
    return State(space, make_optimizers(space, config), CountMismatch(config.loss))


def train_loop(config: Config, state: State, examples: Examples, validation: Split, run: Path) -> None:
    """Train to the last step, with scalars, pictures, evaluations and checkpoints on the way.

    Raises:
        TrainingError: NaN.
        Interrupted: Ctrl-C; the step is finished and saved first.
    """
    steps, t = config.train.steps, config.train
    folder = run / "checkpoints"
    before, began = state.seconds, time.perf_counter()
    saved = state.step or -1  # the step of the last checkpoint
    order = batches(len(examples.frames), t.batch_size, config.seed, state.step)
    state.space.train()

    def save(best: bool) -> None:
        nonlocal saved
        state.seconds = before + time.perf_counter() - began
        save_checkpoint(folder, state, config, t.keep, best)
        saved = state.step

    bar = tqdm(total=steps, initial=state.step, desc=f"training {config.game}", unit="step", smoothing=0.1)
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
                        z_where = state.space.foreground.infer(frames).z_where
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
                    picture = report.picture(frames, output, target, config.model.color_order)
                    writer.add_image("pictures", picture, state.step, dataformats="HWC")
                best = False
                if evaluating:
                    scores = quick_scores(config, state.space, validation)
                    add_scalars(writer, "validation", scores, state.step)
                    best = scores["motion_f1"] >= state.best
                    state.best = max(state.best, scores["motion_f1"])
                    tqdm.write(f"step {state.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in scores.items()))
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


def finish(
    config: Config,
    state: State,
    train: Split,
    validation: Split,
    tests: Sequence[Split],
    out: Path,
    run: Path,
    data_seconds: float,
    command: str,
    export_classifier: bool,
) -> Path:
    """Name the objects, measure on the test splits, write the model folder and ``figures.json``."""
    found = detect_all(as_model(config, state.space, train.native), validation)
    known = known_samples(config, found, validation)
    classifier, scene = name_objects(config, found, known)
    if export_classifier:
        paths = export_classifiers(config, known, run)
        print(f"wrote {', '.join(map(str, paths)) or 'no classifier, since there are no labels to fit one on'}")
    model = as_model(config, state.space, train.native, classifier)
    figures = {test.path.name: full_scores(config, model, known, [test]) for test in tests}
    if len(tests) > 1:
        figures["all test splits"] = full_scores(config, model, known, tests)
    seconds = {"data": data_seconds, "training": state.seconds}
    card = report.card(config, figures, seconds, train, command)
    folder = save_model(
        out,
        state.space,
        classifier,
        game=canonical(config.game),
        native=train.native,
        scene_config=scene,
        trained=report.provenance(config)["versions"]
        | {"seed": config.seed, "steps": config.train.steps}
        | {f"seconds_{what}": round(passed) for what, passed in seconds.items()},
        card=card,
        extras=pictures(model, validation, tests) | {"config.yaml": as_yaml(to_dict(config))},
    )
    figures_file.write(run, figures)
    print(card.split("## Limits")[0])
    if tests:
        measure(folder, tests, validation if validation.meta.labels else None, run, state.step)
    return folder


def pictures(model: Model, validation: Split, tests: Sequence[Split]) -> dict[str, bytes]:
    """``example.png``: what is seen; ``errors.png``: the worst frames of the first test split, beside the truth."""
    result = {"example.png": gallery.example(model, validation.frames(range(min(64, len(validation))))[:, 0])}
    for test in tests[:1]:
        found, truth = detect_all(model, test), moving_truth(test, model.scene)[0]
        chosen = gallery.worst(found, truth, 4)
        frames = [test.frames([f // test.meta.length])[0, f % test.meta.length] for f in chosen]
        result["errors.png"] = gallery.differences(frames, [found[f] for f in chosen], [truth[f] for f in chosen])
    return {name: cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for name, picture in result.items()}


def measure(folder: Path, tests: Sequence[Split], few_shot_from: Split | None, run: Path, step: int) -> None:
    """What ``evaluate.py`` measures of a model folder: a row of ``evaluation.csv`` and scalars, in the run's folder."""
    name = folder.resolve().name
    evaluation = evaluate_model(load_model(folder), tests, few_shot_from, name, progress=True)
    written, notes = results.write(evaluation, run, step)
    print("\n".join([*evaluation.notes, *notes, f"wrote {', '.join(map(str, written))}"]))
