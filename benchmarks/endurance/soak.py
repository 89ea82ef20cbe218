"""Long play: the vector environment beside single ones, step for step, and the memory of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import spacetime_env  # noqa: F401  (registers the envs)
from spacetime_env.objects.detections import Detections

SAMPLES = 50  # of the memory, over a game
WARM = 0.1  # the part of a game after which memory is looked at
ROUNDING = 1e-5  # batches differ in the last digits
CLOSE = 1e-4  # of z_where and confidence


@dataclass
class Soak:
    """What came of a game. Env steps count those of the vector env and of the single ones."""

    game: str
    steps: int = 0
    seconds: float = 0.0
    episodes: int = 0
    unequal: int = 0  # observations that differ by more than rounding explains, and rewards or ends that differ
    rounded: int = 0  # observations that differ by rounding, or by what followed from it
    apart: set[int] = field(default_factory=set)  # envs whose tracked objects differ since rounding decided something
    memory: list[float] = field(default_factory=list)  # MiB of this process, after the warm-up
    workers: list[float] = field(default_factory=list)  # MiB of its workers

    @property
    def growth(self) -> float:
        """How far memory went from the first sample, as a fraction of it; of this process and its workers."""
        both = [own + others for own, others in zip(self.memory, self.workers, strict=True)]
        return max(abs(one / both[0] - 1) for one in both) if both else 0.0


def soak(game: str, model: str, steps: int, envs: int = 4, seed: int = 0, workers: int | None = None) -> Soak:
    """Play a game in a vector env and in single ones, with the same seeds and actions.

    Args:
        game: as in ``SpaceTime/<Game>-v5``.
        model: that looks at it.
        steps: env steps in all; half of them are of the vector env.
        envs: in each.
        seed: of the first env and of the actions.
        workers: of the vector env, see :class:`spacetime_env.envs.vector.SpaceTimeVectorEnv`.
    """
    name, found, began = f"SpaceTime/{game}-v5", Soak(game), time.monotonic()
    vector: Any = gym.make_vec(name, num_envs=envs, model=model, workers=workers)
    loaded = vector.model
    single = SyncVectorEnv(
        [lambda: gym.make(name, model=loaded, disable_env_checker=True)] * envs, autoreset_mode=AutoresetMode.NEXT_STEP
    )

    def explained(env: int) -> bool:
        one, other = (both.get_attr("detections")[env] for both in (vector, single))
        return differ_by_rounding(one, other, loaded.scene.threshold)

    rng, rounds = np.random.default_rng(seed), max(1, steps // (2 * envs))
    every, warm = max(1, rounds // SAMPLES), int(rounds * WARM)
    try:
        compare(found, vector.reset(seed=seed)[:1], single.reset(seed=seed)[:1])
        for step in range(rounds):
            actions = rng.integers(0, vector.single_action_space.n, envs)
            ours, theirs = vector.step(actions)[:4], single.step(actions)[:4]
            compare(found, ours, theirs, explained)
            found.episodes += int((ours[2] | ours[3]).sum())
            if step >= warm and step % every == 0:
                found.memory.append(resident("self"))
                found.workers.append(sum(resident(str(pid)) for pid in worker_pids(vector)))
    finally:
        vector.close()
        single.close()
    found.steps, found.seconds = rounds * envs * 2, time.monotonic() - began
    return found


def compare(
    found: Soak, ours: tuple[Any, ...], theirs: tuple[Any, ...], explained: Callable[[int], bool] = lambda env: False
) -> None:
    """Count what differs between two answers to the same actions.

    Args:
        found: gets the counts.
        ours, theirs: observations (envs, ...), then rewards and ends (envs,).
        explained: whether what was found in the frames of an env differs by rounding only. It is asked where
            observations differ by more: the edges of boxes are put on whole pixels, and a threshold decides what is an
            object. What the tracker makes of it may differ for some steps.
    """
    different = np.abs(np.asarray(ours[0]) - np.asarray(theirs[0])).reshape(len(ours[0]), -1).max(axis=1)
    wrong = np.zeros(len(different), bool)
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        wrong |= np.asarray(one) != np.asarray(other)
    for env in (different > ROUNDING).nonzero()[0].tolist():
        if explained(env):
            found.apart.add(env)
        elif env not in found.apart:
            wrong[env] = True
    found.apart &= set((different > ROUNDING).nonzero()[0].tolist())
    found.unequal += int(wrong.sum())
    found.rounded += int(((different > 0) & ~wrong).sum())


def differ_by_rounding(ours: Detections, theirs: Detections, threshold: float) -> bool:
    """Whether each object of one frame is in the other, but for those with a confidence at the threshold."""
    for these, those in ((ours, theirs), (theirs, ours)):
        for place, name, confidence in zip(these.z_where, these.names, these.confidence.tolist(), strict=True):
            near = (np.abs(those.z_where - place) <= CLOSE).all(axis=1)
            if name not in np.array(those.names)[near] and abs(confidence - threshold) > CLOSE:
                return False
    return True


def resident(process: str) -> float:
    """MiB that a process holds."""
    text = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def worker_pids(vector: Any) -> list[int]:
    """The processes of a vector env's workers."""
    return [block.process.pid for block in vector._blocks if hasattr(block, "process")]
