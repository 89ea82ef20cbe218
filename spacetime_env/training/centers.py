"""Where the objects of a trained network have their centres: where the frame differs from the background, or beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spacetime_env.config import Config
from spacetime_env.data.stacks import Stacks
from spacetime_env.evaluation.run_model import detect_all
from spacetime_env.objects.detections import Detections
from spacetime_env.space import Space
from spacetime_env.training.naming import as_model

STACKS = 128  # validation stacks that are looked at
MISSED = 0.001  # fraction of the objects that may be missed for the sake of speed


def settle_centers(config: Config, space: Space, validation: Stacks, detections: Sequence[Detections]) -> Config:
    """The config with ``model.centers: drawn`` if nearly all objects are found in cells that differ, which is quicker.

    A network without a fixed background keeps what it has, and so does one that is set to ``drawn``.

    Args:
        config: of one game, as it was trained.
        validation: frames that the objects are counted in.
        detections: in all of its frames, with ``model.centers: beside``.
    """
    if config.model.background.kind != "fixed" or config.model.centers == "drawn":
        return config
    stacks = range(min(STACKS, len(validation)))
    quick = replace(config, model=replace(config.model, centers="drawn"))
    some = sum(map(len, detect_all(as_model(quick, space, validation.native), validation, stacks)))
    every = sum(map(len, detections[: len(stacks) * validation.meta.length]))
    chosen = quick if every - some <= MISSED * every else config
    print(f"{some} of {every} objects have their centre where the frame differs: model.centers={chosen.model.centers}")
    return chosen
