"""``python -m benchmarks.digests``: whether a change of the code leaves every number as it was, to the last bit.

Detections of every shipped model on 256 frames of each of its games, observations of 500 steps of each game that has a
model, alone and in a vector environment, and the weights of a training of 200 steps. Each becomes a SHA-256, in a file
named by what bits depend on: torch, numpy, numba and what the CPU can do. Without such a file for this machine, the
command runs an older commit beside the present one: ``--against COMMIT``. After a model is trained again,
``--write`` makes the file anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "digests"
FRAMES, STEPS, TRAINING_STEPS = 256, 500, 200
PARTS = ("detections", "observations", "vector", "training")


def main() -> int:
    """Exit status: 0 all is equal, 1 something is not, 2 there is nothing to compare with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digests", description=__doc__)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, help="default: all")
    parser.add_argument("--write", action="store_true", help="keep what is found as what is right")
    parser.add_argument("--against", metavar="COMMIT", help="compare with what that commit finds on this machine")
    parser.add_argument("--print", action="store_true", help="print the digests as JSON and compare nothing")
    asked = parser.parse_args()
    found = measure(asked.parts)
    if asked.print:
        print(json.dumps(found))
        return 0
    path = FOLDER / f"{machine()}.json"
    if asked.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
        print(f"wrote {path}")
        return 0
    if asked.against:
        wanted = at_commit(asked.against, asked.parts)
    elif path.is_file():
        wanted = json.loads(path.read_text())
    else:
        print(f"no digests of this machine ({path.name}); use --against COMMIT, or --write.", file=sys.stderr)
        return 2
    return compare(found, {part: wanted[part] for part in asked.parts if part in wanted})


def compare(found: Mapping[str, Mapping[str, str]], wanted: Mapping[str, Mapping[str, str]]) -> int:
    """Print what differs; the exit status."""
    differ = 0
    for part, digests in wanted.items():
        for name in sorted({*digests, *found[part]}):
            if digests.get(name) != found[part].get(name):
                print(f"{part}: {name} differs")
                differ += 1
    print(f"{sum(map(len, wanted.values())) - differ} equal, {differ} different.")
    return int(differ > 0)


