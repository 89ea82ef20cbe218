"""Agents: Stable-Baselines3 on the objects that SPACE-Time sees.

:func:`load_agent` gives a shipped or a trained agent with the env it plays, :func:`evaluate` plays it,
:func:`as_policy` lets it record data, and ``train_agent.py`` trains one (:mod:`spacetime_env.agent.train`).
Importing this imports stable_baselines3; ``import spacetime_env`` alone does not.
"""

from spacetime_env.agent.bridge import VectorEnvBridge
from spacetime_env.agent.extractor import ObjectsDQNPolicy, ObjectsExtractor, ObjectsPolicy
from spacetime_env.agent.folder import AgentPolicy, as_policy, evaluate, load_agent
from spacetime_env.agent.hyperparameters import AgentError

__all__ = [
    "AgentError",
    "AgentPolicy",
    "ObjectsDQNPolicy",
    "ObjectsExtractor",
    "ObjectsPolicy",
    "VectorEnvBridge",
    "as_policy",
    "evaluate",
    "load_agent",
]
