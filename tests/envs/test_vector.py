"""The vector environment plays what single environments play, in this process and in workers."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import spacetime_env.models.folder
from spacetime_env.envs import worker as remote
from spacetime_env.envs.block import Block, Packed, Stepped
from spacetime_env.envs.env import make_env
from spacetime_env.envs.vector import SpaceTimeVectorEnv, _workers
from spacetime_env.envs.worker import WorkerError
from tests.helpers.fakes import ColourModel


class CountingModel(ColourModel):
    """Remembers how many frames each call held."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def detect(self, frames: np.ndarray) -> list[Any]:
        found = super().detect(frames)
        self.calls.append(len(found))
        return found


def make(num_envs: int = 3, game: str = "Pong", **kwargs: Any) -> VectorEnv:
    kwargs = {"model": ColourModel(), "allow_game_mismatch": True, **kwargs}
    return gym.make_vec(f"SpaceTime/{game}-v5", num_envs, **kwargs)


def singles(num_envs: int, mode: str, game: str = "Pong", **kwargs: Any) -> SyncVectorEnv:
    def one() -> gym.Env:
        return gym.make(f"SpaceTime/{game}-v5", model=ColourModel(), allow_game_mismatch=True, **kwargs)

    return SyncVectorEnv([one] * num_envs, autoreset_mode=AutoresetMode(mode))


