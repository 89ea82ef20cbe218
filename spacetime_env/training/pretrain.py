"""Pretraining: from recorded frames to a model folder. :func:`pretrain` reads from top to bottom.

It records missing data, trains on motion with a validation now and then, names the objects from a few labels (without
labels, by clusters), writes the folder that :func:`spacetime_env.load_model` reads, and evaluates it.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from spacetime_env import files
from spacetime_env.config import Config, ConfigError
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.players import Player, policy_for
from spacetime_env.evaluation import figures_json
from spacetime_env.locks import Lock, hold
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.weights import require_model_folder
from spacetime_env.shipped import is_shipped
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training.checkpoint import BEST, CheckpointError, State, load_weights
from spacetime_env.training.checkpoint import checkpoints as checkpoints_in
from spacetime_env.training.examples import Examples, JointExamples, require_examples, with_background
from spacetime_env.training.finish import finish
from spacetime_env.training.game_data import GameData, data_key, gather
from spacetime_env.training.loop import Validate, train_loop
from spacetime_env.training.provenance import as_yaml, provenance
from spacetime_env.training.ranks import Ranks
from spacetime_env.training.shared_batch import resume_all, share
from spacetime_env.training.start import Source, read_source, take
from spacetime_env.training.step import make_optimizers, require_settings
from spacetime_env.training.validation import mean_scores, quick_classifiers, quick_scores

Classify = Callable[[Space], Mapping[str, LinearClassifier]]


def pretrain(
    config: Config,
    out: str | Path | None = None,
    run: str | Path | None = None,
    restart: bool = False,
    policy: Player | None = None,
    command: str = "",
    export_classifier: bool = False,
    gathered: dict[str, GameData] | None = None,
    ranks: Ranks | None = None,
) -> Path:
    """Train a model and write its folder.

    Args:
        config: see :class:`spacetime_env.config.Config`.
        out: the model folder; None: ``models/<name>``, or ``<run>/model`` if ``models/<name>`` is one that ships.
        run: the folder for checkpoints and logs; None: ``runs/<name>``. An unfinished run there is resumed.
        restart: delete the checkpoints and logs in ``run`` first, but not the data.
        policy: the player of the training data; None: ``data.agent``.
        command: the command line, for the card.
        export_classifier: also write ``z_what-classifier_{n}.joblib.pkl`` into ``run`` for each n of
            ``train.few_shot``, if there are labels.
        gathered: the data of earlier runs, by :func:`data_key`; the data of this run are added. Reading them anew takes
            as long as a thousand steps.
        ranks: the processes that train together, as :func:`spacetime_env.training.launch.join` gives them; all of them
            call this function. None: this one trains alone.

    Returns:
        The model folder.

    Raises:
        ConfigError, DatasetError, TrainingError, CheckpointError, NothingFoundError, BundleError: each with a sentence
            that says what to do.
        LockError, RankError: another process trains in the same run folder; another rank has an error, or is gone.
    """
    began, ranks = time.perf_counter(), ranks or Ranks()
    players = ranks.each(lambda: players_of(config, policy, ranks))
    name, each = run_name(config), each_game(config)
    run = Path(run or Path("runs") / name)
    out = Path(out) if out else default_folder(name, run)
    checkpoints = run / "checkpoints"
    with contextlib.ExitStack() as held:
        ranks.only(lambda: held.enter_context(hold_run(run, out, restart)))
        ranks.each(lambda: require_seen(checkpoints))
        torch.set_num_threads(ranks.threads(config.train.threads))

        source = ranks.only(lambda: asked_source(config, checkpoints))
        games = ranks.first(lambda: gather_games(each, *players, {} if gathered is None else gathered))
        config, examples, validate = training_data(config, games)
        ranks.each(lambda: ranks.require_batch(examples.stacks(config.train.batch_size)))
        data_seconds = time.perf_counter() - began

        state = start(config, examples, classify_with(config, games))
        share(state, ranks)
        resume_or_take(run, state, config, source, ranks)
        ranks.only(lambda: files.write_atomically(run / "run.yaml", as_yaml(provenance(config, state.start))))
        train_loop(config, state, examples, validate, run, ranks)
        ranks.only(lambda: use_best(checkpoints, state))
        done = ranks.only(lambda: finish(config, state, games, out, run, data_seconds, command, export_classifier))
        return done or out


def players_of(config: Config, policy: Player | None, ranks: Ranks) -> tuple[Player, Player]:
    """The players of the training and of the validation data, if the settings can be trained with.

    Raises:
        ConfigError: they cannot, or there is no such player.
    """
    ranks.use(config.train.device)
    require_settings(config)
    ranks.require_batch(config.train.batch_size)
    return policy or policy_for(config.data.agent), policy_for(config.data.eval_agent, "data.eval_agent")


def hold_run(run: Path, out: Path, restart: bool) -> Lock:
    """Make the folder of a run and keep other trainings out of it; see :func:`pretrain`."""
    require_model_folder(out)
    run.mkdir(parents=True, exist_ok=True)
    lock = hold(run)
    if restart:
        forget(run)
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    files.sweep(run / "checkpoints", time.time() - 3600)
    return lock


def require_seen(folder: Path) -> None:
    """Refuse to train where a folder that rank 0 made is not there.

    Raises:
        ConfigError: it is not.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: made by process 0, and not there for another one. Several machines need the same files: give "
            "--run and data.root on a file system that all of them see."
        )


