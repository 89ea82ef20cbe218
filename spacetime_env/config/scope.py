"""The scope of a setting: what was made with one value of it, and cannot be used with another.

Each field of :mod:`spacetime_env.config.schema` is declared with :func:`setting`, which keeps its scope in the field's
metadata. :mod:`spacetime_env.config.differences` reads it.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Scope(enum.Flag):
    """What a comparison of two configs is about. A setting counts in a comparison if it has that scope."""

    NONE = 0
    CHECKPOINT = enum.auto()  # a run is resumed from its checkpoints only with the same values
    EXAMPLES = enum.auto()  # two runs of a sweep share the training examples in memory only with the same values
    RECORDING = enum.auto()  # an unfinished split is continued only with the same values
    SPLIT = enum.auto()  # a finished split is used only with the same values
    DATA_ROOT = enum.auto()  # two runs of a sweep share a data folder only with the same values


@dataclass(frozen=True)
class Where:
    """More scopes, which a setting has only where another setting has a certain value."""

    scope: Scope
    name: str  # of the other setting, such as "motion.extent"
    value: str


# The scopes that occur, named by the first thing that a setting decides about; what is made from it comes with it.
NOTHING = Scope.NONE  # how a run is watched, and on what machine
TRAINING = Scope.CHECKPOINT
TARGETS = TRAINING | Scope.EXAMPLES  # what the network sees, and its motion targets
FRAMES = TARGETS | Scope.RECORDING  # the recorded frames; the name of the split's folder or its opening tells the rest
PLAY = FRAMES | Scope.DATA_ROOT  # the recorded frames, and nothing in the name of the split's folder tells
STACKS = PLAY | Scope.SPLIT  # the number and the length of the stacks, and the seed that they are played with
EVALUATION_PLAYER = Scope.EXAMPLES | Scope.RECORDING  # of the validation and test splits, which training does not see
EVALUATION_STACKS = EVALUATION_PLAYER | Scope.DATA_ROOT | Scope.SPLIT
WITH_TRAIL = Where(Scope.RECORDING | Scope.DATA_ROOT, "motion.extent", "trail")  # stored with each stack
WITH_RARITY = Where(Scope.RECORDING, "motion.foreground", "rarity")  # stored with each frame


@dataclass(frozen=True)
class Declared:
    """What the field of a setting says."""

    scope: Scope
    where: Where | None


def setting(default: T, scope: Scope, where: Where | None = None) -> T:
    """The field of a setting, for the body of a dataclass: its default and its scope."""
    metadata = {"setting": Declared(scope, where)}
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
