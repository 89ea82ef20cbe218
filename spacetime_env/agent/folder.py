"""Agent folders, which hold ``policy.zip``, ``agent.yaml`` and ``CARD.md``: loading, checking and writing them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from spacetime_env import shipped
from spacetime_env.agent.envs import NormalizedObservation, make
from spacetime_env.agent.hyperparameters import AgentError, Hyperparameters, algorithm, parse
from spacetime_env.agent.sb3_checkpoint import restore
from spacetime_env.shipped import BundleError

POLICY, DESCRIPTION, CARD = "policy.zip", "agent.yaml", "CARD.md"
REQUIRED = ("algo", "env", "env_kwargs", "hyperparameters", "policy_sha256", "model")


def load_agent(
    name_or_path: str | Path, device: str = "cpu", any_model: bool = False, **env_kwargs: Any
) -> tuple[BaseAlgorithm, gym.Env]:
    """Load an agent and make the env that it plays; then ``agent.predict(observation)`` chooses actions.

    Args:
        name_or_path: the name of a shipped agent such as ``pong-ppo``, or a folder made by train_agent.py.
        device: where the network runs, such as ``cpu``.
        any_model: accept another SPACE-Time model than the one that the agent was trained on.
        **env_kwargs: options of the env that override those of the training, such as ``render_mode="rgb_array"``.

    Raises:
        AgentError: there is no such agent, its folder is damaged, or it was trained on another model.
    """
    folder = find(name_or_path)
    about = describe(folder)
    kwargs = {**about["env_kwargs"], **env_kwargs}
    env = make(about["env"], kwargs)
    try:
        model = model_of(env)
        if not any_model and model["sha256"] != about["model"]["sha256"]:
            raise AgentError(
                f"the agent {folder} was trained on the objects of another model: that of "
                f"{about['model']['game']} has changed since, or another was given. Train the agent again "
                "with train_agent.py, or accept the model with any_model=True."
            )
        agent = build(about["algo"], parse(about["hyperparameters"], algorithm(about["algo"])), env, device)
        restore(folder / POLICY, agent, counters=False)
    except BaseException:
        env.close()
        raise
    normalization = agent.get_vec_normalize_env()
    if normalization is not None and normalization.norm_obs:
        env = NormalizedObservation(env, normalization)
    return agent, env


def find(name_or_path: str | Path) -> Path:
    """The folder of an agent, given its path or the name of a shipped one.

    Raises:
        AgentError: there is no such agent.
    """
    try:
        return shipped.find("agents", name_or_path, DESCRIPTION)
    except BundleError as error:
        raise AgentError(f"{error} Train one with: python train_agent.py --env SpaceTime/Pong-v5") from None


def describe(folder: Path) -> dict[str, Any]:
    """Read ``agent.yaml``, and check that ``policy.zip`` is the file that it describes.

    Raises:
        AgentError: a file is missing or damaged, or the two do not fit.
    """
    try:
        about = yaml.safe_load((folder / DESCRIPTION).read_text())
        policy = (folder / POLICY).read_bytes()
    except FileNotFoundError as error:
        raise AgentError(
            f"{folder} is not an agent: it has no {Path(error.filename).name}. train_agent.py writes agents."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AgentError(f"{folder / DESCRIPTION} is not YAML: {error}") from None
    missing = [key for key in REQUIRED if key not in about] if isinstance(about, dict) else list(REQUIRED)
    if missing:
        raise AgentError(f"{folder / DESCRIPTION} has no {', '.join(missing)}; was it edited? Train the agent again.")
    if hashlib.sha256(policy).hexdigest() != about["policy_sha256"]:
        raise AgentError(
            f"{folder / POLICY} is not the file that {DESCRIPTION} describes: its sha256 differs, so it was "
            "cut short or replaced. Fetch the folder again."
        )
    return about


def lineage(policy: Path) -> list[dict[str, Any]]:
    """The trainings that led to the weights in an agent folder's ``policy``, the first one first.

    Returns:
        Of each, ``command``, ``timesteps`` of the weights that were kept, ``model`` (its sha256), and ``mean`` and
        ``std`` of the return. Empty if ``policy`` does not lie in an agent folder: a checkpoint, for instance.
    """
    try:
        about = describe(policy.parent)
    except AgentError:
        return []
    trained, result = about.get("trained", {}), about.get("evaluation", {})
    own = {"command": trained.get("command", ""), "timesteps": trained.get("best_timesteps")}
    own |= {"model": about["model"]["sha256"], "mean": result.get("mean"), "std": result.get("std")}
    return [*trained.get("earlier", []), own]


def model_of(env: gym.Env | VecEnv) -> dict[str, Any]:
    """The game of the SPACE-Time model in ``env`` and the sha256 of its weights; None if ``env`` has no such model."""
    try:
        model = env.get_attr("model")[0] if isinstance(env, VecEnv) else env.get_wrapper_attr("model")
    except AttributeError:
        return {"game": None, "sha256": None}
    return {
        "game": getattr(model, "game", None),
        "sha256": getattr(getattr(model, "settings", None), "sha256", None),
    }


def build(
    algo: str,
    settings: Hyperparameters,
    env: gym.Env | VecEnv,
    device: str = "cpu",
    seed: int | None = None,
    **kwargs: Any,
) -> BaseAlgorithm:
    """Make an untrained SB3 agent for an env.

    Args:
        algo: name of the algorithm, such as ``ppo``.
        settings: its hyperparameters. A policy that reads objects is given the names of the env's features.
        env: the env, or several at once.
        device, seed, **kwargs: for the algorithm.

    Raises:
        AgentError: the algorithm refuses the env or a hyperparameter.
    """
    vector = env if isinstance(env, VecEnv) else DummyVecEnv([lambda: env])
    options = dict(settings.kwargs)
    policy_kwargs = dict(options.get("policy_kwargs") or {})
    if getattr(settings.policy, "reads_objects", False):
        names = vector.get_attr("feature_names")[0]
        policy_kwargs["features_extractor_kwargs"] = {
            "features": list(names),
            **policy_kwargs.get("features_extractor_kwargs", {}),
        }
    if policy_kwargs:
        options["policy_kwargs"] = policy_kwargs
    if settings.normalize is not None:
        vector = VecNormalize(vector, **settings.normalize)
    try:
        return algorithm(algo)(settings.policy, vector, device=device, seed=seed, **options, **kwargs)
    except (AssertionError, ValueError, TypeError) as error:
        raise AgentError(f"{algo} cannot be made for this env: {error}") from None


def write(folder: Path, policy: bytes, about: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Write an agent folder. It is written beside ``folder`` and then takes its place, so that it is never half there.

    Args:
        folder: where to.
        policy: the bytes of ``policy.zip``.
        about: the content of ``agent.yaml``; the hash of ``policy`` is added.
        texts: further files, name -> text.

    Raises:
        OSError: it cannot be written. An agent that was there is then unchanged.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        os.chmod(new, 0o755)
        (new / POLICY).write_bytes(policy)
        about = {**about, "policy_sha256": hashlib.sha256(policy).hexdigest()}
        (new / DESCRIPTION).write_text(yaml.safe_dump(about, sort_keys=False))
        for name, text in texts.items():
            (new / name).write_text(text)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            os.replace(folder, old)  # an empty folder may be replaced
            os.replace(new, folder)
            shutil.rmtree(old)
        else:
            os.replace(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