def require_same(one: Any, other: Any) -> None:
    """Equal in type, order, shape and to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            require_same(one[key], other[key])
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if one.dtype == object:
            require_same(one.tolist(), other.tolist())
        else:
            np.testing.assert_array_equal(one, other)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            require_same(a, b)
    else:
        assert one == other


@pytest.mark.parametrize(
    ("mode", "workers", "game", "form"),
    [
        ("NextStep", 2, "Pong", "objects"),
        ("SameStep", 2, "Breakout", "objects"),
        ("NextStep", 0, "Breakout", "flat"),
        ("SameStep", 0, "Pong", "dict"),
    ],
)
def test_step_for_step_what_single_environments_play(mode: str, workers: int, game: str, form: str) -> None:
    """Observations, rewards, ends, infos and final observations of 3 x 700 steps, with sticky actions, random starts
    and many ends: by the game in the midst of a skipped frame (Breakout), and by the limit of frames."""
    options: dict[str, Any] = {"max_num_frames_per_episode": 900, "noop_max": 5, "obs_format": form}
    envs = make(3, game, autoreset_mode=mode, workers=workers, **options)
    others = singles(3, mode, game, **options)
    try:
        assert envs.observation_space == others.observation_space and envs.action_space == others.action_space
        require_same(envs.reset(seed=11), others.reset(seed=11))
        rng = np.random.default_rng(0)
        terminated = truncated = 0
        for _ in range(700):
            actions = rng.integers(envs.single_action_space.n, size=3)
            ours = envs.step(actions)
            require_same(ours, others.step(actions))
            terminated, truncated = terminated + ours[2].sum(), truncated + ours[3].sum()
        assert truncated >= 3 if game == "Pong" else terminated >= 3
        again = [one.reset(seed=[4, 8, 2])[0] for one in (envs, others)]
        require_same(*again)
    finally:
        envs.close()
        others.close()


@pytest.mark.parametrize(("workers", "mode"), [(0, "NextStep"), (1, "SameStep")])
def test_after_a_reset_every_environment_plays(workers: int, mode: str) -> None:
    """Also those that were over: a step after a reset is a step of the new episode, not another beginning."""
    envs = make(2, workers=workers, autoreset_mode=mode, max_episode_steps=3)
    try:
        envs.reset(seed=1)
        for _ in range(3):
            *_, truncations, _ = envs.step(np.array([0, 0]))
        assert truncations.all()
        envs.reset(seed=2)
        for step in (1, 2):
            *_, truncations, infos = envs.step(np.array([0, 0]))
            assert infos["episode_frame_number"].tolist() == [4 * step] * 2 and not truncations.any()
        *_, truncations, _ = envs.step(np.array([0, 0]))
        assert truncations.all()  # the third step of the new episode
    finally:
        envs.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_episode_begins_after_some_steps_of_doing_nothing(workers: int) -> None:
    """0 to ``noop_max`` steps of four frames each, all of these numbers, and the state is that after so many no-ops."""
    envs = make(3, workers=workers, noop_max=2, repeat_action_probability=0.0)
    plain = gym.make("SpaceTime/Pong-v5", model=ColourModel(), repeat_action_probability=0.0)
    waited = set()
    try:
        for seed in range(0, 12, 3):
            observations, infos = envs.reset(seed=seed)
            for i, frames in enumerate(infos["episode_frame_number"].tolist()):
                waited.add(frames)
                alone, _ = plain.reset(seed=seed + i)
                for _ in range(frames // 4):
                    alone, *_ = plain.step(0)
                np.testing.assert_array_equal(observations[i][:, :5], alone[:, :5])
                assert not observations[i][:, 5:].any()  # nothing was looked at before, so there is no speed
        assert waited == {0, 4, 8}
    finally:
        envs.close()
        plain.close()


def test_single_environments_see_the_same_seeds() -> None:
    envs = make(2, workers=0)
    observations, _ = envs.reset(seed=5)
    for i in range(2):
        alone, _ = gym.make("SpaceTime/Pong-v5", model=ColourModel()).reset(seed=5 + i)
        np.testing.assert_array_equal(observations[i], alone)


@pytest.mark.parametrize(
    ("game", "workers", "mode"), [("Pong", 2, "SameStep"), ("SpaceInvaders", 0, "NextStep"), ("Freeway", 1, "SameStep")]
)
def test_step_for_step_on_shipped_models(game: str, workers: int, mode: str) -> None:
    """Models that remember each game's last frame and see only what changed: of the screen's numbers (Pong; with two
    frames of the emulator, SpaceInvaders) or of resized RGB (Freeway). Batches differ, so sums may in the last digit.
    """
    options: dict[str, Any] = {"max_num_frames_per_episode": 300, "noop_max": 4}
    envs = gym.make_vec(f"SpaceTime/{game}-v5", 3, workers=workers, autoreset_mode=mode, **options)
    others = SyncVectorEnv(
        [lambda: gym.make(f"SpaceTime/{game}-v5", **options)] * 3, autoreset_mode=AutoresetMode(mode)
    )
    try:
        mine, theirs = envs.reset(seed=5), others.reset(seed=5)
        rng, ends = np.random.default_rng(1), 0
        for step in range(120):
            if step:
                actions = rng.integers(envs.single_action_space.n, size=3)
                mine, theirs = envs.step(actions), others.step(actions)
                for a, b in zip(mine[1:4], theirs[1:4], strict=True):
                    np.testing.assert_array_equal(a, b)
                ends += int((mine[2] | mine[3]).sum())
            if step == 90:
                mine, theirs = envs.reset(seed=[7, 8, 9]), others.reset(seed=[7, 8, 9])
            require_near(mine[0], theirs[0])
            for name in theirs[-1]["scene"]:
                found, wanted = mine[-1]["scene"][name], theirs[-1]["scene"][name]
                for one, other in zip(found, wanted, strict=True):
                    np.testing.assert_allclose(one, other, atol=1e-5)
            if "final_obs" in theirs[-1]:
                over = theirs[-1]["_final_obs"]
                require_near(np.stack(mine[-1]["final_obs"][over]), np.stack(theirs[-1]["final_obs"][over]))
        assert ends >= 3
    finally:
        envs.close()
        others.close()


def require_near(one: np.ndarray, other: np.ndarray) -> None:
    """Equal, but that a box's edge may fall to the next pixel where it is half between two."""
    assert one.shape == other.shape
    off = np.abs(one - other) > 1e-5
    assert off.mean() <= 0.01 and np.abs(one - other).max() <= 0.1, np.argwhere(off)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_scenes_of_numbers_alone(mode: str) -> None:
    """For libraries that take no array of objects: there is none in the infos of a step but the last observation's."""
    options: dict[str, Any] = {"max_num_frames_per_episode": 60, "scene_info": "arrays"}
    envs, others = make(3, workers=1, autoreset_mode=mode, **options), singles(3, mode, **options)
    bare = make(3, workers=1, autoreset_mode=mode, **{**options, "scene_info": False})
    for one in (envs, others, bare):
        one.reset(seed=3)
    for _ in range(20):
        actions = np.array([2, 3, 0])
        *_, infos = ours = envs.step(actions)
        require_same(ours, others.step(actions))
        infos.pop("final_obs", None)
        numbers = [value for value in infos["scene"].values() if value.dtype != bool]
        assert [(of.shape, of.dtype) for of in numbers] == [((3, 1, 2), np.float32)] * 3
        assert infos["dropped"].dtype.kind == "i" and "scene" not in bare.step(actions)[4]
        assert not any(isinstance(value, np.ndarray) and value.dtype == object for value in infos.values())
    for one in (envs, others, bare):
        one.close()


