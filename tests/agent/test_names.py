"""What text in an agent folder may name; nothing is imported for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3 import PPO
from torch import nn

from spacetime_env.agent import AgentError, ObjectsPolicy, load_agent, names
from spacetime_env.agent.envs import make
from spacetime_env.agent.hyperparameters import algorithm, parse
from tests.helpers.agents import write_agent

PAYLOAD = "import pathlib\npathlib.Path('ran').touch()\nfrom spacetime_env.agent import ObjectsPolicy as Mine\n"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current directory that leaves the file ``ran`` when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "payload_of_test.py").write_text(PAYLOAD)
    yield "payload_of_test"
    sys.modules.pop("payload_of_test", None)


@pytest.mark.parametrize("name", ["payload_of_test.Mine", "os.system", "subprocess.Popen", "antigravity.x", "NoSuch"])
def test_a_policy_of_a_file_is_not_imported(name: str, evil: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"is not known.*MlpPolicy.*ObjectsPolicy"):
        load_agent(write_agent(tmp_path / "a", {"policy": name}))
    assert not Path("ran").exists()


def test_an_env_of_a_file_is_not_imported(evil: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="names a module, which would be imported"):
        load_agent(write_agent(tmp_path / "a", env="payload_of_test:toy/Catch-v0"))
    with pytest.raises(AgentError, match="names a module"):
        make("payload_of_test:toy/Catch-v0", {})
    assert not Path("ran").exists()


def test_trust_imports_both(evil: str, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", {"policy": f"{evil}.Mine"}, env=f"{evil}:toy/Catch-v0")
    load_agent(folder, trust=True)
    assert Path("ran").exists()


def test_policies_have_short_names_and_those_of_their_algorithm() -> None:
    for name in ("ObjectsPolicy", "spacetime_env.agent.ObjectsPolicy", "spacetime_env.agent.extractor.ObjectsPolicy"):
        assert names.policy(name, PPO) is ObjectsPolicy
    assert names.policy("CnnPolicy", PPO) == "CnnPolicy" and names.policy(ObjectsPolicy, PPO) is ObjectsPolicy
    with pytest.raises(AgentError, match="MlpLstmPolicy"):
        names.policy("MlpLstmPolicy ", algorithm("recurrentppo"))


@pytest.mark.parametrize("given", ["nn.Tanh", "Tanh", "torch.nn.Tanh", nn.Tanh])
def test_classes_in_policy_kwargs_are_named(given: Any) -> None:
    assert parse({"policy_kwargs": {"activation_fn": given}}, PPO).kwargs["policy_kwargs"] == {"activation_fn": nn.Tanh}
    if isinstance(given, str):
        text = f"dict(activation_fn={given})"
        assert parse({"policy_kwargs": text}, PPO).kwargs["policy_kwargs"] == {"activation_fn": nn.Tanh}


@pytest.mark.parametrize("given", ["nn.init", "nn.modules", "nn.ModuleList", "os.system", "evil.nn.Tanh", 3])
def test_other_classes_are_refused(given: Any) -> None:
    with pytest.raises(AgentError, match=r"activation_fn .* is not known"):
        parse({"policy_kwargs": {"activation_fn": given}}, PPO)
