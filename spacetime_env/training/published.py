"""A model folder of a checkpoint of the published code: ``pretrain_space.py --import-upstream FILE.pth``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from spacetime_env import files
from spacetime_env.config import Config, ConfigError
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.players import policy_for
from spacetime_env.locks import hold
from spacetime_env.models.weights import require_model_folder
from spacetime_env.space import CountMismatch, load_upstream
from spacetime_env.training.checkpoint import State
from spacetime_env.training.finish import finish
from spacetime_env.training.game_data import gather_to_name
from spacetime_env.training.naming import NothingFoundError
from spacetime_env.training.provenance import as_yaml, provenance
from spacetime_env.training.start import UPSTREAM, titled

SUFFIX = "-upstream"  # of the names of the model and the run, so that a trained one of the game stays


def import_upstream(
    config: Config,
    checkpoint: str | Path,
    out: str | Path | None = None,
    run: str | Path | None = None,
    command: str = "",
    export_classifier: bool = False,
) -> Path:
    """Make a model folder of a checkpoint of the published code, as the end of a training makes one.

    Its objects are named on the validation split, from few labels or by clusters, and it is evaluated on the test
    splits. The network is as published: its frames are BGR.

    Args:
        config: of one game. Of its ``model`` only ``variant`` and ``background.components`` are used, which the weights
            do not tell.
        checkpoint: a ``.pth`` file. Nothing but tensors is unpickled.
        out: the model folder; None: ``models/<name>-upstream``.
        run: the folder for tables; None: ``runs/<name>-upstream``.
        command: the command line, for the card.
        export_classifier: see :func:`spacetime_env.training.pretrain.pretrain`.

    Returns:
        The model folder.

    Raises:
        ConfigError, DatasetError, NothingFoundError, BundleError, ValueError: each with a sentence that says what to
            do.
        LockError: another process works in ``run``.
    """
    began = time.perf_counter()
    if config.games:
        raise ConfigError("a checkpoint of the published code is of one game: say with --game which.")
    if Path(checkpoint).suffix.lower() != UPSTREAM:
        raise ConfigError(f"expected a checkpoint of the published code, FILE{UPSTREAM}, got {Path(checkpoint).name}.")
    name = f"{run_name(config)}{SUFFIX}"
    out, run = Path(out or Path("models") / name), Path(run or Path("runs") / name)
    require_model_folder(out)
    space = load_upstream(checkpoint, config.model.background.components, config.model.variant)
    title = titled(Path(checkpoint))
    ((game, own),) = each_game(config).items()
    own = replace(own, model=space.config, train=replace(own.train, steps=0, start=str(checkpoint)))
    torch.set_num_threads(own.train.threads)
    said = f"The weights are those in {title}, of the published code. The network sees BGR frames."
    run.mkdir(parents=True, exist_ok=True)
    with hold(run):
        data = gather_to_name(own, policy_for(own.data.eval_agent, "data.eval_agent"))
        files.write_atomically(run / "run.yaml", as_yaml(provenance(own, said)))
        state = State(space, [], CountMismatch(own.loss), start=said)
        seconds = time.perf_counter() - began
        try:
            return finish(own, state, {game: data}, out, run, seconds, command, export_classifier)
        except NothingFoundError:
            raise NothingFoundError(
                f"the network in {title} finds no object in {data.validation.path}, so there is nothing to "
                f"name. Is it of {game}? A lower scene.threshold finds more; it is {own.scene.threshold:g}."
            ) from None
