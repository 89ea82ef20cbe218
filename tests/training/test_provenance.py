"""What a run was made with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from spacetime_env import __version__
from spacetime_env.config import Config, from_dict
from spacetime_env.training.provenance import commit, provenance
from tests.helpers.tiny import CONFIG


def test_provenance_gives_the_config_back() -> None:
    found = yaml.safe_load(yaml.safe_dump(provenance(CONFIG)))
    assert from_dict(Config, found["config"]) == CONFIG
    assert found["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert found["versions"]["spacetime_env"] == __version__
    assert {"numpy", "gymnasium", "ale-py", "python", "commit"} <= set(found["versions"])


def test_commit_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr("spacetime_env.training.provenance.__file__", str(tmp_path / "training" / "x.py"))
    assert commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"
