"""Agents of Stable-Baselines3 that play on objects.

In: a ``SpaceTime/<Game>-v5`` environment and hyperparameters, or an agent folder. Out: an agent folder, or an agent
that plays.

:func:`load_agent` gives an agent, shipped or trained here, and the environment that it plays. :class:`Acting` chooses
its actions step by step, with the memory of a recurrent policy; :func:`load_actor` gives both. :func:`evaluate`
measures an agent's return, and :func:`as_policy` lets it record data. :mod:`spacetime_env.agent.train` trains one, with
:class:`ObjectsPolicy` or :class:`ObjectsDQNPolicy`, whose features come from :class:`ObjectsExtractor`. A
:class:`VectorEnvBridge` lets Stable-Baselines3 train on ``gym.make_vec``. Importing this room imports
stable_baselines3; ``import spacetime_env`` does not.
"""

from spacetime_env.agent.bridge import VectorEnvBridge
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.extractor import ObjectsDQNPolicy, ObjectsExtractor, ObjectsPolicy
from spacetime_env.agent.folder import AgentPolicy, as_policy, load_actor, load_agent
from spacetime_env.agent.playing import Acting, evaluate

__all__ = [
    "Acting",
    "AgentError",
    "AgentPolicy",
    "ObjectsDQNPolicy",
    "ObjectsExtractor",
    "ObjectsPolicy",
    "VectorEnvBridge",
    "as_policy",
    "evaluate",
    "load_actor",
    "load_agent",
]
