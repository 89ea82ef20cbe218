"""Agent folders: ``policy.zip``, ``agent.yaml``, ``CARD.md``. Written by training, read here."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from spacetime_env import shipped
from spacetime_env.agent.envs import NOOPS, NormalizedObservation, RandomStart, make
from spacetime_env.agent.hyperparameters import AgentError, Hyperparameters, algorithm, parse
from spacetime_env.agent.sb3_checkpoint import restore
from spacetime_env.shipped import BundleError

POLICY, DESCRIPTION, CARD = "policy.zip", "agent.yaml", "CARD.md"
REQUIRED = ("algo", "env", "env_kwargs", "hyperparameters", "policy_sha256", "model")


def load_agent(
    name_or_path: str | Path, device: str = "cpu", any_model: bool = False, **env_kwargs: Any
) -> tuple[BaseAlgorithm, gym.Env]:
    """An agent and the env it plays, ready for ``agent.predict(observation)``.

    Args:
        name_or_path: the name of a shipped agent such as ``pong-ppo``, or a folder made by train_agent.py.
        device: where the network runs.
        any_model: accept another SPACE-Time model than the one it was trained on.
        **env_kwargs: over those it was trained with, such as ``render_mode="rgb_array"``.

    Raises:
        AgentError: no such agent, a damaged folder, or one that was trained on another model.
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
    """The folder of an agent: a path, or the name of one that is shipped."""
    try:
        return shipped.find("agents", name_or_path, DESCRIPTION)
    except BundleError as error:
        raise AgentError(
            f"{error} Train one with: python train_agent.py --env SpaceTime/Pong-v5".strip()
        ) from None


def describe(folder: Path) -> dict[str, Any]:
    """What ``agent.yaml`` says, checked against ``policy.zip``."""
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
        raise AgentError(
            f"{folder / DESCRIPTION} has no {', '.join(missing)}; was it edited? Train the agent again."
        )
    if hashlib.sha256(policy).hexdigest() != about["policy_sha256"]:
        raise AgentError(
            f"{folder / POLICY} is not the file that {DESCRIPTION} describes: its sha256 differs, so it was "
            "cut short or replaced. Fetch the folder again."
        )
    return about


def lineage(policy: Path) -> list[dict[str, Any]]:
    """The trainings whose weights are in an agent folder's ``policy``, from the first on.

    Each has ``command``, ``timesteps`` of the weights that were kept, ``model`` (sha256), ``mean`` and ``std`` of the
    return. Empty where ``policy`` is not in an agent folder, as a checkpoint is.
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
    """Game and sha256 of the weights of the SPACE-Time model in ``env``; None where it does not tell."""
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
    """A fresh SB3 agent for ``env``; the names of the env's features are given to the objects' extractor."""
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


def evaluate(
    agent: BaseAlgorithm,
    env: gym.Env | VecEnv,
    episodes: int = 30,
    seed: int = 0,
    deterministic: bool = True,
    noops: int = NOOPS,
) -> np.ndarray:
    """Play ``episodes`` with random starts: (episodes,) float64 returns.

    Args:
        agent: an SB3 agent.
        env: one env, or several of :func:`spacetime_env.agent.envs.make_envs`, which play at once and have their
            own random starts. Each plays its share of whole episodes, so that short ones are not counted more often.
        episodes: how many in all.
        seed: fixes starts, sticky actions and, where the policy samples, its draws.
        deterministic: the most probable action; otherwise the policy samples.
        noops: a single env's episodes begin with 0 to this many steps of doing nothing.
    """
    if not isinstance(env, VecEnv):
        alone = DummyVecEnv([lambda: RandomStart(env, noops)])
        alone.seed(seed)
        return _play(agent, alone, episodes, seed, deterministic, lambda observation: observation)
    normalization = agent.get_vec_normalize_env()
    normalized = normalization is not None and normalization.norm_obs
    env.seed(seed)
    see = normalization.normalize_obs if normalized and normalization is not None else lambda observation: observation
    return _play(agent, env, episodes, seed, deterministic, see)


def _play(
    agent: BaseAlgorithm, envs: VecEnv, episodes: int, seed: int, deterministic: bool, see: Callable[[Any], Any]
) -> np.ndarray:
    """Returns of ``episodes``, env by env."""
    shares = [len(part) for part in np.array_split(np.arange(episodes), envs.num_envs)]
    returns: list[list[float]] = [[] for _ in shares]
    running = np.zeros(envs.num_envs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        observations = envs.reset()
        while any(len(done) < share for done, share in zip(returns, shares, strict=True)):
            actions, _ = agent.predict(see(observations), deterministic=deterministic)
            observations, rewards, dones, _ = envs.step(actions)
            running += rewards
            for i in np.flatnonzero(dones).tolist():
                returns[i].append(float(running[i]))
                running[i] = 0.0
    return np.array([one for done, share in zip(returns, shares, strict=True) for one in done[:share]])


class AgentPolicy:
    """A trained agent as what records data: a :class:`spacetime_env.data.players.Policy`.

    It takes the SPACE-Time model as it is now: an agent whose model was trained again plays worse, and what
    it records is as good. It is pickled without its network, which each process loads for itself.
    """

    def __init__(self, name_or_path: str | Path) -> None:
        self.folder = find(name_or_path).resolve()
        self.about = describe(self.folder)
        self.name = self.folder.name
        self.fingerprint = str(self.about["policy_sha256"])
        self.agent: BaseAlgorithm | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "agent": None}

    def make_env(self, game: str) -> gym.Env:
        """The env it was trained on; ``env.unwrapped.ale`` is the emulator.

        Raises:
            AgentError: it plays another game.
        """
        own = self.about["env"].rpartition("/")[2].rpartition("-")[0]
        if own != game:
            raise AgentError(f"the agent {self.name} plays {own}, and {game} is to be recorded.")
        self.agent, env = load_agent(self.folder, any_model=True)
        return env

    def reset(self, seed: int) -> None:
        """Seed the draws of a policy that samples."""
        torch.manual_seed(seed)

    def act(self, env: gym.Env, observation: Any) -> int:
        """The action for an observation of the env that :meth:`make_env` made."""
        if self.agent is None:
            raise AgentError("make_env comes before act.")
        return int(self.agent.predict(observation, deterministic=self.about.get("deterministic", True))[0])


def as_policy(name_or_path: str | Path) -> AgentPolicy:
    """An agent, by name or folder, that records data."""
    return AgentPolicy(name_or_path)


def write(folder: Path, policy: bytes, about: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Write an agent folder beside ``folder``, then put it in its place; an old one stays until then.

    Files of an old folder that are not written stay in it. The caller holds the folder that it is in.
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
            for path in old.iterdir():
                if not (folder / path.name).exists():
                    os.replace(path, folder / path.name)
            shutil.rmtree(old)
        else:
            os.replace(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
