"""Checkpoints that were changed: refused in a sentence, before anything of the agent is."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spacetime_env.agent import AgentError, sb3_checkpoint
from spacetime_env.agent.build import build
from spacetime_env.agent.hyperparameters import algorithm, parse
from spacetime_env.agent.progress import Progress
from tests.helpers.agents import small_agent
from tests.helpers.forged import claiming, saved
from tests.helpers.toy_env import Catch


def changed(path: Path, **entries: bytes | Callable[[Any], Any]) -> None:
    """Replace entries of a zip; a function gets ``spacetime.json`` as a tree and gives the new one."""
    with zipfile.ZipFile(path) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    for name, content in entries.items():
        name = name.replace("__", ".")
        whole[name] = json.dumps(content(json.loads(whole[name]))).encode() if callable(content) else content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in whole.items():
            archive.writestr(name, data)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def put(*keys: Any, value: Any) -> Callable[[Any], Any]:
    def change(tree: Any) -> Any:
        part = tree
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        return tree

    return change


EVALUATION = {"timesteps": 8, "mean": 1.5, "std": 0.5, "episodes": 2, "training_mean": None, "seconds": 3.0}


@pytest.mark.parametrize(
    "change",
    [
        put("counters", value={"policy": 3}),
        put("counters", value={"predict": 3}),
        put("counters", "_n_updates", value="x"),
        put("counters", "_n_updates", value=-1),
        put("counters", value=[1]),
        put("progress", "timesteps", value="many"),
        put("progress", "timesteps", value=-1),
        put("progress", "seconds", value=math.nan),
        put("progress", "best", value="x"),
        put("progress", "sittings", value=0),
        put("progress", "nosuch", value=1),
        put("progress", "evaluations", value=[{"mean": 1.0}]),
        put("progress", "evaluations", value=[{**EVALUATION, "std": -1.0}]),
        put("progress", "evaluations", value=[{**EVALUATION, "mean": 10**400}]),
        put("progress", value=5),
        put("random", value=5),
        put("random", "torch", value="AAAA"),
        put("random", "numpy", value=["MT19937", [1] * 624, 10**6, 0, 0.0]),
        put("random", "numpy", value=["MT19937", [1] * 3, 5, 0, 0.0]),
        put("random", "python", value=[3, [1, 2], None]),
        lambda tree: [],
        lambda tree: {},
    ],
)
def test_a_state_that_was_changed_is_refused_and_changes_nothing(tmp_path: Path, change: Any) -> None:
    agent = small_agent()
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress(timesteps=16))
    changed(tmp_path / "last.zip", spacetime__json=change)
    policy, updates, drawn = agent.policy, agent._n_updates, torch.get_rng_state()
    with pytest.raises(AgentError, match="is damaged"):
        sb3_checkpoint.restore(tmp_path / "last.zip", agent)
    assert agent.policy is policy and (agent._n_updates, agent.num_timesteps) == (updates, 0)
    assert torch.equal(torch.get_rng_state(), drawn)


class Allocates:
    def __reduce__(self) -> Any:
        return bytearray, (10**11,)


def test_weights_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    agent = small_agent()
    before = {key: value.clone() for key, value in agent.policy.state_dict().items()}
    nan = {key: torch.full_like(value, math.nan) for key, value in before.items()}
    optimizer = agent.policy.optimizer.state_dict()
    huge = torch.zeros(1).expand(10**6, 10**6)
    moments = {"step": torch.zeros(()), "exp_avg": huge, "exp_avg_sq": huge}
    group = optimizer["param_groups"][0]
    odd = [{**group, "params": [*group["params"][:-1], torch.zeros(2, 3)]}]
    cases: list[tuple[str, bytes, str]] = [
        ("policy__pth", saved(nan), "no numbers"),
        ("policy__pth", saved({"x": torch.zeros(1)}), "other names"),
        ("policy__pth", saved([1]), "other names"),
        ("policy__pth", saved(Allocates()), "it names 'builtins? ?bytearray'|it names '__builtin__ bytearray'"),
        ("policy__pth", b"junk", "no zip file"),
        ("policy__pth", pickle.dumps({}), "no zip file"),
        ("policy__optimizer__pth", saved({"state": None, "param_groups": []}), "optimizer"),
        (
            "policy__optimizer__pth",
            saved({**optimizer, "state": {0: moments}}),
            r"expected shape .* got \(1000000, 1000000\)",
        ),
        ("policy__optimizer__pth", saved({**optimizer, "param_groups": odd}), "of other parameters"),
        ("policy__optimizer__pth", claiming(6, 2**31 - 1), "no zip file"),
        ("policy__optimizer__pth", saved({**optimizer, "state": {99: {}}}), "other parameters"),
    ]
    for name, content, says in cases:
        sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
        changed(tmp_path / "last.zip", **{name: content})
        with pytest.raises(AgentError, match=says):
            sb3_checkpoint.restore(tmp_path / "last.zip", agent)
    for key, value in agent.policy.state_dict().items():
        assert torch.equal(value, before[key])


def test_only_the_variables_that_an_algorithm_names_are_set(tmp_path: Path) -> None:
    agent = small_agent()
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
    policy = agent.policy
    changed(tmp_path / "last.zip", pytorch_variables__pth=saved({"policy": torch.zeros(1)}))
    sb3_checkpoint.restore(tmp_path / "last.zip", agent)
    assert agent.policy is policy


def test_a_checkpoint_that_unpacks_to_gigabytes_is_refused_by_its_directory(tmp_path: Path) -> None:
    agent = small_agent()
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
    with zipfile.ZipFile(tmp_path / "last.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.bin", bytes(80 * 2**20))
    with pytest.raises(AgentError, match="bytes when unpacked"):
        sb3_checkpoint.restore(tmp_path / "last.zip", agent)


SHAPE = (2, 7)
GOOD: dict[str, Any] = {
    "ret": np.ones(3),
    "obs//mean": np.zeros(SHAPE),
    "obs//var": np.ones(SHAPE),
    "obs//count": np.float64(3),
}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (npz(**{**GOOD, "ret": np.ones(2)}), "three floats for ret"),
        (npz(**{**GOOD, "ret": np.zeros(3, "V4")}), "three floats for ret"),
        (npz(**{**GOOD, "ret": np.ones(3, int)}), "three floats for ret"),
        (npz(ret=np.ones(3)), "lacks 'obs//mean'"),
        (npz(**{**GOOD, "obs//mean": np.zeros(5), "obs//var": np.zeros(5)}), r"expected statistics of \(2, 7\)"),
        (npz(**{**GOOD, "obs//mean": np.full(SHAPE, math.nan)}), "finite numbers"),
        (npz(**{**GOOD, "obs//var": np.zeros(SHAPE)}), "not over 0"),
        (npz(**{**GOOD, "obs//var": np.ones(SHAPE, int)}), "finite numbers"),
        (npz(**{**GOOD, "ret": np.array([1, None, 3], object)}), "holds Python objects"),
        (npz(**{**GOOD, "more": np.zeros(10**6)}), "bytes when unpacked"),
        (b"junk", "no zip file"),
    ],
)
def test_a_normalisation_that_was_changed_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    agent = small_agent(normalize=True)
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
    changed(tmp_path / "last.zip", normalization__npz=data)
    with pytest.raises(AgentError, match=says):
        sb3_checkpoint.restore(tmp_path / "last.zip", agent)


def test_a_replay_buffer_that_was_changed_is_refused(tmp_path: Path) -> None:
    raw = {"policy": "ObjectsDQNPolicy", "buffer_size": 50, "learning_starts": 8}
    agent = build("dqn", parse(raw, algorithm("dqn")), Catch(), seed=1)
    agent.learn(20)
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress(20))
    with zipfile.ZipFile(tmp_path / "last.zip") as archive, np.load(io.BytesIO(archive.read("replay.npz"))) as arrays:
        good = dict(arrays)
    for change, says in (
        ({"pos": np.int64(10**6)}, "filled up to"),
        ({"pos": np.int64(3)}, "expected"),
        ({"rewards/": np.zeros((20, 7), np.float32)}, "rewards"),
        ({"rewards/": np.zeros((20, 1), np.int64)}, "rewards"),
        ({"more": np.zeros(1)}, "other arrays"),
    ):
        changed(tmp_path / "last.zip", replay__npz=npz(**{**good, **change}))
        with pytest.raises(AgentError, match=says):
            sb3_checkpoint.restore(tmp_path / "last.zip", agent)
