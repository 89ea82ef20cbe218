"""Hyperparameters: YAML as rl_zoo3 reads it, and ``key:value`` arguments of a command line.

A file has one entry for each env id, and ``default`` for the rest (https://rl-baselines3-zoo.readthedocs.io,
"Custom Configurations"). No part of it runs as code. rl_zoo3 evaluates a string such as
``"dict(net_arch=[64, 64], activation_fn=nn.Tanh)"``; here only literals and names in ``torch.nn`` are understood.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule
from torch import nn

SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")


class AgentError(ValueError):
    """An agent, or a request to train one, that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Hyperparameters:
    """The entry of a hyperparameter file, parsed.

    Attributes:
        raw: the entry with the overrides, as plain data, for ``agent.yaml``.
        n_envs: envs that play at once.
        n_timesteps: env steps of the whole training, over all envs.
        normalize: arguments of ``VecNormalize``, or None for none.
        env_kwargs: arguments of the env.
        policy: name or class of the policy.
        kwargs: the rest, for the algorithm.
    """

    raw: dict[str, Any]
    n_envs: int
    n_timesteps: int
    normalize: dict[str, Any] | None
    env_kwargs: dict[str, Any]
    policy: Any
    kwargs: dict[str, Any]


def algorithm(name: str) -> type[BaseAlgorithm]:
    """The class of an algorithm: ``ppo`` -> ``stable_baselines3.PPO``; also of sb3_contrib, if that is installed.

    Raises:
        AgentError: no such algorithm.
    """
    known: list[str] = []
    for module in ("stable_baselines3", "sb3_contrib"):
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        classes = {
            key.lower(): item
            for key, item in vars(found).items()
            if inspect.isclass(item) and issubclass(item, BaseAlgorithm)
        }
        if name.lower() in classes:
            return classes[name.lower()]
        known += sorted(classes)
    raise AgentError(f"unknown algorithm {name!r}. Algorithms: {', '.join(known)}.")


def read(path: Path, env_id: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The entry of ``env_id`` in a file, or else of ``default``, with the ``overrides``.

    Raises:
        AgentError: no such file, not YAML, or no such entry.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise AgentError(f"no hyperparameter file {path}.") from None
    except yaml.YAMLError as error:
        raise AgentError(f"{path} is not YAML: {error}") from None
    if not isinstance(tree, dict) or not (env_id in tree or "default" in tree):
        raise AgentError(f"{path} has no entry {env_id!r} and none called 'default'.")
    entry = tree[env_id] if env_id in tree else tree["default"]
    if not isinstance(entry, dict):
        raise AgentError(f"{path}: expected names and values under {env_id!r}, got {entry!r}.")
    return {**entry, **(overrides or {})}


def parse(raw: Mapping[str, Any], algo: type[BaseAlgorithm], n_timesteps: int = -1) -> Hyperparameters:
    """Turn an entry into arguments.

    Args:
        raw: the entry, see :func:`read`.
        n_timesteps: if over 0, in place of the entry's.

    Raises:
        AgentError: a name that the algorithm does not have, or a value that cannot be understood.
    """
    rest = dict(raw)
    if n_timesteps > 0:
        rest["n_timesteps"] = n_timesteps
    kept = {key: rest[key] for key in sorted(rest)}
    n_envs = whole(rest.pop("n_envs", 1), "n_envs")
    steps = whole(rest.pop("n_timesteps", 1_000_000), "n_timesteps")
    normalize = literal(rest.pop("normalize", False))
    if normalize is True:
        normalize = {}
    if isinstance(normalize, dict) and "gamma" in rest:
        normalize = {"gamma": rest["gamma"], **normalize}
    env_kwargs = literal(rest.pop("env_kwargs", None)) or {}
    policy = rest.pop("policy", "MlpPolicy")
    if isinstance(policy, str) and "." in policy:
        policy = imported(policy)
    names = [name for name in inspect.signature(algo.__init__).parameters if name not in ("self", "env")]
    for key in rest:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(names)}."
            raise AgentError(f"{algo.__name__} has no hyperparameter {key!r}. {hint}")
    kwargs = {
        key: scheduled(value, key) if key in SCHEDULED else literal(value) for key, value in rest.items()
    }
    if isinstance(kwargs.get("train_freq"), list):
        kwargs["train_freq"] = tuple(kwargs["train_freq"])
    return Hyperparameters(
        kept,
        n_envs,
        steps,
        normalize or None if normalize is False else normalize,
        dict(env_kwargs),
        policy,
        kwargs,
    )


def from_arguments(items: Sequence[str] | None) -> dict[str, Any]:
    """``["n_envs:8", "learning_rate:lin_1e-3"]`` -> a dict, as rl_zoo3's ``-params`` does.

    Raises:
        AgentError: an argument that is not ``name:value``.
    """
    found = {}
    for item in items or ():
        key, colon, value = item.partition(":")
        if not colon or not key:
            raise AgentError(f"expected name:value, such as n_envs:8, and got {item!r}.")
        found[key] = literal(value)
    return found


def whole(value: Any, name: str) -> int:
    """A whole number over 0; a text too, since YAML reads 1e6 as text.

    Raises:
        AgentError: it is something else.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if number < 1 or number != int(number):
        raise AgentError(f"{name}: expected a whole number over 0, got {value!r}.")
    return int(number)


def scheduled(value: Any, name: str) -> Any:
    """A schedule of SB3: constant for a number; for ``lin_2.5e-4`` from 2.5e-4 at the start of the training to 0.

    Raises:
        AgentError: it is neither.
    """
    if value is None:
        return None
    kind, under, number = str(value).partition("_")
    try:
        if under and kind == "lin":
            return LinearSchedule(float(number), 0.0, 1.0)
        return ConstantSchedule(float(value))
    except (TypeError, ValueError):
        raise AgentError(
            f"{name}: expected a number or lin_NUMBER, such as lin_2.5e-4, got {value!r}."
        ) from None


def imported(name: str) -> Any:
    """``package.module.Name`` -> the object.

    Raises:
        AgentError: it cannot be imported.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise AgentError(f"policy {name!r} cannot be imported: {error}.") from None


def literal(value: Any) -> Any:
    """The value of a text that spells a Python literal, a ``dict(...)`` of such or ``nn.Name``; others unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return _value(ast.parse(value.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return value


def _value(node: ast.expr) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and not node.args
    ):
        return {str(item.arg): _value(item.value) for item in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nn":
        if not hasattr(nn, node.attr):
            raise ValueError(node.attr)
        return getattr(nn, node.attr)
    return ast.literal_eval(node)