def test_one_call_of_the_model_a_step() -> None:
    model = CountingModel()
    envs = make(4, model=model, workers=0)
    envs.reset(seed=0)
    for _ in range(5):
        envs.step(np.array([0, 2, 3, 0]))
    assert model.calls == [4] * 6
    envs.close()


def test_resetting_some() -> None:
    envs = make(3, workers=2, autoreset_mode="Disabled", max_episode_steps=4)
    first, _ = envs.reset(seed=1)
    for t in range(4):
        observations, _, terminations, truncations, _ = envs.step(np.array([2, 3, 0]))
        assert truncations.tolist() == [t == 3] * 3 and not terminations.any()
    mask = np.array([True, False, True])
    again, infos = envs.reset(seed=[1, 9, 3], options={"reset_mask": mask})
    np.testing.assert_array_equal(again[[0, 2]], first[[0, 2]])
    np.testing.assert_array_equal(again[1], observations[1])
    assert infos["_lives"].tolist() == mask.tolist()
    envs.close()


class Noting(ColourModel):
    """Notes torch's threads, and the process, each time it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def detect(self, frames: np.ndarray | list[np.ndarray]) -> list[Any]:
        self.seen.add(torch.get_num_threads())
        return super().detect(frames)


@pytest.mark.parametrize(("workers", "threads"), [(0, 2), (1, 1)])
def test_beside_workers_this_process_keeps_to_one_thread_while_it_plays(workers: int, threads: int) -> None:
    torch.set_num_threads(2)
    model = Noting()
    envs = make(2, model=model, workers=workers)
    envs.reset(seed=0)
    envs.step(np.array([0, 0]))
    assert model.seen == {threads} and torch.get_num_threads() == 2
    envs.close()


@pytest.mark.parametrize("form", ["objects", "dict"])
def test_what_a_block_sends_is_small_and_what_was_seen(form: str) -> None:
    """Arrays travel as one array, and scenes as class ids and centres; unpacked, they are what they were."""
    blocks = []
    for packed in (True, False):
        made = [make_env("Pong", ColourModel(), form) for _ in range(2)]
        blocks.append(Block(made, AutoresetMode.SAME_STEP, max_episode_steps=3, packed=packed))
        blocks[-1].reset([1, 2], None, [0, 1])
    for step in range(4):
        sent, plain = (block.step([0, 2]) for block in blocks)
        assert isinstance(sent, Packed) and isinstance(plain, Stepped)
        if form == "objects":
            assert isinstance(sent.observations, np.ndarray) and sent.observations.shape == (2, 3, 7)
            assert sent.stepped.observations == []
        else:
            assert sent.observations is None and len(sent.stepped.observations) == 2
        assert not any("scene" in info for info in sent.stepped.infos) and sum(sent.counts) == len(sent.class_ids)
        require_same(tuple(sent.unpack(made[0].scene_form, ColourModel.class_names)), tuple(plain))
        assert (plain.final[0] is not None) == (step == 2)
    for block in blocks:
        block.close()


def test_a_forked_worker_finds_the_model_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded once, whatever the number of workers."""

    def load(name: str, game: str | None = None, device: Any = "cpu") -> ColourModel:
        with open(tmp_path / "loaded", "a") as file:
            file.write(f"{name}\n")
        return ColourModel()

    monkeypatch.setattr(spacetime_env.models.folder, "load_model", load)
    envs = gym.make_vec("SpaceTime/Pong-v5", 3, workers=2, context="fork")
    envs.reset(seed=0)
    envs.close()
    assert (tmp_path / "loaded").read_text() == "pong\n"


def test_a_worker_that_cannot_begin_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    here, real = os.getpid(), make_env

    def failing(*args: Any, **kwargs: Any) -> Any:
        if os.getpid() != here:
            raise RuntimeError("no more games")
        return real(*args, **kwargs)

    monkeypatch.setattr(remote, "make_env", failing)
    with pytest.raises(WorkerError, match=r"a worker of SpaceTimeVectorEnv failed:(.|\n)*no more games"):
        make(2, workers=1, context="fork")


