"""What text may name: the policies, extractors, activations and optimizers that a file or a command line can ask for.

An agent folder may come from anyone. A name in it is looked up in the lists of this module, and nothing is imported
for it. ``trust=True`` lifts that: then ``package.module.Name`` is imported, which runs that module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN
from torch import nn

from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.extractor import ObjectsDQNPolicy, ObjectsExtractor, ObjectsPolicy
from spacetime_env.files import did_you_mean, shown, shown_names, shown_text

POLICIES: Mapping[str, type[BasePolicy]] = {"ObjectsPolicy": ObjectsPolicy, "ObjectsDQNPolicy": ObjectsDQNPolicy}
PREFIXES = ("", "spacetime_env.agent.", "spacetime_env.agent.extractor.")  # rl_zoo3 asks for the whole address

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
        *(nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Hardswish, nn.Identity),
    )
}
OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    kind.__name__: kind
    for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, RMSpropTFLike)
}
EXTRACTORS: Mapping[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (ObjectsExtractor, FlattenExtractor, NatureCNN, CombinedExtractor)
}


def policy(given: Any, algo: type[BaseAlgorithm], trust: bool = False) -> Any:
    """The policy that a hyperparameter asks for: a name that SB3 knows, or a class.

    Args:
        given: ``MlpPolicy`` and the others of the algorithm, or ``ObjectsPolicy``, ``ObjectsDQNPolicy``; in code, a
            class.
        algo: the algorithm; SB3's names mean its own policies.
        trust: also import ``package.module.Name``.

    Raises:
        AgentError: it is none of them.
    """
    if isinstance(given, type) and issubclass(given, BasePolicy):
        return given
    own = {prefix + name: kind for prefix in PREFIXES for name, kind in POLICIES.items()}
    if isinstance(given, str) and given in algo.policy_aliases:
        return given
    if isinstance(given, str) and given in own:
        return own[given]
    if trust and isinstance(given, str) and "." in given:
        return imported(given)
    raise AgentError(_unknown("policy", given, [*algo.policy_aliases, *POLICIES]))


def one_of(kinds: Mapping[str, type], given: Any, key: str, trust: bool = False) -> Any:
    """A class by its name: ``Tanh``, ``nn.Tanh`` or the whole address; a class of the list is returned as it is.

    Raises:
        AgentError: it is none of ``kinds``.
    """
    if isinstance(given, type) and (trust or given in kinds.values()):
        return given
    if isinstance(given, str):
        short = given.rpartition(".")[2]
        if short in kinds and given in addresses(kinds[short]):
            return kinds[short]
        if trust and "." in given:
            return imported(given)
    raise AgentError(_unknown(key, given, kinds))


def addresses(kind: type) -> tuple[str, ...]:
    """What a class may be called in text."""
    name = kind.__name__
    own = [prefix + name for prefix in PREFIXES]
    return (*own, f"nn.{name}", f"torch.nn.{name}", f"th.nn.{name}", f"optim.{name}", f"torch.optim.{name}")


def imported(name: str) -> Any:
    """``package.module.Name`` -> the object. It runs the module: only for text that is trusted.

    Raises:
        AgentError: it cannot be imported.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module may raise anything
        raise AgentError(f"{shown(name)} cannot be imported: {shown_text(str(error))}.") from None


def _unknown(what: str, given: Any, names: Iterable[str]) -> str:
    known = list(names)
    text = given if isinstance(given, str) else type(given).__name__
    hint = f"{did_you_mean(text.rpartition('.')[2], known)} Known: {shown_names(known)}.".lstrip()
    module = (
        "A class of your own, package.module.Name, is imported only with trust=True (train_agent.py --trust), since "
        "importing a module runs it."
    )
    return f"{what} {shown(text)} is not known. {hint} {module if '.' in text else ''}".rstrip()
