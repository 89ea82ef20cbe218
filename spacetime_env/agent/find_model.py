"""Finds the SPACE-Time model that an agent was trained on: by the hash of its weights, wherever it lies.

An agent's folder keeps a copy of its model in ``model``, so that a better model of the game does not orphan the agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import VecEnv

from spacetime_env import shipped
from spacetime_env.agent.envs import ANY, is_spacetime
from spacetime_env.agent.errors import AgentError
from spacetime_env.envs.choose_model import default_model
from spacetime_env.files import shown_text
from spacetime_env.models.settings import SETTINGS, read_settings
from spacetime_env.models.weights import WEIGHTS

OWN = "model"  # the folder with the agent's model, in the agent's folder


def with_model(
    env_id: str, env_kwargs: Mapping[str, Any], sha256: str | None, agent: Path | None = None
) -> dict[str, Any]:
    """Options of an env, in which ``model`` is the one that has the hash.

    The model that the options or the env's default name come first. If it has another hash, as one that was trained
    again has, the agent's own copy is taken, or else the others are searched: those under ``./models`` and those that
    are shipped.

    Args:
        env_id: of the env. Options of envs of other packages are returned as they are.
        env_kwargs: its options.
        sha256: of the model's weights, as ``agent.yaml`` has it; None: none is asked for.
        agent: the agent's folder.

    Raises:
        AgentError: no model has it.
    """
    given = env_kwargs.get("model")
    if not (is_spacetime(env_id) or env_id == ANY) or sha256 is None or not (given is None or isinstance(given, str)):
        return dict(env_kwargs)
    if _sha256(_named(env_id, given)) == sha256:
        return dict(env_kwargs)
    for folder in [*([] if agent is None else [agent / OWN]), *_folders()]:
        if _sha256(folder) == sha256:
            return {**env_kwargs, "model": str(folder)}
    places = ", ".join(str(place.absolute()) for place in shipped.places("models"))
    raise AgentError(
        f"the agent was trained on the objects of another model than {given or 'the default one'}: the sha256 of its "
        f"weights is {shown_text(sha256)}, and no model in {places} has it. Get that model and put its folder under "
        "./models, train the agent again with train_agent.py, or accept the model that there is with any_model=True."
    )


def model_files(env_id: str, env_kwargs: Mapping[str, Any], sha256: str | None) -> dict[str, bytes]:
    """The files of the model with a hash, by their path in an agent's folder; none if there is no such model.

    Args:
        env_id, env_kwargs, sha256: see :func:`with_model`.
    """
    if sha256 is None or not (is_spacetime(env_id) or env_id == ANY):
        return {}
    try:
        folder = _named(env_id, with_model(env_id, env_kwargs, sha256).get("model"))
    except AgentError:
        return {}
    if folder is None or _sha256(folder) != sha256:
        return {}
    return {f"{OWN}/{name}": (folder / name).read_bytes() for name in (SETTINGS, WEIGHTS)}


def model_of(env: gym.Env | VecEnv) -> dict[str, Any]:
    """Game and sha256 of the weights of the SPACE-Time model in ``env``; None where it does not tell."""
    try:
        model = env.get_attr("model")[0] if isinstance(env, VecEnv) else env.get_wrapper_attr("model")
    except AttributeError:
        return {"game": None, "sha256": None}
    return {
        "game": getattr(model, "game", None),
        "sha256": getattr(getattr(model, "settings", None), "sha256", None),
    }


def _named(env_id: str, given: str | None) -> Path | None:
    """The folder of the model that the options name, or of the default one; None if there is none."""
    try:
        return shipped.find("models", given or default_model(gym.spec(env_id).kwargs.get("game")))
    except (ValueError, OSError):
        return None


def _folders() -> Iterator[Path]:
    for place in shipped.places("models"):
        yield from sorted(path.parent for path in place.absolute().glob(f"*/{SETTINGS}"))


def _sha256(folder: Path | None) -> str | None:
    """The hash that ``model.yaml`` names; None if it cannot be read. Loading the model compares it with the weights."""
    try:
        return None if folder is None else read_settings(folder).sha256
    except (ValueError, OSError):
        return None
