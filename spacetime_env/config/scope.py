"""The scope of a setting: which saved things can be used again only if the setting has the same value.

A checkpoint, for example, is resumed only with the same ``train.learning_rate``, but with any ``train.log_every``. Each
field of :mod:`spacetime_env.config.schema` is declared with :func:`setting`, which keeps the scope in the field's
metadata. :func:`spacetime_env.config.differences` compares two configs in one scope.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from spacetime_env.config.tree import in_range

T = TypeVar("T")


class Scope(enum.Flag):
    """The things that need the same value. A setting may have several scopes or none."""

    NONE = 0
    CHECKPOINT = enum.auto()  # to resume a run from its checkpoints
    EXAMPLES = enum.auto()  # for two runs of a sweep to share the training examples in memory
    RECORDING = enum.auto()  # to continue an unfinished split
    SPLIT = enum.auto()  # to use a finished split
    DATA_ROOT = enum.auto()  # for two runs of a sweep to share a data folder


@dataclass(frozen=True)
class Where:
    """More scopes of a setting, which it has only if another setting has a certain value."""

    scope: Scope
    name: str  # of the other setting, such as "motion.extent"
    value: str


# The scopes that occur, each named by what the setting decides.
NOTHING = Scope.NONE  # how a run is logged, and on which machine it runs
TRAINING = Scope.CHECKPOINT  # the training
TARGETS = TRAINING | Scope.EXAMPLES  # the input and the targets of the network, and so the training
FRAMES = TARGETS | Scope.RECORDING  # the recorded frames, and so the targets
PLAY = FRAMES | Scope.DATA_ROOT  # the recorded frames; splits of two values would lie in the same folder
STACKS = PLAY | Scope.SPLIT  # which stacks a split has
EVALUATION_PLAYER = Scope.EXAMPLES | Scope.RECORDING  # the frames of a split that is not trained on
EVALUATION_STACKS = EVALUATION_PLAYER | Scope.DATA_ROOT | Scope.SPLIT  # which stacks such a split has
WITH_TRAIL = Where(Scope.RECORDING | Scope.DATA_ROOT, "motion.extent", "trail")  # a trail is stored with each stack
WITH_RARITY = Where(Scope.RECORDING | Scope.DATA_ROOT, "motion.foreground", "rarity")  # steadiness is stored too


@dataclass(frozen=True)
class Declared:
    """The scope of a setting, as its field has it."""

    scope: Scope
    where: Where | None


def setting(
    default: T,
    scope: Scope,
    where: Where | None = None,
    least: float | None = None,
    most: float | None = None,
) -> T:
    """A field in the body of a dataclass of settings, with its default, its scope and its range.

    The range is that of each number in it (see :func:`spacetime_env.config.tree.require_ranges`); without ``least`` and
    ``most`` there is none.
    """
    metadata: dict[str, Any] = {"setting": Declared(scope, where)}
    if least is not None or most is not None:
        metadata |= in_range(least, most)
    if isinstance(default, dict):  # dataclasses refuse a default that can be changed
        return cast(T, field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


def declared(cls: type, path: str = "") -> dict[str, Declared]:
    """The settings of a dataclass and of the dataclasses in it, by their dotted names, such as ``data.size``.

    Raises:
        TypeError: a field is neither declared with :func:`setting` nor a dataclass of settings.
    """
    found: dict[str, Declared] = {}
    hints = typing.get_type_hints(cls)
    for one in dataclasses.fields(cls):
        name = f"{path}.{one.name}" if path else one.name
        if "setting" in one.metadata:
            found[name] = cast(Any, one.metadata["setting"])
        elif dataclasses.is_dataclass(hints[one.name]):
            found |= declared(cast(type, hints[one.name]), name)
        else:
            raise TypeError(f"{name} has no scope: declare it with setting(default, scope).")
    return found
