"""Engines that are not ours: Ray itself, RLlib, torchrl, CleanRL. Where one is missing, its tests are skipped.

    python -m pytest -m engines -rs                       # what is installed here, minutes
    SPACETIME_ENV_LEARN=1 python -m pytest -m engines     # also whether each learns, up to 20 minutes each
    SPACETIME_ENV_CLEANRL_PPO=/path/to/cleanrl/ppo.py python -m pytest -m engines -k cleanrl
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import yaml

import spacetime_env  # noqa: F401  (registers the ids)
from spacetime_env.config import to_dict
from tests.helpers.tiny import write_data

pytestmark = pytest.mark.engines
ROOT = Path(__file__).parent.parent
LEARN = bool(os.environ.get("SPACETIME_ENV_LEARN"))
PPO = os.environ.get("SPACETIME_ENV_CLEANRL_PPO", "")


def needs(name: str, command: str, *modules: str) -> pytest.MarkDecorator:
    """Skip a test where a package is not installed; ``modules`` are those it consists of, by default the package."""
    missing = any(importlib.util.find_spec(module) is None for module in modules or (name,))
    return pytest.mark.skipif(missing, reason=f"{name} is not installed: {command}")


def start(*words: str | Path, folder: Path = ROOT, minutes: float = 5, **variables: str) -> str:
    """Run Python with some words in a folder; what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60 * minutes, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@needs("ray", 'pip install "spacetime-env[ray]"')
def test_a_sweep_on_ray_gives_the_same_table(tmp_path: Path) -> None:
    config = write_data(tmp_path / "data", test=True)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(to_dict(replace(config, train=replace(config.train, steps=2)))))
    rows = {}
    for name, more in (("plain", []), ("ray", ["--ray"])):
        words = ["--config", "c.yaml", "--run", name, "--sweep", "seed=0,1", *more]
        start(ROOT / "pretrain_space.py", *words, folder=tmp_path)
        found = csv.DictReader((tmp_path / name / "table.csv").read_text().splitlines())
        rows[name] = [{key: value for key, value in row.items() if key != "wall_seconds"} for row in found]
    assert rows["ray"] == rows["plain"] and [row["state"] for row in rows["ray"]] == ["done"] * 2
    models = [(tmp_path / name / "seed=1" / "model" / "model.safetensors").read_bytes() for name in rows]
    assert models[0] == models[1]


@needs("ray", 'pip install "spacetime-env[ray]"')
def test_recording_on_ray_gives_the_same_bytes(tmp_path: Path) -> None:
    config = ROOT / "configs" / "pong.yaml"
    for name, more in (("plain", []), ("ray", ["--ray"])):
        words = ["--config", config, "data.shard_size=2", "--size", "7", "--data-root", name, *more]
        start(ROOT / "create_dataset.py", *words, folder=tmp_path)
    recorded = files(tmp_path / "plain")
    assert len([name for name in recorded if "frames-" in name]) == 4 and files(tmp_path / "ray") == recorded


def die_once(file: Path) -> str:
    """Kill this process, but the second time answer with the number of threads."""
    if file.exists():
        return os.environ["OMP_NUM_THREADS"]
    file.write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


@needs("ray", 'pip install "spacetime-env[ray]"')
def test_what_a_killed_worker_did_is_done_again(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from spacetime_env.commands.ray_pool import RayPool
from tests.test_engines import die_once
with RayPool() as pool:
    print("threads:", pool.submit(die_once, Path({str(tmp_path / "died")!r})).result())
"""
    said = start("-c", code)
    assert "a Ray worker was lost (killed, or out of memory); what it did is taken up again, try 2 of 4" in said
    assert "threads: 1" in said and "raylet" not in said


def means(said: str) -> dict[str, tuple[float, float]]:
    """What an example printed last: who played -> mean return, standard error."""
    lines = re.findall(r"(?m)^(trained agent|random play): mean return (\S+), standard error (\S+), over", said)
    return {name: (float(mean), float(error)) for name, mean, error in lines}


def learned(mean: float, error: float, chance: float, its_error: float) -> bool:
    """Whether a mean is above that of chance by three standard errors of their difference."""
    return mean - chance > 3 * float(np.hypot(error, its_error))


EXAMPLES = [
    pytest.param("rllib_pong.py", marks=needs("ray[rllib]", "see examples/README.md", "ray", "tree"), id="rllib"),
    pytest.param("torchrl_boxing.py", marks=needs("torchrl", "pip install torchrl"), id="torchrl"),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str) -> None:
    said = start(ROOT / "examples" / name, "--steps", "1024", "--episodes", "1")
    assert "1024 of 1024 steps" in said.replace(".0 of", " of") and set(means(said)) == {"trained agent", "random play"}


@pytest.mark.skipif(not LEARN, reason="trains for up to 20 minutes: set SPACETIME_ENV_LEARN=1")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_learns(name: str) -> None:
    found = means(start(ROOT / "examples" / name, "--minutes", "15", minutes=25))
    assert learned(*found["trained agent"], *found["random play"]), found


needs_ppo = pytest.mark.skipif(
    not PPO, reason="SPACETIME_ENV_CLEANRL_PPO does not say where CleanRL's ppo.py is (it is not copied in here)"
)
needs_tyro = needs("tyro", "pip install tyro")


@needs_ppo
@needs_tyro
def test_cleanrl_takes_the_id_and_nothing_else(tmp_path: Path) -> None:
    id_ = "spacetime_env:SpaceTime/Boxing-flat-v5"
    said = start(PPO, "--env-id", id_, "--total-timesteps", "1024", "--no-cuda", folder=tmp_path)
    assert said.count("SPS:") == 2


@needs_ppo
@needs_tyro
@pytest.mark.skipif(not LEARN, reason="trains for up to 20 minutes: set SPACETIME_ENV_LEARN=1")
def test_cleanrl_learns(tmp_path: Path) -> None:
    """The script prints no returns under Gymnasium 1, so the environment writes them."""
    words = ["--env-id", "tests.helpers.written_returns:Written/Boxing-flat-v5", "--total-timesteps", "200000"]
    words += ["--num-envs", "8", "--num-minibatches", "8", "--update-epochs", "8", "--learning-rate", "1e-3"]
    start(PPO, *words, "--no-cuda", folder=tmp_path, minutes=40, WRITTEN_RETURNS=str(tmp_path / "returns.txt"))
    returns = [float(line.split()[1]) for line in (tmp_path / "returns.txt").read_text().splitlines()]
    last = np.array(returns[-24:])
    chance = np.array(at_random("SpaceTime/Boxing-flat-v5", 10))
    errors = [float(found.std(ddof=1) / len(found) ** 0.5) for found in (last, chance)]
    assert learned(float(last.mean()), errors[0], float(chance.mean()), errors[1]), (last, chance)


def at_random(id_: str, episodes: int) -> list[float]:
    """The returns of random play."""
    env, returns = gym.make(id_), []
    env.action_space.seed(0)
    for i in range(episodes):
        env.reset(seed=i)
        total, done = 0.0, False
        while not done:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, done = total + float(reward), terminated or truncated
        returns.append(total)
    return returns