def default_folder(name: str, run: Path) -> Path:
    """Where a model is written if nobody says where: ``models/<name>``, but never over a model that ships."""
    folder = Path("models") / name
    if not is_shipped("models", folder):
        return folder
    print(f"{folder} comes with the package and stays: the model goes to {run / 'model'}. --out says another place.")
    return run / "model"


def forget(run: Path) -> None:
    """Delete a run's checkpoints, logs and figures, and nothing else in its folder."""
    for old in (run / "checkpoints", run / "tensorboard"):
        shutil.rmtree(old, ignore_errors=True)
    (run / figures_json.NAME).unlink(missing_ok=True)


def gather_games(
    each: Mapping[str, Config], policy: Player, eval_policy: Player, gathered: dict[str, GameData]
) -> dict[str, GameData]:
    """The data of each game of a run, by the name of the game.

    Args:
        each: as :func:`~spacetime_env.config.games.each_game` gives it.
        policy, eval_policy: the players of the training and of the validation data.
        gathered: the data of earlier runs, by :func:`data_key`. Those that this run does not use are removed, since
            they may be gigabytes, and those that it reads are added.
    """
    keys = {game: data_key(own, policy) for game, own in each.items()}
    for key in set(gathered) - set(keys.values()):
        del gathered[key]
    games: dict[str, GameData] = {}
    for game, own in each.items():
        if len(each) > 1:
            print(f"{game}: {len(games) + 1} of {len(each)} games")
        if keys[game] not in gathered:
            gathered[keys[game]] = gather(own, policy, eval_policy)
        games[game] = gathered[keys[game]].of(own)
        require_examples(games[game].examples, own)
    return games


def training_data(
    config: Config, games: Mapping[str, GameData]
) -> tuple[Config, Examples | JointExamples, Validate]:
    """What :func:`~spacetime_env.training.loop.train_loop` needs: config, examples and scores on validation data.

    Of one game, the config is its own, in which ``model.subframes`` is settled.
    """
    if not config.games:
        (data,) = games.values()
        return data.config, data.examples, lambda space: quick_scores(data.config, space, data.validation)

    def validate(space: Space) -> dict[str, float]:
        spaces = {game: with_background(space, data.examples) for game, data in games.items()}
        return mean_scores(config, spaces, {game: data.validation for game, data in games.items()})

    fixed = config.model.background.kind == "fixed"
    return config, JointExamples([data.examples for data in games.values()], fixed), validate


def asked_source(config: Config, checkpoints: Path) -> Source | None:
    """The weights that a run starts with, read before anything is recorded; None: new ones, or the run's own."""
    if config.train.start is None or checkpoints_in(checkpoints):
        return None
    return read_source(config.train.start, config.model.background.components)


def resume_or_take(run: Path, state: State, config: Config, source: Source | None, ranks: Ranks) -> None:
    """Resume a run, or give a new one the weights of :func:`asked_source`; what was done is printed.

    Args:
        source: of rank 0. The other ranks get its weights from rank 0.
    """

    def taken() -> None:
        if source is not None:
            state.start = take(source, state.space)
            print(state.start)

    if resume_all(run / "checkpoints", state, config, ranks):
        print(f"resuming {run} at step {state.step} of {config.train.steps}")
    elif config.train.start is not None:
        ranks.only(taken)
        ranks.same(state.space)


def classify_with(config: Config, games: Mapping[str, GameData]) -> Classify:
    """What makes the classifiers beside a run's checkpoints: ``"16"``, or of several games ``"Pong.16"``."""
    if not config.games:
        (data,) = games.values()
        return lambda space: quick_classifiers(data.config, space, data.validation)

    def classify(space: Space) -> dict[str, LinearClassifier]:
        found: dict[str, LinearClassifier] = {}
        for game, data in games.items():
            each = quick_classifiers(data.config, with_background(space, data.examples), data.validation)
            found |= {f"{game}.{count}": one for count, one in each.items()}
        return found

    return classify


def start(config: Config, examples: Examples | JointExamples, classify: Classify | None = None) -> State:
    """A new network, its optimizers and the state of its schedule, from the seed."""
    torch.manual_seed(config.seed)
    space = Space(config.model)
    examples.set_background(space)
    space.to(config.train.device)
    worst = -math.inf if config.data.pictures else -1.0
    mismatch = CountMismatch(config.loss)
    return State(space, make_optimizers(space, config), mismatch, best=worst, classify=classify)


def use_best(folder: Path, state: State) -> None:
    """Load the weights of the best checkpoint, if it exists and can be read."""
    if (folder / BEST).is_file():
        try:
            load_weights(folder / BEST, state.space)
        except CheckpointError as error:
            print(f"{error} The last weights are used instead of the best.")
