"""A block of environments that look at their frames together, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode

from spacetime_env.object_model import Watcher
from spacetime_env.scene import Detections, by_name, scene_dict
from spacetime_env.screens import Screen
from spacetime_env.wrapper import SpaceTimeEnv, make_env


class WorkerError(RuntimeError):
    """A worker process failed or died; the message holds what it said."""


class Stepped(NamedTuple):
    """What a block's environments answer to a step, one entry each."""

    observations: list[Any]
    rewards: list[float]
    terminations: list[bool]
    truncations: list[bool]
    infos: list[dict[str, Any]]
    final: list[tuple[Any, dict[str, Any]] | None]  # the last observation and info of an episode that just ended


class Packed(NamedTuple):
    """:class:`Stepped` in a form that is quickly sent: a few arrays in place of a hundred tuples."""

    stepped: Stepped  # without observations, where these are in one array, and without infos' scenes
    observations: np.ndarray | None  # (B, ...)
    counts: list[int]  # of the objects of each environment
    class_ids: np.ndarray  # (n,) of all of them, one environment after the other
    centers: np.ndarray  # (n, 2)

    def unpack(self, class_names: Sequence[str]) -> Stepped:
        """What was packed."""
        start = 0
        for info, count in zip(self.stepped.infos, self.counts, strict=True):
            mine = slice(start, start + count)
            info["scene"] = by_name(self.class_ids[mine], self.centers[mine], class_names)
            start += count
        if self.observations is None:
            return self.stepped
        return self.stepped._replace(observations=list(self.observations))


