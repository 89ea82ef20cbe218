"""Environments that are played on and timed, turn by turn, with random actions."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 1600  # env steps of a turn, shared by the envs ...
EACH = 100  # ... and of each env at least
WARM = 500  # steps that each env plays before the first turn


def steps_each(total: int, count: int) -> int:
    """Steps of each of ``count`` envs in a turn: ``total`` in all, but a sixteenth of it each at least."""
    return max(1, total // count, total * EACH // STEPS)


class Player:
    """Plays on from turn to turn, so that a turn does not begin with the start of a game.

    Args:
        env: an environment, or a vector environment.
        total: env steps of a turn; see :func:`steps_each`.
        warm: steps that each environment plays first, untimed.
        around: what to play within.
    """

    def __init__(
        self,
        env: Any,
        total: int = STEPS,
        warm: int = WARM,
        around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self.env, self.around = env, around
        self.count = getattr(env, "num_envs", None)  # None: it is no vector environment
        self.steps = steps_each(total, self.count or 1)
        self._rng = np.random.default_rng(0)  # so that environments of the same number get the same actions
        with around():
            env.reset(seed=0)
            self._play(self._actions(warm))

    def __call__(self) -> float:
        """Play a turn: env steps a second."""
        actions = self._actions(self.steps)
        with self.around():
            began = time.perf_counter()
            self._play(actions)
            passed = time.perf_counter() - began
        return self.steps * (self.count or 1) / passed

    def _actions(self, steps: int) -> Any:
        if self.count is None:
            return self._rng.integers(self.env.action_space.n, size=steps).tolist()
        return self._rng.integers(self.env.single_action_space.n, size=(steps, self.count))

    def _play(self, actions: Any) -> None:
        env = self.env
        if self.count is not None:  # resets by itself
            for row in actions:
                env.step(row)
            return
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


class OcatariPlayer:
    """A :class:`Player` of OCAtari, in a process with its own Python: it wants numpy below 2.

    Raises:
        SystemExit: it does not run; the message holds what it said.
    """

    def __init__(self, python: str, game: str, mode: str, total: int = STEPS, warm: int = WARM) -> None:
        script = Path(__file__).with_name("ocatari_steps.py")
        self.python = python
        words = [python, str(script), game, mode, str(steps_each(total, 1)), str(warm)]
        pipe, errors = subprocess.PIPE, subprocess.STDOUT
        try:
            self._process = subprocess.Popen(words, text=True, stdin=pipe, stdout=pipe, stderr=errors)
        except OSError as error:
            raise SystemExit(f"OCAtari did not run with {python}: {error}.") from None
        self.version = self._answer("version")

    def __call__(self) -> float:
        """Play a turn: env steps a second."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("turn\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it ended; _answer says so
        return float(self._answer("rate"))

    def _answer(self, word: str) -> str:
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            if line.startswith(f"{word} "):
                return line.split()[1]
            said += line
        raise SystemExit(f"OCAtari did not run with {self.python}:\n{said.strip()[-800:]}")

    def close(self) -> None:
        """End the process."""
        self._process.terminate()  # it would wait: workers forked since then hold its pipe's other end too
        self._process.communicate()
