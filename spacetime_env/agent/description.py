"""``agent.yaml``, which describes an agent: read, checked and compared with its ``policy.zip``.

An agent folder may come from anyone. So types and ranges of what it says are checked here, before anything is made of
it; its hyperparameters are checked by :mod:`spacetime_env.agent.hyperparameters`, its weights by
:mod:`spacetime_env.agent.sb3_checkpoint`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacetime_env.agent import ranges
from spacetime_env.agent.errors import AgentError
from spacetime_env.files import FileError, is_count, is_number, read_bytes, read_yaml, shown, shown_text

POLICY, DESCRIPTION, CARD = "policy.zip", "agent.yaml", "CARD.md"
LARGEST = 512 * 2**20  # bytes of a policy.zip: weights, and two numbers of the optimizer for each


def describe(folder: Path) -> dict[str, Any]:
    """What ``agent.yaml`` says, checked, and compared with ``policy.zip``.

    Returns:
        At least ``algo``, ``env``, ``env_kwargs``, ``hyperparameters``, ``policy_sha256`` and ``model`` with ``game``
        and ``sha256``; perhaps ``deterministic``, ``evaluation``, ``trained`` and others.

    Raises:
        AgentError: a file is missing, damaged or of another policy, or a key is missing or of another type.
    """
    path = folder / DESCRIPTION
    about = _read(path)
    try:
        policy = read_bytes(folder / POLICY, LARGEST)
    except FileNotFoundError:
        raise AgentError(_no_agent(folder, POLICY)) from None
    except FileError as error:
        raise AgentError(str(error)) from None
    if hashlib.sha256(policy).hexdigest() != about["policy_sha256"]:
        raise AgentError(
            f"{folder / POLICY} is not the file that {DESCRIPTION} describes: its sha256 differs, so it was "
            "cut short or replaced. Fetch the folder again."
        )
    return about


def _read(path: Path) -> dict[str, Any]:
    try:
        about = read_yaml(path)
    except FileNotFoundError:
        raise AgentError(_no_agent(path.parent, DESCRIPTION)) from None
    except FileError as error:
        raise AgentError(f"{error} Train the agent again, or fetch it again.") from None
    missing = [key for key in REQUIRED if key not in about] if isinstance(about, dict) else list(REQUIRED)
    if missing:
        raise AgentError(f"{path} has no {', '.join(missing)}; was it edited? Train the agent again.")
    try:
        for key, (check, says) in {**REQUIRED, **OPTIONAL}.items():
            if key in about and not check(about[key]):
                raise AgentError(f"{key}: expected {says}, got {shown(about[key])}.")
        about["env_kwargs"] = ranges.env_kwargs(about["env_kwargs"])
    except AgentError as error:
        raise AgentError(f"{path}: {error} Was it edited? Train the agent again.") from None
    return about


def _no_agent(folder: Path, lacks: str) -> str:
    return f"{folder} is not an agent: it has no {lacks}. train_agent.py writes agents."


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
    own = {"command": trained.get("command"), "timesteps": trained.get("best_timesteps")}
    own |= {"model": about["model"]["sha256"], "mean": result.get("mean"), "std": result.get("std")}
    return [_training(one) for one in [*trained.get("earlier", []), own]]


def _training(one: Mapping[str, Any]) -> dict[str, Any]:
    """A training of a lineage, where what is unknown, or no text or number, is "" or None."""
    found: dict[str, Any] = {"command": shown_text(one["command"], 1000) if _text(one.get("command")) else ""}
    found["timesteps"] = one["timesteps"] if is_count(one.get("timesteps")) else None
    found["model"] = one["model"] if _sha256(one.get("model")) else None
    both = is_number(one.get("mean")) and is_number(one.get("std"))
    return {**found, "mean": float(one["mean"]) if both else None, "std": float(one["std"]) if both else None}


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _model(value: Any) -> bool:
    if not isinstance(value, dict) or not {"game", "sha256"} <= set(value):
        return False
    return all(value[key] is None or _text(value[key]) for key in ("game", "sha256"))


def _trained(value: Any) -> bool:
    earlier = value.get("earlier", []) if isinstance(value, dict) else None
    return isinstance(earlier, list) and len(earlier) < 1000 and all(isinstance(one, dict) for one in earlier)


_Check = tuple[Callable[[Any], bool], str]  # and what it expects, in words
REQUIRED: Mapping[str, _Check] = {
    "algo": (_text, "the name of an algorithm"),
    "env": (_text, "the id of an env"),
    "env_kwargs": (lambda value: isinstance(value, dict), "names and values"),
    "hyperparameters": (lambda value: isinstance(value, dict), "names and values"),
    "policy_sha256": (_sha256, "64 hexadecimal digits"),
    "model": (_model, "game and sha256 of a model, each a text or null"),
}
OPTIONAL: Mapping[str, _Check] = {
    "name": (_text, "a text"),
    "deterministic": (lambda value: isinstance(value, bool), "true or false"),
    "evaluation": (lambda value: isinstance(value, dict), "names and values"),
    "trained": (_trained, "names and values, of which earlier is a list"),
}