class Block:
    """Environments that share a model: their frames are looked at in one call.

    Args:
        envs: the environments.
        autoreset_mode: when one that is over begins anew.
        max_episode_steps: an episode is truncated after so many.
        packed: answer to a step with :class:`Packed`.
    """

    def __init__(
        self,
        envs: Sequence[SpaceTimeEnv],
        autoreset_mode: AutoresetMode,
        max_episode_steps: int | None = None,
        packed: bool = False,
    ) -> None:
        self.envs = list(envs)
        self.packed = packed
        self.mode = autoreset_mode
        self.limit = max_episode_steps
        self.over = [False] * len(self.envs)
        self.steps = [0] * len(self.envs)  # of the episodes so far
        self._watcher: Watcher | None = None

    def reset(
        self, seeds: Sequence[int | None], options: dict[str, Any] | None, chosen: Sequence[int]
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Reset the ``chosen`` environments, with a seed each: observation and info of each."""
        for i in chosen:
            self.over[i] = False
        return self._look([(i, *self._begin(i, seed, options)) for i, seed in zip(chosen, seeds, strict=True)])

    def step(self, actions: Sequence[Any]) -> Stepped | Packed:
        """One step of every environment; those that are over are begun anew as ``autoreset_mode`` says."""
        count = len(self.envs)
        rewards, terminations, truncations = [0.0] * count, [False] * count, [False] * count
        final: list[tuple[Any, dict[str, Any]] | None] = [None] * count
        frames: list[tuple[int, np.ndarray | Screen, dict[str, Any]]] = []
        for i, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            if self.over[i] and self.mode is AutoresetMode.NEXT_STEP:
                frames.append((i, *self._begin(i)))
                continue
            frame, reward, terminations[i], truncations[i], info = env.advance(action)
            rewards[i] = float(reward)
            self.steps[i] += 1
            truncations[i] = truncations[i] or (self.limit is not None and self.steps[i] >= self.limit)
            frames.append((i, frame, info))
        seen = self._look(frames, scenes=not self.packed)
        self.over = [a or b for a, b in zip(terminations, truncations, strict=True)]
        if self.mode is AutoresetMode.SAME_STEP and any(self.over):
            ended = [i for i in range(count) if self.over[i]]
            for i in ended if self.packed else ():
                seen[i][1]["scene"] = scene_dict(self._found(i))
            for i, first in zip(ended, self._look([(i, *self._begin(i)) for i in ended]), strict=True):
                final[i], seen[i] = seen[i], first
        observations, infos = [o for o, _ in seen], [n for _, n in seen]
        stepped = Stepped(observations, rewards, terminations, truncations, infos, final)
        return self._pack(stepped) if self.packed else stepped

    def _pack(self, stepped: Stepped) -> Packed:
        found = [self._found(i) for i in range(len(self.envs))]
        for info in stepped.infos:
            info.pop("scene", None)
        joined = None
        if isinstance(stepped.observations[0], np.ndarray):
            joined, stepped = np.stack(stepped.observations), stepped._replace(observations=[])
        class_ids = np.concatenate([one.class_ids for one in found])
        centers = np.concatenate([one.z_where[:, 2:] for one in found])
        return Packed(stepped, joined, [len(one) for one in found], class_ids, centers)

    def _found(self, i: int) -> Detections:
        found = self.envs[i].detections
        assert found is not None
        return found

    def _begin(
        self, i: int, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray | Screen, dict[str, Any]]:
        self.steps[i] = 0
        return self.envs[i].begin(seed, options)

    def _look(
        self, frames: list[tuple[int, np.ndarray | Screen, dict[str, Any]]], scenes: bool = True
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Observations and infos, with or without scenes, of environments with a new frame: (index, frame, info) each.
        """
        if not frames:
            return []
        model = self.envs[0].model
        if self._watcher is None or self._watcher.model is not model:
            self._watcher = Watcher(model, len(self.envs))
        found = self._watcher.detect([frame for _, frame, _ in frames], [i for i, _, _ in frames])
        if scenes:
            return [self.envs[i].observe(one, info) for (i, _, info), one in zip(frames, found, strict=True)]
        return [(self.envs[i].track(one), info) for (i, _, info), one in zip(frames, found, strict=True)]

    def call(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """A method's results, or an attribute, of each environment."""
        found = (env.get_wrapper_attr(name) for env in self.envs)
        return [one(*args, **kwargs) if callable(one) else one for one in found]

    def assign(self, name: str, values: Sequence[Any]) -> None:
        """Set an attribute of each environment."""
        for env, value in zip(self.envs, values, strict=True):
            env.set_wrapper_attr(name, value)

    def close(self) -> None:
        """Close all environments."""
        for env in self.envs:
            env.close()


class Local:
    """A :class:`Block` in this process, spoken to like a :class:`Remote` one."""

    def __init__(self, block: Block, one_thread: bool) -> None:
        self.block = block
        self.one_thread = one_thread  # while other processes use the other cores
        self._answer: Any = None

    def send(self, name: str, *args: Any) -> None:
        """Call a method of the block."""
        import torch

        threads = torch.get_num_threads()
        if self.one_thread and threads > 1:
            torch.set_num_threads(1)
        try:
            self._answer = getattr(self.block, name)(*args)
        except Exception as error:
            self._answer = error
        finally:
            if self.one_thread and threads > 1:
                torch.set_num_threads(threads)

    def receive(self) -> Any:
        """What it returned; what it raised is raised here."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def close(self) -> None:
        """Close the environments."""
        self.block.close()


class Remote:
    """A :class:`Block` in a process of its own."""

    def __init__(
        self,
        start: str,
        game: str,
        count: int,
        settings: tuple[AutoresetMode, int | None],
        kwargs: dict[str, Any],
        others: Sequence[Any],
        class_names: Sequence[str],
    ) -> None:
        self.class_names = class_names
        context: Any = multiprocessing.get_context(start)
        self.pipe, theirs = context.Pipe()
        # A forked worker holds copies of the pipes of those before it; open, they would hide that we are gone.
        inherited = [self.pipe, *(other.pipe for other in others)] if start == "fork" else []
        arguments = (theirs, inherited, game, count, settings, kwargs)
        self.process = context.Process(target=_work, args=arguments, daemon=True, name="SpaceTimeVectorEnv")
        with _one_cv2_thread() if start == "fork" else contextlib.nullcontext():
            self.process.start()
        theirs.close()
        self.waiting = 1  # for the word that it is ready

    def send(self, name: str, *args: Any) -> None:
        """Have a method of the block called; :meth:`receive` once for each call."""
        try:
            self.pipe.send_bytes(pickle.dumps((name, args), pickle.HIGHEST_PROTOCOL))
            self.waiting += 1
        except OSError:
            raise self._died() from None

    def receive(self) -> Any:
        """What the oldest call returned; what it raised is raised here."""
        self.waiting -= 1
        try:
            kind, answer = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise self._died() from None
        if kind == "error":
            raise answer
        return answer.unpack(self.class_names) if isinstance(answer, Packed) else answer

    def _died(self) -> WorkerError:
        self.process.join(1)
        return WorkerError(
            f"a worker of SpaceTimeVectorEnv died (exit code {self.process.exitcode}). A negative code is a signal: "
            "-9 often means that memory ran out; use fewer workers."
        )

    def close(self) -> None:
        """End the process, by force if it does not listen."""
        try:
            while self.waiting > 0:
                self.receive()
            self.send("close")
        except Exception:
            pass  # dead already, or in an error that nobody asks about any more
        self.pipe.close()
        self.process.join(2)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


@contextlib.contextmanager
def _one_cv2_thread() -> Iterator[None]:
    """End OpenCV's threads for the moment: a fork would inherit a pool whose threads it does not have, and wait for
    them for ever as soon as it resizes a frame or changes their number."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _work(
    pipe: Connection,
    inherited: Sequence[Connection],
    game: str,
    count: int,
    settings: tuple[AutoresetMode, int | None],
    kwargs: dict[str, Any],
) -> None:
    """The life of a worker: make the environments, then do as told until told to close, or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which then closes us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in inherited:
        connection.close()

    def answer(kind: str, content: Any) -> None:
        pipe.send_bytes(pickle.dumps((kind, content), pickle.HIGHEST_PROTOCOL))

    block: Block | None = None
    try:
        import cv2
        import torch

        torch.set_num_threads(1)  # a core each: more threads would only wait for each other
        cv2.setNumThreads(1)
        first = make_env(game, **kwargs)
        rest = [make_env(game, **{**kwargs, "model": first.model}) for _ in range(count - 1)]
        block = Block([first, *rest], *settings, packed=True)
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look through it again and again
        answer("done", None)
        while True:
            name, args = pickle.loads(pipe.recv_bytes())
            if name == "close":
                break
            try:
                result = getattr(block, name)(*args)
            except Exception as error:
                answer("error", _portable(error))
            else:
                answer("done", result)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except Exception as error:
        answer("error", WorkerError(f"a worker of SpaceTimeVectorEnv failed:\n{_text(error)}"))
    finally:
        if block is not None:
            block.close()


def _portable(error: Exception) -> Exception:
    """The error itself where it can be pickled and read again; otherwise its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_text(error))
    return error


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error)).strip()
