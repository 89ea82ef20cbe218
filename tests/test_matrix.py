"""The matrix of dependencies: what is asked of uv, and what is reported. No environment is made here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import matrix

LISTED = "numpy==1.26.0\ngymnasium==1.1.0\nale-py==0.11.0 ; x\n"


def test_an_end_is_resolved_installed_and_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def uv(home: Path, *words: str) -> str:
        asked.append(words)
        if words[0] == "venv":
            (tmp_path / "oldest" / "bin").mkdir(parents=True)
            (tmp_path / "oldest" / "bin" / "python").symlink_to(sys.executable)
        return LISTED if words[1] == "compile" else ""

    monkeypatch.setattr(matrix, "uv", uv)
    (tmp_path / "test_it.py").write_text("def test_one(): pass\n")
    end = matrix.run_end("oldest", tmp_path, [str(tmp_path / "test_it.py"), "-c", "/dev/null"])
    assert [words[:2] for words in asked] == [("pip", "compile"), ("venv", "-q"), ("pip", "install")]
    assert asked[0][asked[0].index("--resolution") + 1] == "lowest-direct"
    assert (tmp_path / "torch.txt").read_text().startswith("torch==2.")
    assert end.versions == {"numpy": "1.26.0", "gymnasium": "1.1.0", "ale-py": "0.11.0"}
    assert end.installed
    assert end.good
    assert "1 passed" in end.tests
    text = matrix.report([end], {"3.12": "", "3.13": "Found 2 errors"})
    assert "| oldest | 1.26.0 | 1.1.0 | 0.11.0 | - | - | - | - | 1 passed" in text
    assert "| 3.12 | nothing to object |" in text
    assert "| 3.13 | Found 2 errors |" in text


def test_an_end_that_cannot_be_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def uv(home: Path, *words: str) -> str:
        raise subprocess.CalledProcessError(1, "uv", stderr="no solution found:\n numpy")

    monkeypatch.setattr(matrix, "uv", uv)
    end = matrix.run_end("newest", tmp_path, ["tests"])
    assert not end.installed
    assert not end.good
    assert end.tests == "not installed: no solution found: numpy"


def test_the_exit_status_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matrix, "read_as", lambda python: "")
    assert matrix.main(["--only-types", "--types"]) == 0
    assert [f"| {python} |" in capsys.readouterr().out for python in ("3.10",)] == [True]
    monkeypatch.setattr(matrix, "read_as", lambda python: "Found 1 error" if python == "3.13" else "")
    assert matrix.main(["--only-types", "--types", "3.12", "3.13"]) == 1
    with pytest.raises(SystemExit):
        matrix.main(["middle"])