def test_waiting_awake_ends_when_there_is_something_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Polled:
        def __init__(self, answers: list[list[int]]) -> None:
            self.answers = answers

        def poll(self, _: int) -> list[int]:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    soon = Polled([[], [], [1], []])
    with monkeypatch.context() as patch:
        patch.setattr(remote, "SPIN", 60.0)  # however busy the machine is
        remote._spin(soon)
    assert soon.answers == [[]]  # asked three times
    began = time.perf_counter()
    remote._spin(Polled([[]]))  # nothing ever comes
    assert remote.SPIN <= time.perf_counter() - began < 1
    remote._spin(None)  # where it cannot be asked
    ours, theirs = multiprocessing.Pipe()
    polled = remote._polled(ours)
    assert (polled is not None) == hasattr(select, "poll")
    if polled is not None:
        assert not polled.poll(0)
        theirs.send(1)
        assert polled.poll(0)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_after_ctrl_c_in_a_worker_answers_belong_to_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook: the cell that steps is stopped, and the next cells go on with the same environments."""
    envs, fresh = make(4, workers=1), make(4, workers=1)
    for one in (envs, fresh):
        one.reset(seed=0)
        one.step(np.array([2, 3, 0, 1]))
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_spin", interrupt)  # while this process waits for the worker
        with pytest.raises(KeyboardInterrupt):
            envs.step(np.array([1, 1, 1, 1]))
    assert envs.get_attr("noop_max") == (0, 0, 0, 0)  # not what the step answered
    with pytest.raises(gym.error.ResetNeeded, match="no longer at the same step"):
        envs.step(np.array([0, 0, 0, 0]))
    with pytest.raises(ValueError, match="reset all environments"):
        envs.reset(options={"reset_mask": np.array([True, False, False, False])})
    for one in (envs, fresh):
        observations, infos = one.reset(seed=7)
        assert observations.shape == (4, 3, 7) and infos["lives"].shape == (4,)
    for actions in ([2, 3, 0, 1], [0, 0, 5, 4]):
        require_same(envs.step(np.array(actions)), fresh.step(np.array(actions)))
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_spin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            envs.get_attr("noop_max")
    require_same(envs.step(np.array([1, 2, 3, 4])), fresh.step(np.array([1, 2, 3, 4])))  # no game was touched
    envs.close()
    fresh.close()


def test_after_ctrl_c_in_this_process_environments_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Noting()
    envs = make(2, model=model, workers=1, context="fork")
    envs.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr(model, "detect", interrupt)
        with pytest.raises(KeyboardInterrupt):
            envs.step(np.array([0, 0]))
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.array([0, 0]))
    assert len(envs.reset(seed=0)[0]) == len(envs.step(np.array([0, 0]))[0]) == 2
    envs.close()


def test_after_an_error_in_one_environment_all_are_reset() -> None:
    envs = make(2, workers=1)
    envs.reset(seed=0)
    with pytest.raises(IndexError):
        envs.step(np.array([99, 0]))
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.array([0, 0]))
    envs.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
def test_a_stopped_worker_is_named_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CLOSING", 0.1)
    envs = make(2, workers=1, timeout=60)
    envs.reset(seed=0)
    process = envs.unwrapped._blocks[0].process
    assert envs.unwrapped._blocks[0].timeout == 60
    envs.unwrapped._blocks[0].timeout = 0.5
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=rf"process {process.pid}\) has not answered for 0.5 s"):
        envs.step(np.array([0, 0]))
    with pytest.raises(WorkerError, match="has not answered"):
        envs.reset(seed=0)
    began = time.perf_counter()
    envs.close()
    assert time.perf_counter() - began < 20
    process.join(20)  # a busy machine takes longer than CLOSING to end it
    assert process.exitcode == -signal.SIGKILL
    envs.close()


def test_a_closed_environment_says_so() -> None:
    envs = make(2, workers=1)
    envs.reset(seed=0)
    envs.close()
    for call in (
        envs.reset,
        lambda: envs.step(np.array([0, 0])),
        lambda: envs.get_attr("noop_max"),
        lambda: envs.set_attr("noop_max", 1),
        lambda: envs.call("render"),
    ):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="closed"):
            call()


def test_pictures_attributes_and_methods() -> None:
    envs = make(3, workers=2, render_mode="rgb_array", overlay=True)
    envs.reset(seed=0)
    assert [picture.shape for picture in envs.render()] == [(630, 480, 3)] * 3
    assert envs.slot_names == ("Player", "Enemy", "Ball") and envs.feature_names[0] == "presence"
    assert envs.get_attr("slot_names") == (envs.slot_names,) * 3
    envs.set_attr("noop_max", [1, 2, 3])
    assert envs.get_attr("noop_max") == (1, 2, 3)
    with pytest.raises(ValueError, match="a value for each of 3"):
        envs.set_attr("noop_max", [1, 2])
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.spec is not None and envs.spec.id == "SpaceTime/Pong-v5"
    envs.close()
    plain = make(1)
    assert plain.render() is None  # with a warning that says how
    plain.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout to be a number of seconds over 0, got 0"),
        ({"timeout": float("nan")}, "timeout to be a number of seconds over 0, got nan"),
        ({"num_envs": 0}, "num_envs to be a whole number, 1 or more, got 0"),
        ({"workers": -1}, "workers to be a whole number"),
        ({"render_mode": "human"}, "opens a window for one game"),
        ({"noop_max": -2}, "noop_max to be a whole number, 0 to 10000"),
        ({"obs_format": "objets"}, "Did you mean 'objects'"),
        ({"autoreset_mode": "Next"}, "Next"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make(**{"num_envs": 2, **options})


def test_bad_calls_are_refused_and_do_no_harm() -> None:
    envs = make(2, workers=2)
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.array([0, 0]))
    with pytest.raises(ValueError, match="reset all environments once"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions of shape \(2,\), got \(3,\)"):
        envs.step(np.array([0, 0, 0]))
    with pytest.raises(ValueError, match="a seed for each of 2"):
        envs.reset(seed=[1])
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": [True, False]})
    with pytest.raises(IndexError):  # what the environment in the worker raised
        envs.step(np.array([99, 0]))
    envs.reset(seed=0)
    assert envs.step(np.array([0, 2]))[0].shape == (2, 3, 7)
    envs.close()


def test_a_dead_worker_is_named() -> None:
    envs = make(3, workers=2)
    envs.reset(seed=0)
    os.kill(envs.unwrapped._blocks[1].process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"died \(exit code -9\)"):
        for _ in range(3):
            envs.step(np.array([0, 0, 0]))
    envs.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="which processes live is read from /proc")
def test_workers_end_with_their_parent() -> None:
    script = (
        "import gymnasium as gym, os, signal\nfrom tests.envs.test_vector import make\nenvs = make(3, workers=2)\n"
        "pids = [block.process.pid for block in envs.unwrapped._blocks[:2]]\n"
        "print(*pids, *[os.path.isdir(f'/proc/{pid}') for pid in pids], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)
    assert said.stdout.split()[2:] == ["True", "True"], said.stderr  # they lived
    left = [int(word) for word in said.stdout.split()[:2]]
    for _ in range(100):
        left = [pid for pid in left if _alive(pid)]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"workers {left} live on")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("context", ["forkserver", "spawn"])
def test_other_ways_to_start_workers(context: str) -> None:
    envs, forked = (make(2, workers=2, context=how) for how in (context, "fork"))
    require_same(envs.reset(seed=3)[0], forked.reset(seed=3)[0])
    require_same(envs.step(np.array([2, 3]))[0], forked.step(np.array([2, 3]))[0])
    envs.close()
    forked.close()


def test_how_workers_are_started() -> None:
    """A forked process cannot use the GPU of its parent."""
    here, there = (SimpleNamespace(device=torch.device(name)) for name in ("cpu", "cuda"))
    assert remote.start_method(None, here) == remote.start_method(None, ColourModel()) == "fork"
    assert remote.start_method(None, there) == "spawn"
    assert [remote.start_method(asked, there) for asked in ("spawn", "forkserver")] == ["spawn", "forkserver"]
    with pytest.raises(ValueError, match="a forked worker cannot use the model's device, cuda: leave context out"):
        remote.start_method("fork", there)


def test_how_many_workers() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert _workers(None, 1) == 0 and _workers(0, 8) == 0
    assert _workers(3, 2) == 1 and _workers(1, 8) == 1  # this process plays too
    assert _workers(None, 10**6) == cores - 1 and _workers(None, 2) == min(cores, 2) - 1
    assert isinstance(make(1).unwrapped, SpaceTimeVectorEnv)


def test_workers_are_forked_from_a_process_in_which_opencv_has_threads() -> None:
    """A fork inherits the pool and not its threads. In a process of its own, since it would wait for ever."""
    code = """
import cv2
import gymnasium as gym
import numpy as np
import spacetime_env
if __name__ == "__main__":
    cv2.setNumThreads(4)
    for _ in range(20):  # the pool is made
        cv2.dilate(np.zeros((2000, 2000), np.uint8), np.ones((9, 9), np.uint8))
    envs = gym.make_vec("SpaceTime/Pong-v5", num_envs=2, workers=1, context="fork")
    print(envs.reset(seed=0)[0].shape, cv2.getNumThreads())
    envs.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().endswith("(2, 3, 7) 4"), done.stderr
