"""Hyperparameters: YAML as rl_zoo3 reads it, and ``key:value`` arguments of a command line.

A file has one entry for each env id, and ``default`` for the rest (https://rl-baselines3-zoo.readthedocs.io,
"Custom Configurations"). No part of it runs as code. rl_zoo3 evaluates a string such as
``"dict(net_arch=[64, 64], activation_fn=nn.Tanh)"``; here only literals and the classes of
:mod:`spacetime_env.agent.names` are understood.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import ConstantSchedule, LinearSchedule

from spacetime_env.agent import checks, names, ranges
from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError, did_you_mean, read_yaml, shown, shown_names

LONGEST = 10_000  # letters of a text that is read as a literal


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


def algorithm(name: Any) -> type[BaseAlgorithm]:
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
        if isinstance(name, str) and name.lower() in classes:
            return classes[name.lower()]
        known += sorted(classes)
    raise AgentError(f"unknown algorithm {shown(name)}. Algorithms: {', '.join(known)}.")


def read(path: Path, env_id: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The entry of ``env_id`` in a file, or else of ``default``, with the ``overrides``.

    Raises:
        AgentError: no such file, not YAML, or no such entry.
    """
    try:
        tree = read_yaml(path)
    except FileNotFoundError:
        raise AgentError(f"no hyperparameter file {path}.") from None
    except FileError as error:
        raise AgentError(str(error)) from None
    if not isinstance(tree, dict) or not (env_id in tree or "default" in tree):
        raise AgentError(f"{path} has no entry {shown(env_id)} and none called 'default'.")
    entry = tree[env_id] if env_id in tree else tree["default"]
    if not isinstance(entry, dict):
        raise AgentError(f"{path}: expected names and values under {shown(env_id)}, got {shown(entry)}.")
    return {**entry, **(overrides or {})}


def parse(
    raw: Mapping[str, Any], algo: type[BaseAlgorithm], n_timesteps: int = -1, trust: bool = False
) -> Hyperparameters:
    """Turn an entry into arguments, each of a type and in a range that SB3 can use.

    Args:
        raw: the entry, see :func:`read`.
        algo: the algorithm.
        n_timesteps: if over 0, in place of the entry's.
        trust: import the classes that it names by their address, see :mod:`spacetime_env.agent.names`.

    Raises:
        AgentError: a name that the algorithm does not have, or a value that cannot be used.
    """
    rest = dict(raw)
    if n_timesteps > 0:
        rest["n_timesteps"] = n_timesteps
    if not all(isinstance(key, str) for key in rest):
        raise AgentError("the names of hyperparameters are text.")
    kept = {key: rest[key] for key in sorted(rest)}
    n_envs = whole(rest.pop("n_envs", 1), "n_envs", 4096)
    steps = whole(rest.pop("n_timesteps", 1_000_000), "n_timesteps", 10**12)
    normalize = _normalize(literal(rest.pop("normalize", False)), rest.get("gamma"))
    env_kwargs = ranges.env_kwargs(literal(rest.pop("env_kwargs", None)) or {})
    policy = names.policy(rest.pop("policy", "MlpPolicy"), algo, trust)
    return Hyperparameters(kept, n_envs, steps, normalize, env_kwargs, policy, _arguments(rest, algo, trust))


def _arguments(rest: Mapping[str, Any], algo: type[BaseAlgorithm], trust: bool) -> dict[str, Any]:
    """The arguments of the algorithm itself."""
    known = inspect.signature(algo.__init__).parameters
    kwargs: dict[str, Any] = {}
    for key, value in rest.items():
        if key not in known or key in ("self", "env"):
            own = [name for name in known if name not in ("self", "env", *ranges.REFUSED)]
            hint = did_you_mean(key, own) or f"It has: {shown_names(own)}."
            raise AgentError(f"{algo.__name__} has no hyperparameter {shown(key)}. {hint}")
        default = known[key].default
        if key == "policy_kwargs":
            kwargs[key] = ranges.policy_kwargs(literal(value), trust)
        elif key in ranges.SCHEDULED:
            kwargs[key] = None if value is None and default is None else scheduled(value, key)
        else:
            kwargs[key] = ranges.argument(literal(value), key, default)
    return kwargs


def _normalize(given: Any, gamma: Any) -> dict[str, Any] | None:
    """The arguments of ``VecNormalize``: None for none. Rewards are discounted as in the algorithm."""
    if given is None or given is False:
        return None
    if given is not True and not isinstance(given, Mapping):
        raise AgentError(f"normalize: expected True, False or such as dict(norm_reward=False), got {shown(given)}.")
    asked = {} if given is True else dict(given)
    if gamma is not None:
        asked = {"gamma": gamma, **asked}
    return {key: checks.checked(literal(value), key, ranges.NORMALIZE) for key, value in asked.items()}


def from_arguments(items: Sequence[str] | None) -> dict[str, Any]:
    """``["n_envs:8", "learning_rate:lin_1e-3"]`` -> a dict, as rl_zoo3's ``-params`` does.

    Raises:
        AgentError: an argument that is not ``name:value``.
    """
    found = {}
    for item in items or ():
        key, colon, value = item.partition(":")
        if not colon or not key:
            raise AgentError(f"expected name:value, such as n_envs:8, and got {shown(item)}.")
        found[key] = literal(value)
    return found


def whole(value: Any, name: str, most: int = 10**12) -> int:
    """A whole number over 0; a text too, since YAML reads 1e6 as text.

    Raises:
        AgentError: it is something else, or over ``most``.
    """
    return int(checks.checked(value, name, {name: checks.whole(1, most)}))


def scheduled(value: Any, name: str) -> Any:
    """A schedule of SB3: constant for a number; for ``lin_2.5e-4`` from 2.5e-4 at the start of the training to 0.

    Raises:
        AgentError: it is neither.
    """
    linear = isinstance(value, str) and value.startswith("lin_")
    try:
        rate = float(checks.number(0)(value[4:] if linear else value))
    except ValueError:
        raise AgentError(
            f"{name}: expected a number, 0 or more, or lin_NUMBER, such as lin_2.5e-4, got {shown(value)}."
        ) from None
    return LinearSchedule(rate, 0.0, 1.0) if linear else ConstantSchedule(rate)


def literal(value: Any) -> Any:
    """The value of a text that spells a Python literal or a ``dict(...)`` of such; others unchanged.

    ``nn.Name`` stays text: :mod:`spacetime_env.agent.names` knows the classes that may be named.
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        return value
    try:
        body = ast.parse(value.strip(), mode="eval").body
        return value if isinstance(body, (ast.Attribute, ast.Name)) else _value(body)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):  # the last two: of deep brackets
        return value


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(item.arg): _value(item.value) for item in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, (ast.Attribute, ast.Name)):
        return ast.unparse(node)  # the name of a class
    return ast.literal_eval(node)
