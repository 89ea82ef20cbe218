"""Policies for Stable-Baselines3 that read objects: they compute relative features before the usual network.

In most games what matters is where objects are relative to each other. An agent that is given positions alone has to
learn subtraction first. So the extractor adds the offset and the relative velocity of every pair of objects. It is the
same for all games: the names of the features say which columns are positions and which are velocities.

The policies are used by name, in YAML or in code, here and in rl_zoo3::

    policy: spacetime_env.agent.ObjectsPolicy        # ppo, a2c, trpo
    policy: spacetime_env.agent.ObjectsDQNPolicy     # dqn
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import DQNPolicy
from torch import Tensor, nn

from spacetime_env.objects import FEATURES

PAIR = 6  # features of a pair: offset, tanh of the scaled offset, relative velocity; x and y of each


class ObjectsExtractor(BaseFeaturesExtractor):
    """Turns rows of objects into one vector: the rows themselves, and features of every pair of objects.

    Args:
        observation_space: ``Box (slots, features)``, its flat form ``Box (slots * features,)``, or a ``Dict``
            with ``objects`` (one of the two) and perhaps ``mask`` (slots,).
        features: the names of an object's columns, as in the env's ``feature_names``. ``x``, ``y``, ``dx`` and ``dy``
            are looked up; the others, such as z_what, are passed on.
        offset_scale: offsets come twice: as they are, and as ``tanh(offset_scale * offset)``. The latter is steep where
            objects touch, so that a pixel makes a difference there.
        velocity_scale: factor on velocities. The env divides them by a speed that few objects reach.
        max_pairs: with more pairs than this, each object gets a learned message from every other one instead, and the
            messages are added up. So the vector grows with the number of slots, not with its square.
        message_dim: size of such a message.

    The features of a pair are zeros if a slot of it is empty. A slot whose object was lost a few steps ago keeps its
    position with presence 0; it is not empty.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        features: Sequence[str] = FEATURES,
        offset_scale: float = 8.0,
        velocity_scale: float = 3.0,
        max_pairs: int = 120,
        message_dim: int = 32,
    ) -> None:
        slots = slots_of(observation_space, features)
        first, second = np.triu_indices(slots, 1)
        pooled = len(first) > max_pairs
        relations = slots * message_dim if pooled else len(first) * PAIR
        super().__init__(observation_space, slots * len(features) + relations)
        self.first: Tensor
        self.second: Tensor
        self.scale: Tensor
        self.slots, self.features = slots, tuple(features)
        self.offset_scale = offset_scale
        self.place = [self.features.index("x"), self.features.index("y")]
        moves = "dx" in self.features and "dy" in self.features
        self.velocity = [self.features.index("dx"), self.features.index("dy")] if moves else []
        scale = torch.ones(len(self.features))
        scale[self.velocity] = velocity_scale
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.register_buffer("second", torch.from_numpy(second), persistent=False)
        self.identity = nn.Embedding(slots, message_dim) if pooled else None  # slots have fixed classes
        layers = [nn.Linear(PAIR + 2 * message_dim, 64), nn.ReLU(), nn.Linear(64, message_dim)] if pooled else []
        self.message = nn.Sequential(*layers)

    def forward(self, observation: Tensor | dict[str, Tensor]) -> Tensor:
        """(B, slots, features), its flat form, or a dict with either -> (B, features_dim)."""
        parts = observation if isinstance(observation, dict) else {"objects": observation}
        given, mask = parts["objects"], parts.get("mask")
        objects = given.reshape(len(given), self.slots, len(self.features)) * self.scale  # (B, S, F)
        there = (objects != 0).any(-1, keepdim=True)  # (B, S, 1)
        if mask is not None:
            there = there | (mask.reshape(len(objects), self.slots, 1) > 0)
        return torch.cat([objects.flatten(1), self.relations(objects, there.float())], 1)

    def relations(self, objects: Tensor, there: Tensor) -> Tensor:
        """The features of all pairs, or the sum of the messages to each slot: (B, D).

        Args:
            objects: (B, S, F).
            there: (B, S, 1), 1 where a slot is not empty, otherwise 0.
        """
        if self.identity is None:
            return self.offsets(objects, there, self.first, self.second).flatten(1)
        every = torch.arange(self.slots, device=objects.device)
        first, second = every.repeat_interleave(self.slots), every.repeat(self.slots)  # (S * S,)
        pairs = self.offsets(objects, there, first, second)  # (B, S * S, PAIR)
        names = torch.cat([self.identity(first), self.identity(second)], 1).expand(len(objects), -1, -1)
        both = there[:, first] * there[:, second] * (first != second).float().unsqueeze(-1)  # (B, S * S, 1)
        messages = self.message(torch.cat([pairs, names], -1)) * both
        return torch.relu(messages.reshape(len(objects), self.slots, self.slots, -1).sum(2)).flatten(1)

    def offsets(self, objects: Tensor, there: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """The features of ``second`` relative to ``first``: (B, pairs, PAIR), zeros if one of them is empty."""
        columns = objects[..., self.place + self.velocity]  # x, y, dx, dy
        move = columns[:, second] - columns[:, first]  # (B, P, 4)
        place = move[..., :2]
        velocity = move[..., 2:] if self.velocity else torch.zeros_like(place)
        pair = torch.cat([place, torch.tanh(self.offset_scale * place), velocity], -1)
        return pair * there[:, first] * there[:, second]


def slots_of(space: spaces.Space, features: Sequence[str] = FEATURES) -> int:
    """The number of slots in an observation space.

    Raises:
        ValueError: it is not a space of objects with these features.
    """
    box = space["objects"] if isinstance(space, spaces.Dict) and "objects" in space.spaces else space
    if isinstance(box, spaces.Box):
        if len(box.shape) == 2 and box.shape[1] == len(features):
            return int(box.shape[0])
        if len(box.shape) == 1 and box.shape[0] % len(features) == 0:
            return int(box.shape[0]) // len(features)
    raise ValueError(
        f"expected objects with the features {', '.join(features)}: a Box (slots, {len(features)}), its flat "
        f"form, or a Dict with 'objects', and got {space}. Pass the names with policy_kwargs: "
        "{features_extractor_kwargs: {features: [...]}}, or use policy: MlpPolicy."
    )


DEFAULTS: dict[str, Any] = {
    "net_arch": [128, 128],
    "activation_fn": nn.ReLU,
    "features_extractor_class": ObjectsExtractor,
}


class ObjectsPolicy(ActorCriticPolicy):
    """Actor and critic on :class:`ObjectsExtractor`, by default with layers of 128 and 128 and ReLU."""

    reads_objects = True  # so :func:`spacetime_env.agent.folder.build` gives it the names of the env's features

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**DEFAULTS, **kwargs})


class ObjectsDQNPolicy(DQNPolicy):
    """A Q-network on :class:`ObjectsExtractor`, by default with layers of 128 and 128 and ReLU."""

    reads_objects = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**DEFAULTS, **kwargs})
