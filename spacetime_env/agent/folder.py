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
import numpy as np
import torch
import yaml
from gymnasium.spaces import Discrete
from stable_baselines3.common.base_class import BaseAlgorithm

from spacetime_env import shipped
from spacetime_env.agent.build import build
from spacetime_env.agent.description import DESCRIPTION, POLICY, describe
from spacetime_env.agent.envs import ANY, make, require_env
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.find_model import model_of, with_model
from spacetime_env.agent.hyperparameters import algorithm, parse
from spacetime_env.agent.normalization import NormalizedObservation
from spacetime_env.agent.playing import Acting
from spacetime_env.agent.sb3_checkpoint import restore
from spacetime_env.files import shown_text
from spacetime_env.shipped import BundleError


def load_agent(
    name_or_path: str | Path,
    device: str = "cpu",
    any_model: bool = False,
    trust: bool = False,
    model_device: str | None = None,
    **env_kwargs: Any,
) -> tuple[BaseAlgorithm, gym.Env]:
    """Load an agent and make the env that it plays; then ``agent.predict(observation)`` chooses actions.

    :class:`~spacetime_env.agent.Acting` chooses them too, and remembers what a recurrent policy has to. The env looks
    with the SPACE-Time model that the agent was trained on: the game's model if its hash is still the same, or else the
    copy in the agent's folder (``model``), or one with this hash among the shipped models and those under ``./models``.

    Args:
        name_or_path: the name of a shipped agent such as ``pong-ppo``, or a folder made by train_agent.py.
        device: where the agent's network runs, such as ``cpu``.
        any_model: accept another SPACE-Time model than the one that the agent was trained on.
        trust: import the modules that the folder names. Importing a module runs it; without it no code of a folder
            runs.
        model_device: where the network of the env's SPACE-Time model runs; None: the CPU.
        **env_kwargs: options of the env that override those of the training, such as ``render_mode="rgb_array"``.

    Raises:
        AgentError: there is no such agent, its folder is damaged, or it was trained on another model.
    """
    folder = find(name_or_path)
    about = describe(folder)
    env_id, asked = require_env(about["env"], trust), about["model"]["sha256"]
    settings = parse(about["hyperparameters"], algorithm(about["algo"]), trust=trust)
    kwargs = {**about["env_kwargs"], **env_kwargs}
    if model_device is not None:
        kwargs["device"] = model_device
    if not any_model and "model" not in env_kwargs:
        kwargs = with_model(env_id, kwargs, asked, folder)
    env = make(env_id, kwargs, trust)
    try:
        if not any_model and model_of(env)["sha256"] != asked:
            raise AgentError(
                f"the agent {folder} was trained on the objects of another model: that of "
                f"{about['model']['game']} has changed since, or another was given. Expected weights of the sha256 "
                f"{asked}. Train the agent again with train_agent.py, or accept the model with any_model=True."
            )
        agent = build(about["algo"], settings, env, device, to_play=True)
        restore(folder / POLICY, agent, counters=False)
    except BaseException:
        env.close()
        raise
    normalization = agent.get_vec_normalize_env()
    if normalization is not None and normalization.norm_obs:
        env = NormalizedObservation(env, normalization)
    return agent, env


def load_actor(name_or_path: str | Path, model: Any = None, **options: Any) -> tuple[Acting, gym.Env]:
    """An agent that chooses actions as it was trained to, and its env, whose resets it is told of.

    Args:
        name_or_path: see :func:`load_agent`.
        model: another SPACE-Time model than the agent's own: a name, a path or a loaded model.
        **options: further arguments of :func:`load_agent`.

    Raises:
        AgentError: see :func:`load_agent`.
    """
    given = {} if model is None else {"model": model, "any_model": True}
    agent, env = load_agent(name_or_path, **given, **options)
    acting = Acting(agent, describe(find(name_or_path)).get("deterministic", True))
    return acting, acting.following(env)


def find(name_or_path: str | Path) -> Path:
    """The folder of an agent, given its path or the name of a shipped one.

    Raises:
        AgentError: there is no such agent.
    """
    try:
        return shipped.find("agents", name_or_path, DESCRIPTION)
    except BundleError as error:
        raise AgentError(f"{error} Train one with: python train_agent.py --env SpaceTime/Pong-v5") from None
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise AgentError(f"no agent {shown_text(str(name_or_path), 80)!r}: {reason}.") from None


class AgentPolicy:
    """A trained agent as what records data: a :class:`spacetime_env.data.players.Policy`.

    It takes the SPACE-Time model as it is now: an agent whose model was trained again plays worse, and what
    it records is as good. It is pickled without its network, which each process loads for itself.
    """

    def __init__(self, name_or_path: str | Path, trust: bool = False) -> None:
        self.folder = find(name_or_path).resolve()
        self.about = describe(self.folder)
        self.name = self.folder.name
        self.fingerprint = str(self.about["policy_sha256"])
        self._trust = trust
        self._acting: Acting | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_acting": None}

    def make_env(self, game: str) -> gym.Env:
        """The env it was trained on; of an Atari game ``env.unwrapped.ale`` is the emulator.

        Args:
            game: of ``SpaceTime/Any-v0`` its option ``env_id``.

        Raises:
            AgentError: it plays another game.
        """
        own = self.about["env"].rpartition("/")[2].rpartition("-")[0]
        if self.about["env"] == ANY:
            own = self.about["env_kwargs"].get("env_id")
        if own != game:
            raise AgentError(f"the agent {self.name} plays {own}, and {game} is to be recorded.")
        self._acting, env = load_actor(self.folder, any_model=True, trust=self._trust)
        return env

    def reset(self, seed: int) -> None:
        """Seed the draws of a policy that samples."""
        torch.manual_seed(seed)

    def act(self, env: gym.Env, observation: Any) -> int | np.ndarray:
        """The action for an observation of the env that :meth:`make_env` made, after the one before it."""
        if self._acting is None:
            raise AgentError("make_env comes before act.")
        action = self._acting(observation)
        return int(action) if isinstance(env.action_space, Discrete) else np.asarray(action)


def as_policy(name_or_path: str | Path, trust: bool = False) -> AgentPolicy:
    """An agent, by name or folder, that records data; ``trust`` is that of :func:`load_agent`."""
    return AgentPolicy(name_or_path, trust)


def write(
    folder: Path,
    policy: bytes,
    about: Mapping[str, Any],
    texts: Mapping[str, str],
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write an agent folder beside ``folder``, then put it in its place; an old one stays until then.

    Files of an old folder that are not written stay in it. The caller holds the folder that it is in.

    Args:
        policy: the content of ``policy.zip``.
        about, texts: what ``agent.yaml`` says, and the texts of other files.
        more: further files: path in the folder -> content.

    Raises:
        OSError: it cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        os.chmod(new, 0o755)
        (new / POLICY).write_bytes(policy)
        about = {**about, "policy_sha256": hashlib.sha256(policy).hexdigest()}
        (new / DESCRIPTION).write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8")
        for name, content in (more or {}).items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_bytes(content)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            os.replace(folder, old)  # an empty folder may be replaced
            os.replace(new, folder)
            for path in old.iterdir():
                if not (folder / path.name).exists():
                    os.replace(path, folder / path.name)
            shutil.rmtree(old)
        else:
            os.replace(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
