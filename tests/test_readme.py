"""Every block of the README runs, and every command of it is one that its script accepts."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from spacetime_env import games
from spacetime_env.config import load_config
from spacetime_env.config.games import each_game

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```", README, re.M | re.S) for line in block.splitlines()]
# What would take long is made small; each text on the left must be in the README.
TINY = {
    'PPO("MlpPolicy", env).learn(total_timesteps=1_000_000)': (
        'PPO("MlpPolicy", env, n_steps=16, batch_size=16).learn(total_timesteps=16)'
    ),
    'agent, env = load_agent("pong-ppo")': (
        'import gymnasium\nagent, env = load_agent("pong-ppo")\nenv = gymnasium.wrappers.TimeLimit(env, 50)'
    ),
}
# Run here as they stand; the others are asked whether they know their flags, and run in tests of their own.
RUN = ("python -m rl_zoo3.train",)


def run(command: list[str], folder: Path) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@functools.cache
def help_of(script: Path) -> str:
    """What ``--help`` says. In this process: to import torch in another takes seconds."""
    said, words = io.StringIO(), [str(script), "--help"]
    with contextlib.redirect_stdout(said), mock.patch.object(sys, "argv", words), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    return said.getvalue()


def test_there_are_blocks() -> None:
    assert len(PYTHON) >= 5
    assert "python3 run.py play" in COMMANDS and "python3 run.py test" in COMMANDS
    assert all(text in README for text in TINY)


def test_python_blocks_run(tmp_path: Path) -> None:
    """In one process, since to import torch takes seconds; each begins with no names but its own."""
    guide = (ROOT / "docs" / "guide.md").read_text()
    frame = "import numpy as np\nframe = np.zeros((210, 160, 3), np.uint8)\n"
    blocks = [*PYTHON, *(frame + code for code in re.findall(r"^```python\n(.*?)^```", guide, re.M | re.S))]
    for number, code in enumerate(blocks):
        for long, short in TINY.items():
            code = code.replace(long, short)
        blocks[number] = f"print('block', {number}, flush=True)\nexec({code!r}, {{'__name__': '__main__'}})"
    said = run([sys.executable, "-c", "\n".join(blocks)], tmp_path)
    assert said.count("block") == len(blocks) > len(PYTHON)


def test_guide(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guide.md").read_text()
    configs = re.findall(r"^```yaml\n(.*?)^```", guide, re.M | re.S)
    assert configs
    shutil.copy(ROOT / "configs" / "default.yaml", tmp_path)
    for number, text in enumerate(configs):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert set(each_game(load_config(path))) <= set(games())


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_accepted(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    assert words[0] in ("python", "python3"), command
    if command.startswith(RUN):
        run([sys.executable, *words[1:], "--log-folder", str(tmp_path / "logs"), "--device", "cpu"], tmp_path)
        return
    if words[1] == "-m":  # a module of the checkout
        assert "usage: python -m" in run([sys.executable, *words[1:3], "--help"], ROOT)
        return
    script, rest = ROOT / words[1], words[2:]
    assert script.is_file(), f"the README calls {words[1]}, which is not there"
    if script.name == "run.py":  # installs, so it is not called from inside itself
        assert rest[0] in help_of(script)
        return
    known = help_of(script)
    for flag, value in zip(rest, [*rest[1:], ""], strict=True):
        if flag.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", known), f"{script.name} does not know {flag}"
        if flag == "--config":
            assert (ROOT / value).is_file(), f"the README names {value}, which is not there"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).is_file()


def test_files_in_the_text_exist() -> None:
    for name in re.findall(r"`([\w./-]+\.(?:py|yaml|txt|md))`", README):
        if name != "CARD.md":
            assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).is_file(), target
