"""The callback of a training: evaluations, checkpoints, the progress bar and Ctrl-C."""

from __future__ import annotations

import signal
import time

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from tqdm import tqdm

from spacetime_env.agent import sb3_checkpoint
from spacetime_env.agent.errors import AgentError
from spacetime_env.agent.playing import evaluate
from spacetime_env.agent.progress import Progress
from spacetime_env.agent.run_folder import RunFolder
from spacetime_env.interrupt import Interrupt


class Supervisor(BaseCallback):
    """Evaluates, saves and stops between two rollouts, where no experience would be lost.

    Attributes:
        interrupt: entered while the agent learns. The first Ctrl-C or SIGTERM asks the training to stop and save, the
            second ends it at once.

    Args:
        run: the folder to save in.
        progress: how far the training is; kept up to date.
        eval_envs: the envs of the evaluations.
        total: env steps of the whole training.
        seed: of every evaluation, so that they can be compared.
        eval_freq: env steps between evaluations, -1 for none.
        eval_episodes: episodes each.
        save_freq: env steps between checkpoints, -1 for none but the last.
        bar: show a progress bar.
    """

    def __init__(
        self,
        run: RunFolder,
        progress: Progress,
        eval_envs: VecEnv,
        total: int,
        *,
        seed: int,
        eval_freq: int,
        eval_episodes: int,
        save_freq: int,
        bar: bool,
    ) -> None:
        super().__init__()
        self.run, self.progress, self.eval_envs, self.total, self.seed = run, progress, eval_envs, total, seed
        self.eval_freq, self.eval_episodes, self.save_freq = eval_freq, eval_episodes, save_freq
        self.interrupt = Interrupt(
            signal.SIGINT,
            signal.SIGTERM,
            notice="\nStopping; the training is being saved. Once more ends it at once.",
        )
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
        return not self.interrupt.asked

    def _on_training_end(self) -> None:
        if not self.interrupt.asked:
            self._settle(last=True)
        if self.bar is not None:
            self.bar.close()

    def _settle(self, last: bool = False) -> None:
        """Between two rollouts: save and evaluate where it is time.

        An evaluation takes minutes. So what is due is saved before it, and its result afterwards.
        """
        progress = self.progress
        progress.timesteps = self.num_timesteps
        progress.seconds = time.monotonic() - self.started
        if self.save_freq > 0 and progress.timesteps - self.saved >= self.save_freq:
            self.save()
        if self._evaluation_is_due(last):
            self._evaluate()
            if self.saved == progress.timesteps and not last:
                self.save()
        if last:
            self.save(must=True)

    def _evaluation_is_due(self, last: bool) -> bool:
        """Whether ``eval_freq`` steps went by since the evaluation before, also where a kill ended that one."""
        before = self.progress.evaluations[-1]["timesteps"] if self.progress.evaluations else 0
        now = self.num_timesteps
        return self.eval_freq > 0 and before < now and (last or before // self.eval_freq < now // self.eval_freq)

    def _evaluate(self) -> None:
        returns = evaluate(self.model, self.eval_envs, self.eval_episodes, self.seed)
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
        """Write ``last.zip``. If it cannot be written, that is printed and the training goes on.

        Raises:
            AgentError: it cannot be written, and it ``must`` be.
        """
        if self._write("last", must):
            self.saved = self.progress.timesteps

    def _write(self, name: str, must: bool = False) -> bool:
        path = self.run.best if name == "best" else self.run.last
        try:
            sb3_checkpoint.save(path, self.model, self.progress, replay=name == "last")
        except OSError as error:
            text = f"could not save {path}: {error.strerror or error}."
            if must:
                raise AgentError(
                    f"{text} The checkpoint before it is whole; make room, then run the same again."
                ) from None
            print(f"{text} The training goes on; the checkpoint before it is whole.")
            return False
        return True
