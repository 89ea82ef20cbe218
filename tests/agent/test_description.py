"""agent.yaml: types, missing keys, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from spacetime_env.agent import AgentError, load_agent
from spacetime_env.agent.description import describe, lineage
from tests.helpers.agents import write_agent


@pytest.mark.parametrize(
    "about",
    [
        {"model": {}},
        {"model": {"game": "Pong"}},
        {"model": 5},
        {"model": None},
        {"env": 5},
        {"env_kwargs": 5},
        {"env_kwargs": []},
        {"hyperparameters": 5},
        {"algo": 3},
        {"policy_sha256": 5},
        {"deterministic": "x"},
        {"trained": {"earlier": 5}},
        {"trained": {"earlier": [5]}},
        {"evaluation": [1]},
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, about: dict[str, Any]) -> None:
    path = write_agent(tmp_path / "a", **about)
    with pytest.raises(AgentError, match=rf"agent\.yaml: {next(iter(about))}: expected"):
        load_agent(path)


@pytest.mark.parametrize("text", ["!!bool foo", "2001-99-99", "9" * 5000, "[" * 10_000, "5", "[]", ""])
def test_text_that_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    path = write_agent(tmp_path / "a")
    (path / "agent.yaml").write_text(text)
    with pytest.raises(AgentError, match=r"agent\.yaml") as found:
        load_agent(path)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize("name", ["agent.yaml", "policy.zip"])
@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "loop"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    path = write_agent(tmp_path / "a")
    (path / name).unlink()
    if kind == "fifo":
        os.mkfifo(path / name)
    elif kind == "folder":
        (path / name).mkdir()
    else:
        (path / name).symlink_to("/dev/zero" if kind == "zero" else path / name)
    with pytest.raises(AgentError, match=name):
        load_agent(path)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(AgentError) as found:
            load_agent(name)
        assert len(str(found.value)) < 6000


def test_a_lineage_holds_text_and_numbers_only(tmp_path: Path) -> None:
    earlier = [{"command": "x" * 5000, "timesteps": "{", "mean": "y", "std": 1, "model": 5}]
    path = write_agent(tmp_path / "a", trained={"earlier": earlier, "best_timesteps": 7, "command": "made"})
    first, own = lineage(path / "policy.zip")
    assert len(first["command"]) < 1100
    assert first | {"command": ""} == {"command": "", "timesteps": None, "model": None, "mean": None, "std": None}
    assert (own["timesteps"], own["command"], own["model"]) == (7, "made", "a" * 64)
    assert describe(path)["trained"]["best_timesteps"] == 7
    assert yaml.safe_load((path / "agent.yaml").read_text())["trained"]["earlier"] == earlier
