"""How far a training of an agent is, and the states of the random generators: ``spacetime.json`` of a checkpoint."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from spacetime_env.agent.errors import AgentError
from spacetime_env.files import is_count, is_number, shown

WORDS = 624  # of the state of a Mersenne Twister


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        timesteps: env steps that the weights were trained on.
        seconds: wall time, over all starts.
        sittings: number of starts of the training; 1 if it was never interrupted.
        evaluations: a dict each with timesteps, mean, std, episodes, training_mean, seconds.
        best: the mean return of the best evaluation.
    """

    timesteps: int = 0
    seconds: float = 0.0
    sittings: int = 1
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None


def checked_progress(tree: Any, name: str) -> Progress:
    """A :class:`Progress` from a file.

    Args:
        tree: what the file has.
        name: of the file, for messages.

    Raises:
        AgentError: an unknown name, or a value of another type or out of range.
    """
    known = {one.name for one in fields(Progress)}
    if not isinstance(tree, Mapping) or not set(tree) <= known:
        raise AgentError(f"{name} is damaged: expected {', '.join(sorted(known))} of its progress, got {shown(tree)}.")
    made = Progress(**tree)
    checks = {
        "timesteps": is_count(made.timesteps),
        "seconds": is_number(made.seconds) and made.seconds >= 0,
        "sittings": is_count(made.sittings) and made.sittings > 0,
        "evaluations": isinstance(made.evaluations, list) and all(_is_evaluation(one) for one in made.evaluations),
        "best": made.best is None or is_number(made.best),
    }
    for key, right in checks.items():
        if not right:
            raise AgentError(f"{name} is damaged: its progress has {key} {shown(getattr(made, key))}.")
    return made


def _is_evaluation(one: Any) -> bool:
    numbers, counts = ("mean", "std", "seconds"), ("timesteps", "episodes")
    return (
        isinstance(one, dict)
        and set(one) == {*numbers, *counts, "training_mean"}
        and all(is_number(one[key]) for key in numbers)
        and one["std"] >= 0
        and all(is_count(one[key]) for key in counts)
        and (one["training_mean"] is None or is_number(one["training_mean"]))
    )


@dataclass
class RandomState:
    """The states of torch's, numpy's and Python's generators; None: unknown."""

    torch: Any = None
    numpy: Any = None
    python: Any = None

    def apply(self) -> None:
        """Put them into the generators; an unknown one stays as it is."""
        if self.torch is not None:
            torch.set_rng_state(self.torch)
        if self.numpy is not None:
            np.random.set_state(self.numpy)
        if self.python is not None:
            random.setstate(self.python)


def random_state() -> dict[str, Any]:
    """The states of torch's, numpy's and Python's generators, as JSON holds them."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
    version, numbers, extra = random.getstate()
    return {
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, gauss],
        "python": [version, list(numbers), extra],
    }


def checked_random_state(tree: Any, name: str) -> RandomState:
    """What :func:`random_state` gave, from a file; every state was tried on a generator of its own.

    Args:
        tree: what the file has; an empty dict is no states.
        name: of the file, for messages.

    Raises:
        AgentError: one of them is none.
    """
    if not isinstance(tree, Mapping):
        raise AgentError(f"{name} is damaged: expected states of random generators, got {shown(tree)}.")
    found = RandomState()
    try:
        if "torch" in tree:
            raw = np.frombuffer(base64.b64decode(tree["torch"]), np.uint8).copy()
            found.torch = torch.from_numpy(raw)
            torch.Generator().set_state(found.torch)
        if "numpy" in tree:
            kind, keys, position, has_gauss, gauss = tree["numpy"]
            right = is_count(position) and position <= WORDS and has_gauss in (0, 1) and is_number(gauss)
            if not right or len(keys) != WORDS or not all(is_count(key) for key in keys):
                raise ValueError("no state of numpy's generator")
            found.numpy = (kind, np.array(keys, np.uint32), position, has_gauss, gauss)
            np.random.RandomState().set_state(found.numpy)
        if "python" in tree:
            version, numbers, extra = tree["python"]
            if not all(is_count(one) for one in numbers) or not (extra is None or is_number(extra)):
                raise ValueError("no state of Python's generator")
            found.python = (version, tuple(numbers), extra)
            random.Random().setstate(found.python)
    except (ValueError, TypeError, RuntimeError, OverflowError, LookupError, binascii.Error) as error:
        raise AgentError(f"{name} is damaged: the state of a random generator in it is none ({error}).") from None
    return found