def at_commit(commit: str, parts: list[str]) -> dict[str, dict[str, str]]:
    """What the code of a commit finds, on this machine: this file run in a clone of it."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        subprocess.run(["git", "checkout", "-q", commit], cwd=clone, check=True)
        script = clone / "benchmarks" / "digests.py"
        script.write_bytes(Path(__file__).read_bytes())
        env = {**os.environ, "PYTHONPATH": str(clone)}
        command = [sys.executable, "-m", "benchmarks.digests", "--print", "--parts", *parts]
        done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{commit} could not be measured:\n{done.stderr[-2000:]}")
        found: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return found


def measure(parts: list[str]) -> dict[str, dict[str, str]]:
    """The digests of each part, by name."""
    import torch

    torch.set_num_threads(1)
    kinds = {"detections": detections, "observations": observations, "vector": vector, "training": training}
    return {part: kinds[part]() for part in parts}


def machine() -> str:
    """What bits depend on: versions, and what the CPU can do."""
    import torch

    names = [f"{name}-{version(name)}" for name in ("torch", "numpy")]
    try:
        names.append(f"numba-{version('numba')}")
    except PackageNotFoundError:
        names.append("no-numba")
    return "_".join([*names, torch.backends.cpu.get_cpu_capability().lower()]).replace("+", "-")


def digest(*arrays: Any) -> str:
    """SHA-256 of arrays: their types, shapes and bytes."""
    told = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        told.update(f"{array.dtype} {array.shape}".encode())
        told.update(array.tobytes())
    return told.hexdigest()


def detections() -> dict[str, str]:
    """Of every shipped model, in each of its games: alone, together, and with a memory."""
    from spacetime_env import available_models, load_model

    found = {}
    for name in available_models():
        for game in games_of(name):
            model = load_model(name, game)
            frames = played(game)
            one = [each for frame in frames[:32] for each in model.detect(frame)]
            many = model.detect(frames)
            for kind, seen in (("alone", one), ("together", many)):
                arrays = [(d.boxes, d.z_where, d.class_ids, d.confidence, d.z_what) for d in seen]
                found[f"{name} {game} {kind}"] = digest(*(array for each in arrays for array in each))
    return found


def games_of(name: str) -> list[str]:
    """The games of a shipped model, as its settings have them; none of a model of pictures."""
    import yaml

    tree = yaml.safe_load((ROOT / "models" / name / "model.yaml").read_text())
    from spacetime_env.games import is_game

    return [game for game in (tree["games"] if "games" in tree else [tree["game"]]) if is_game(game)]


def played(game: str) -> np.ndarray:
    """(256, H, W, 3) uint8 RGB: every fifth frame of a random game."""
    import gymnasium as gym

    env = gym.make(f"ALE/{game}-v5")
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    frames = []
    for step in range(FRAMES * 5):
        frame, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))  # type: ignore[attr-defined]
        if step % 5 == 0:
            frames.append(frame)
        if terminated or truncated:
            env.reset()
    env.close()
    return np.stack(frames)


def own_games() -> list[str]:
    """The games that have a shipped model of their own."""
    from spacetime_env import available_models

    return [games_of(name)[0] for name in available_models() if len(games_of(name)) == 1]


def observations() -> dict[str, str]:
    """Of 500 steps of each game: observations, rewards, ends and scenes."""
    import gymnasium as gym

    import spacetime_env  # noqa: F401  (registers the environments)

    found = {}
    for game in own_games():
        env = gym.make(f"SpaceTime/{game}-v5", obs_format="latents", history=2, noop_max=5)
        rng = np.random.default_rng(1)
        observation, info = env.reset(seed=2)
        told: list[Any] = [observation, *scene(info)]
        for _ in range(STEPS):
            observation, reward, terminated, truncated, info = env.step(int(rng.integers(env.action_space.n)))  # type: ignore[attr-defined]
            told += [observation, reward, terminated, truncated, *scene(info)]
            if terminated or truncated:
                observation, info = env.reset()
                told += [observation, *scene(info)]
        env.close()
        found[game] = digest(*told)
    return found


def scene(info: Mapping[str, Any]) -> list[np.ndarray]:
    """The places in an info, class by class."""
    return [np.array(places, float) for places in info["scene"].values()]


def vector() -> dict[str, str]:
    """Of 500 steps of three environments of each game, one of them in a worker."""
    import gymnasium as gym

    import spacetime_env  # noqa: F401  (registers the environments)

    found = {}
    for game in own_games():
        envs = gym.make_vec(f"SpaceTime/{game}-v5", 3, workers=1, autoreset_mode="SameStep", noop_max=5)
        rng = np.random.default_rng(1)
        told: list[Any] = [envs.reset(seed=2)[0]]
        for _ in range(STEPS):
            *answers, infos = envs.step(rng.integers(envs.single_action_space.n, size=3))  # type: ignore[attr-defined]
            told += answers
            for places in infos["scene"].values():  # and of each, which environments have it
                told += [np.array(one, float) for one in places]
        envs.close()
        found[game] = digest(*told)
    return found


def training() -> dict[str, str]:
    """The weights of 200 steps on 64 stacks of Pong, recorded anew, by the command."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--config", str(ROOT / "configs" / "pong.yaml"), "--out", f"{folder}/model", "--run", f"{folder}/run"]
        words += [f"data.root={folder}/data", "data.size=64", "data.eval_size=16", "train.threads=1", "data.workers=1"]
        words += [f"train.steps={TRAINING_STEPS}", f"train.eval_every={TRAINING_STEPS}"]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(ROOT / "pretrain_space.py"), *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the training failed:\n{done.stderr[-2000:]}")
        weights = (Path(folder) / "model" / "model.safetensors").read_bytes()
        return {"pong, 200 steps": hashlib.sha256(weights).hexdigest()}


if __name__ == "__main__":
    sys.exit(main())
