"""The set-up script, without an installation: .ci/run does that for real."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(tmp_path: Path) -> ModuleType:
    """run.py as if it lay in a checkout of its own."""
    spec = importlib.util.spec_from_file_location("run_script", ROOT / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    values = {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": Path(sys.executable),
        "STAMP": venv / "stamp.json",
        "UNFINISHED": venv / "unfinished",
        "LOG": venv / "pip.log",
    }
    for name, value in values.items():
        setattr(module, name, value)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name)
    return module


@pytest.fixture
def calls(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The pip commands that run.py gives; none is run."""
    seen: list[list[str]] = []

    def pip(*words: str) -> int:
        seen.append(list(words))
        return 0

    def make_venv() -> None:
        script.VENV.mkdir(exist_ok=True)

    monkeypatch.setattr(script, "pip", pip)
    monkeypatch.setattr(script, "cpu_torch", lambda: None)
    monkeypatch.setattr(script, "make_venv", make_venv)
    return seen


def test_second_call_installs_nothing(script: ModuleType, calls: list[list[str]]) -> None:
    script.install(())
    assert calls == [["install", "-c", str(script.ROOT / "constraints.txt"), "-e", str(script.ROOT)]]
    script.install(())
    assert len(calls) == 1
    script.install(("test",))
    assert calls[1][-1] == f"{script.ROOT}[test]"
    assert calls[2][-2:] == ["--no-deps", "ocatari"]
    script.install(())  # what is there has more than it asks for
    assert len(calls) == 3
    assert not script.UNFINISHED.exists()


def test_changed_constraints_install_again_with_all_extras(script: ModuleType, calls: list[list[str]]) -> None:
    script.install(("test",))
    (script.ROOT / "constraints.txt").write_text("numpy==2.0")
    script.install(())
    assert [call[-1] for call in calls] == [f"{script.ROOT}[test]", "ocatari"] * 2


def test_play_from_its_first_word_to_the_picture(
    script: ModuleType, calls: list[list[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The whole of ``run.py play`` but pip's work: the shipped agent plays on the shipped model, and a GIF is there."""
    gif = tmp_path / "seen.gif"
    assert script.main(["play", "--episodes", "1", "--max-steps", "120", "--gif", str(gif), "--gif-steps", "9"]) == 0
    said = capfd.readouterr()
    assert len(calls) == 1 and "Traceback" not in said.err
    assert "cut off" in said.out and "Mean return of 1 episode: " in said.out
    assert "step 100\n" in said.out and "\nPlayer " in said.out and "\nBall " in said.out
    with Image.open(gif) as picture:
        assert picture.size == (2 * 160, 2 * 210) and picture.n_frames > 1
    assert script.main(["play", "--episodes", "none"]) == 2  # what the player says of bad words is handed on
    assert "--episodes" in capfd.readouterr().err


def test_tests_run_on_all_cores_unless_told_otherwise(
    script: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[str]] = []
    monkeypatch.setattr(script, "call", lambda command: made.append(command) or 0)
    assert script.main(["test", "-k", "scene", "-n", "0"]) == 0
    (command,) = made
    assert command[1:3] == ["-m", "pytest"] and command[-4:] == ["-k", "scene", "-n", "0"]  # the last one counts
    assert command[command.index("-n") + 1] == "logical" and "worksteal" in command


def test_a_failed_installation_is_not_taken_for_a_finished_one(
    script: ModuleType, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.install(())
    (script.ROOT / "pyproject.toml").write_text("changed")
    monkeypatch.setattr(script, "pip", lambda *words: 1)
    with pytest.raises(script.Stop):
        script.install(())
    assert script.STAMP.exists() and script.read_stamp() is None


def test_half_made_venv_is_made_anew(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    script.VENV.mkdir()
    script.UNFINISHED.touch()
    (script.VENV / "half").touch()
    ok = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: ok)
    script.make_venv()
    assert [p.name for p in script.VENV.iterdir()] == ["unfinished"]


def test_a_venv_of_the_users_is_left_alone(script: ModuleType) -> None:
    script.VENV.mkdir()
    (script.VENV / "theirs").touch()
    with pytest.raises(script.Stop, match="did not make it"):
        script.make_venv()
    assert (script.VENV / "theirs").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprint": "x"}', "{"])
def test_damaged_stamp_counts_as_none(script: ModuleType, text: str) -> None:
    script.VENV.mkdir()
    script.STAMP.write_text(text)
    assert script.read_stamp() is None
    script.STAMP.write_text(json.dumps({"fingerprint": "x", "extras": []}))
    assert script.read_stamp() == {"fingerprint": "x", "extras": []}


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            "NewConnectionError('<pip...>: Failed to establish a new connection')",
            "could not reach the package index",
        ),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))", "PIP_CERT"),
        ("ERROR: ResolutionImpossible", "pip could not install the project"),
    ],
)
def test_says_why_pip_failed(script: ModuleType, log: str, sentence: str) -> None:
    script.VENV.mkdir()
    script.LOG.write_text(log)
    assert sentence in script.why_pip_failed()


def test_old_python_is_refused_in_plain_words(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    with pytest.raises(script.Stop, match=r"3\.10 or newer is needed"):
        script.find_python(["play"])


@pytest.mark.parametrize(
    ("system", "card", "answers", "asks"),
    [
        ("linux", None, True, True),
        ("linux", "/usr/bin/nvidia-smi", True, False),
        ("darwin", None, True, False),
        ("linux", None, False, False),
    ],
)
def test_takes_the_cpu_build_where_it_fits(
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    card: str | None,
    answers: bool,
    asks: bool,
) -> None:
    seen: list[tuple[str, ...]] = []

    def connect(*_: object, **__: object) -> io.BytesIO:
        if not answers:
            raise OSError
        return io.BytesIO()  # has close()

    absent = subprocess.CompletedProcess([], 1, "", "")
    monkeypatch.setattr(script.sys, "platform", system)
    monkeypatch.setattr(script.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(script.shutil, "which", lambda name: card)
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: absent)  # torch is not there yet
    monkeypatch.setattr(script.socket, "create_connection", connect)
    monkeypatch.setattr(script, "Path", lambda text: Path(script.ROOT / "no-such-file"))
    monkeypatch.setattr(script, "pip", lambda *words: seen.append(words) or 0)
    script.cpu_torch()
    assert [words[-2:] for words in seen] == [("https://download.pytorch.org/whl/cpu", "torch")] * asks


@pytest.mark.parametrize(("words", "status"), [([], 2), (["dance"], 2), (["--help"], 0)])
def test_help(script: ModuleType, words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(words) == status
    assert "python3 run.py play" in capsys.readouterr().out
