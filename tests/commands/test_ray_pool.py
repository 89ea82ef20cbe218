"""The pool of Ray tasks, on a stand-in for Ray that runs them in threads. tests/test_engines.py has the real one."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from spacetime_env.commands import pretrain, ray_pool, record
from spacetime_env.commands.ray_cluster import ClusterError
from spacetime_env.commands.ray_pool import RayPool, add_ray
from spacetime_env.data.meta import DatasetError
from tests.helpers.fake_ray import FakeRay, Lost, NoMemory


def test_without_an_address_a_node_of_our_own(ray: FakeRay) -> None:
    with RayPool(threads=3) as pool:
        assert sorted(task.result() for task in [pool.submit(divmod, 17, i) for i in (5, 3)]) == [(3, 2), (5, 2)]
        assert "shutdown" not in ray.said
    address, options = ray.said["init"]
    assert address == "local" and options["include_dashboard"] is False and options["object_store_memory"] < 2**28
    task = ray.said["task"]
    assert (task["num_cpus"], task["num_gpus"], task["max_retries"]) == (3, 0, 0)
    assert task["runtime_env"] == {"env_vars": {"OMP_NUM_THREADS": "3"}} and ray.said["shutdown"]


def test_no_task_asks_for_more_than_a_machine_has(ray: FakeRay) -> None:
    with RayPool("auto", threads=99):
        pass
    assert ray.said["task"]["num_cpus"] == 4
    assert ray.said["init"] == ("auto", {"logging_level": "error", "log_to_driver": False})
    with pytest.raises(ClusterError, match=r"train\.device.*no machine of the Ray cluster has one"):
        RayPool("auto", gpus=1)
    ray.resources["GPU"] = 2.0
    with RayPool("auto", gpus=1):
        assert ray.said["task"]["num_gpus"] == 1


def test_a_task_runs_in_the_directory_of_the_command(
    ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RayPool() as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path)
    with pytest.raises(ClusterError, match=r"has no directory /no/such .*that all machines of the cluster share"):
        ray_pool._in_folder("/no/such", len, ((),), 0.0)


def test_a_task_ends_with_the_process_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    done = threading.Event()

    def leave(status: int) -> None:
        ended.append(status)
        done.set()

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(os, "getppid", iter([7, 7, 1]).__next__)
    ray_pool._end_with_ray(7, done, every=0.001)
    assert ended == [1]
    ray_pool._end_with_ray(7, done)  # the task is done
    assert ended == [1]


def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (DatasetError("the disk is full."), DatasetError, "the disk is full."),
        (OSError(28, "No space"), OSError, "[Errno 28] No space"),
        (KeyError("a\nb"), ClusterError, r"a Ray task failed: KeyError: 'a\nb'"),
        (MemoryError(), ClusterError, "a Ray task ran out of memory. What is saved is kept."),
    ],
)
def test_an_error_of_a_task_arrives_without_pages_around_it(
    ray: FakeRay, raised: Exception, kind: type[Exception], message: str
) -> None:
    with RayPool() as pool, pytest.raises(kind) as caught:
        pool.submit(failing, raised).result()
    assert str(caught.value) == message


def test_what_a_lost_worker_did_is_begun_again(ray: FakeRay, capsys: pytest.CaptureFixture[str]) -> None:
    left = [Lost(), NoMemory()]

    def work(number: int) -> int:
        if left:
            raise left.pop(0)
        return number

    with RayPool() as pool:
        assert pool.submit(work, 7).result() == 7
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" was lost ")[2] for line in said] == [
        "(killed, or out of memory); what it did is taken up again, try 2 of 4",
        "(its machine ran out of memory); what it did is taken up again, try 3 of 4",
    ]


def test_work_that_every_worker_dies_of_is_given_up(ray: FakeRay) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise NoMemory

    expected = r"4 Ray workers were lost .*\(its machine ran out of memory\)"
    with RayPool() as pool, pytest.raises(ClusterError, match=expected):
        pool.submit(work).result()
    assert len(tries) == 4


def test_at_the_end_tasks_are_stopped_and_waited_for(ray: FakeRay, capsys: pytest.CaptureFixture[str]) -> None:
    saved = []

    def work() -> None:
        assert ray.stopped.wait(20)
        saved.append(1)
        raise KeyboardInterrupt

    with RayPool() as pool:
        task = pool.submit(work)
    assert saved == [1] and "waiting for 1 Ray tasks" in capsys.readouterr().err
    with pytest.raises(CancelledError):
        task.result()


def test_what_is_missing_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it was not installed
    sentence = '--ray needs Ray, which is not installed: pip install "spacetime-env[ray]"\n'
    words = ["-g", "Pong", "--size", "2", "--data-root", str(tmp_path), "--ray"]
    assert record.main(words) == 2 and capsys.readouterr().err == f"create_dataset.py: {sentence}"
    words = ["--game", "Pong", "--run", str(tmp_path / "s"), "--sweep", "seed=0,1", "--ray"]
    assert pretrain.main(words) == 1 and capsys.readouterr().err == f"pretrain_space.py: {sentence}"
    assert not [*tmp_path.iterdir()]


def test_options_that_do_not_go_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--game", "Pong", "--ray"], "--ray is for a --sweep of several runs."),
        (["--game", "Pong", "--ray", "--import-upstream", "a.pth"], "--ray is of a training"),
    ):
        assert pretrain.main(words) == 1 and message in capsys.readouterr().err
    assert record.main(["-g", "Pong", "--workers", "2", "--ray"]) == 2
    assert "--ray takes the place of --workers" in capsys.readouterr().err
    assert record.main(["--rooms", "small", "--out", "a", "--size", "8", "--ray"]) == 2
    assert "leave ray out" in capsys.readouterr().err


def test_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_ray(parser, "do it on Ray")
    given = [parser.parse_args(words).ray for words in ([], ["--ray"], ["--ray", "10.0.0.1:6379"])]
    assert given == [None, "", "10.0.0.1:6379"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--ray", "train.steps=5"])
    assert "got 'train.steps=5'; put settings before --ray" in capsys.readouterr().err
