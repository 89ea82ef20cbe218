"""Pretraining: from recorded frames to a model folder. :func:`pretrain` reads from top to bottom.

It records what data is missing, trains on motion, evaluates alongside, names the objects from a few labels
(or, where there are none, by clusters), writes the folder that :func:`spacetime_env.load_model` reads, and measures it.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import torch

from spacetime_env import files
from spacetime_env.config import Config
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.players import Player, policy_for
from spacetime_env.data.split import Split
from spacetime_env.evaluation import figures_json
from spacetime_env.space import CountMismatch, Space
from spacetime_env.training.checkpoint import (
    BEST,
    CheckpointError,
    State,
    read_checkpoint,
    resume,
)
from spacetime_env.training.examples import (
    Examples,
    JointExamples,
    require_examples,
    set_background,
)
from spacetime_env.training.finish import finish
from spacetime_env.training.game_data import GameData, data_key, gather
from spacetime_env.training.loop import train_loop
from spacetime_env.training.provenance import as_yaml, provenance
from spacetime_env.training.step import make_optimizers, require_settings


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
    files.write_atomically(run / "run.yaml", as_yaml(provenance(config)))
    train_loop(config, state, examples, validation, run)
    use_best(folder, state)
    return finish(config, state, games, out, run, data_seconds, command, export_classifier)


def forget(run: Path) -> None:
    """Throw away a run's checkpoints, logs and figures, and nothing else that lies in its folder."""
    for old in (run / "checkpoints", run / "tensorboard"):
        shutil.rmtree(old, ignore_errors=True)
    (run / figures_json.NAME).unlink(missing_ok=True)


def start(config: Config, examples: Examples | JointExamples) -> State:
    """A fresh network, its optimizers and the state of its schedule, from the seed."""
    torch.manual_seed(config.seed)
    space = Space(config.model)
    if isinstance(examples, Examples):  # of several games, each frame brings its own
        set_background(space, examples)
    space.to(config.train.device)
    return State(space, make_optimizers(space, config), CountMismatch(config.loss))


def use_best(folder: Path, state: State) -> None:
    """Take the weights of the best checkpoint, where there is one that can be read."""
    if (folder / BEST).is_file():
        try:
            state.space.load_state_dict(read_checkpoint(folder / BEST)["space"])
        except (CheckpointError, RuntimeError) as error:
            print(f"{error} The last weights are used instead of the best.")
