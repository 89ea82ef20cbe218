"""What watches a training: evaluations, checkpoints, the progress bar and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from spacetime_env.agent import checkpoint, player
from spacetime_env.agent.hyperparameters import AgentError
from spacetime_env.agent.run import Run


class Supervisor(BaseCallback):
    """Evaluates, saves and stops between two rollouts, where no experience is under way that would be lost.

    Args:
        job: the folder to save in.
        progress: how far the training is; kept up to date.
        judge: the envs of the evaluations.
        total: env steps of the whole training.
        seed: of every evaluation, so that they can be compared.
        eval_freq: env steps between evaluations, -1 for none.
        eval_episodes: episodes each.
        save_freq: env steps between checkpoints, -1 for none but the last.
        bar: show a progress bar.
    """

    def __init__(
        self,
        job: Run,
        progress: checkpoint.Progress,
        judge: VecEnv,
        total: int,
        *,
        seed: int,
        eval_freq: int,
        eval_episodes: int,
        save_freq: int,
        bar: bool,
    ) -> None:
        super().__init__()
        self.job, self.progress, self.judge, self.total, self.seed = job, progress, judge, total, seed
        self.eval_freq, self.eval_episodes, self.save_freq = eval_freq, eval_episodes, save_freq
        self.stopped = False
        self.saved = progress.timesteps
        self.started = time.monotonic() - progress.seconds
        self.bar = (
            tqdm(total=total, initial=progress.timesteps, unit="step", unit_scale=True) if bar else None
        )

    def _on_rollout_start(self) -> None:
        self._settle()

    def _on_step(self) -> bool:
        if self.bar is not None:
            self.bar.update(self.num_timesteps - self.bar.n)
        return not self.stopped

    def _on_training_end(self) -> None:
        if not self.stopped:
            self._settle(last=True)
        if self.bar is not None:
            self.bar.close()

    def _settle(self, last: bool = False) -> None:
        """All experience so far is learned: take note, evaluate and save where it is time."""
        progress, before = self.progress, self.progress.timesteps
        progress.timesteps = self.num_timesteps
        progress.seconds = time.monotonic() - self.started
        if self.eval_freq > 0 and (last or before // self.eval_freq < progress.timesteps // self.eval_freq):
            self._evaluate()
        due = self.save_freq > 0 and progress.timesteps - self.saved >= self.save_freq
        if last or due:
            self.save(must=last)

    def _evaluate(self) -> None:
        returns = player.evaluate(self.model, self.judge, self.eval_episodes, self.seed)
        recent = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        mean, training = float(returns.mean()), float(np.mean(recent)) if recent else None
        self.progress.evaluations.append(
            {
                "timesteps": self.num_timesteps,
                "mean": mean,
                "std": float(returns.std()),
                "episodes": len(returns),
                "training_mean": training,
                "seconds": time.monotonic() - self.started,
            }
        )
        self.logger.record("eval/mean_reward", mean)
        self.logger.dump(self.num_timesteps)
        if self.bar is not None:
            self.bar.set_postfix_str(f"return {mean:.1f}")
        if self.progress.best is None or mean >= self.progress.best:
            self.progress.best = mean
            self._write("best")

    def save(self, must: bool = False) -> None:
        """Write ``last.zip``. A failure is told and the training goes on, except where it ``must`` be."""
        if self._write("last", must):
            self.saved = self.progress.timesteps

    def _write(self, name: str, must: bool = False) -> bool:
        path = self.job.best if name == "best" else self.job.last
        try:
            checkpoint.save(path, self.model, self.progress, replay=name == "last")
        except OSError as error:
            text = f"could not save {path}: {error.strerror or error}."
            if must:
                raise AgentError(
                    f"{text} The checkpoint before it is whole; make room, then run the same again."
                ) from None
            print(f"{text} The training goes on; the checkpoint before it is whole.")
            return False
        return True

    @contextmanager
    def signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM asks the training to stop and save, the second ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
        }

        def stop(*_: Any) -> None:
            self.stopped = True
            print("\nStopping; the training is being saved. Once more ends it at once.")
            for number, handler in before.items():
                signal.signal(number, handler)

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
