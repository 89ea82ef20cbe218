"""How each kind of input is loaded and used, as the commands of the package do it."""

from __future__ import annotations

import functools
import io
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz import seed_agents, seeds
from spacetime_env.config import MotionConfig, load_config, to_dict
from spacetime_env.config.games import each_game, run_name
from spacetime_env.config.schema import RarityConfig


@functools.cache
def emulator() -> Any:
    """Pong, as Gymnasium makes it."""
    import ale_py
    import gymnasium as gym

    gym.register_envs(ale_py)
    return gym.make("ALE/Pong-v5", disable_env_checker=True)


def play(model: Any) -> None:
    """Let a model look at frames of noise and at three steps of a game."""
    from spacetime_env import SpaceTimeObservation

    noise = np.random.default_rng(0).integers(0, 256, (1, *model.native, 3), dtype=np.uint8)
    model.detect(noise)
    model.reconstruct(noise)
    if model.native != seeds.PONG:
        return
    env = SpaceTimeObservation(emulator(), model=model, allow_game_mismatch=True)
    env.reset(seed=0)
    for action in (0, 2, 3):
        env.step(action)


def a_model(path: str, words: list[str]) -> None:
    """Load a model folder, of one game or of several, and play."""
    from spacetime_env.models.folder import load_model, model_games

    model_games(path)
    play(load_model(path, words[0] or None))


def settings(path: str, words: list[str]) -> None:
    """Load a config, and make the network that it describes, as pretraining does."""
    from spacetime_env.training.examples import JointExamples
    from spacetime_env.training.pretrain import start
    from spacetime_env.training.step import require_settings

    config = load_config(Path(path) / "config.yaml", words)
    to_dict(config)
    each_game(config)
    run_name(config)
    require_settings(config)
    start(config, JointExamples([], False))


def hyperparameters(path: str, words: list[str]) -> None:
    """Read a hyperparameter file and make the agent that it describes."""
    from spacetime_env.agent.build import build
    from spacetime_env.agent.hyperparameters import algorithm, parse, read
    from spacetime_env.agent.hyperparameters import from_arguments as parsed

    algo, *overrides = words
    raw = read(Path(path) / f"{algo}.yml", "SpaceTime/Pong-v5", parsed(overrides))
    build(algo, parse(raw, algorithm(algo)), seed_agents.Rows(), seed=0)


def an_agent(path: str, words: list[str]) -> None:
    """Load an agent folder and let it play two steps."""
    from spacetime_env.agent import load_agent

    agent, env = load_agent(path)
    try:
        observation, _ = env.reset(seed=0)
        for _ in range(2):
            action, _ = agent.predict(observation, deterministic=True)
            observation, *_ = env.step(action)
    finally:
        env.close()


def a_run(path: str, words: list[str]) -> None:
    """Resume the training of an agent."""
    from spacetime_env.agent import card, run_folder, sb3_checkpoint
    from spacetime_env.agent.build import build
    from spacetime_env.agent.hyperparameters import algorithm, parse

    (algo,) = words
    job = run_folder.reopen(Path(path))
    if job is not None and job.lock is not None:
        job.lock.close()
    agent = build(algo, parse(seed_agents.AGENTS[algo], algorithm(algo)), seed_agents.Rows(), seed=0)
    sb3_checkpoint.progress_of(Path(path) / "last.zip")
    progress = sb3_checkpoint.restore(Path(path) / "last.zip", agent)
    agent.predict(np.zeros((3, 7), np.float32))
    assert agent.num_timesteps >= 0
    for evaluation in progress.evaluations:
        card.row(evaluation)
    card.curve(progress.evaluations, "title")


def a_split(path: str, words: list[str]) -> None:
    """Open a split and look at all that it holds."""
    from spacetime_env.data.split import open_split
    from spacetime_env.data.stage_pictures import stack_picture

    motion = MotionConfig(foreground="rarity", rarity=RarityConfig(window=3)) if words[0] else MotionConfig()
    split = open_split(path, motion=motion, subframes=2 if words[0] else 1)
    split.frames([0])
    if split.meta.labels:
        split.labels.names_of(0)
    split.background  # noqa: B018  (a property that reads a file)
    split.motion_masks(None, [0])
    split.targets(4)
    stack_picture(split, 0)


def a_checkpoint(path: str, words: list[str]) -> None:
    """Resume a pretraining and do a step, or start another one with its weights."""
    from spacetime_env.training.checkpoint import resume
    from spacetime_env.training.pretrain import use_best
    from spacetime_env.training.start import read_source, take

    state = seeds.pretraining()
    if words[0] == "start":
        take(read_source(path), state.space)
        return
    with redirect_stdout(io.StringIO()):
        found = resume(Path(path), state, seeds.CONFIG)
        if found is not None and 0 <= state.step < seeds.CONFIG.train.steps:
            seeds.one_step(state)
            float(state.best + state.seconds)
        use_best(Path(path), state)


@functools.cache
def tiny() -> Any:
    """An untrained model."""
    return seeds.model(seeds.MODEL)


def classifiers(path: str, words: list[str]) -> None:
    """Read a file of classifiers, and have a model name objects with each."""
    from spacetime_env.models.classifier_file import read_classifiers

    for one in read_classifiers(Path(path) / "x.classifiers.safetensors").values():
        tiny().with_classifier(one).detect(np.zeros((1, *seeds.PONG, 3), np.uint8))


def a_published(path: str, words: list[str]) -> None:
    """Load a checkpoint of the published code and look at a frame."""
    from spacetime_env.space import load_upstream

    load_upstream(Path(path) / "model.pth").encode(torch.zeros(1, 3, 128, 128))


@functools.cache
def pong() -> Any:
    """The shipped model."""
    from spacetime_env.models.folder import load_model

    return load_model("pong")


def a_picture(path: str, words: list[str]) -> None:
    """Look at a picture, or open the split that has it as its background."""
    from spacetime_env.data.split import open_split
    from spacetime_env.viewer import look_at_image

    if words[0] == "background":
        open_split(path).background  # noqa: B018  (a property that reads a file)
        return
    with redirect_stdout(io.StringIO()):
        look_at_image(pong(), Path(path) / "picture.png", Path(path).parent / "out")


def a_picture_folder(path: str, words: list[str]) -> None:
    """Open a folder of pictures, and look at all that it holds."""
    from spacetime_env.data.pictures import open_pictures

    split = open_pictures(path)
    split.frames()
    split.small((8, 9))
    split.background  # noqa: B018  (a property that reads pictures)
    if split.meta.labels:
        for frame in range(len(split)):
            split.labels.names_of(frame)


def get_ready() -> None:
    """Threads do not survive a fork, and each case has a core. What is looked for once is looked for now."""
    import cv2
    from PIL import Image

    from spacetime_env.agent.hyperparameters import AgentError, algorithm

    Image.init()
    with suppress(AgentError):
        algorithm("nosuch")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
