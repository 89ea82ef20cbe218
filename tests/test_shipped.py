"""What ships is what its cards say: each model finds its game's objects, each agent plays."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacetime_env.agent import load_agent
from spacetime_env.bundle import CARD, available_models, find, load_model, model_games
from spacetime_env.config import load_config
from spacetime_env.dataset import open_split
from spacetime_env.joint import each_game
from spacetime_env.metrics.boxes import detection_scores
from spacetime_env.naming import detect_all, moving_truth
from spacetime_env.shipped import available

ROOT = Path(__file__).parent.parent
AGENTS = available("agents", "agent.yaml")
JOINT = [name for name in available_models() if len(model_games(name)) > 1]


def test_pong_is_there():
    assert "pong" in available_models() and "pong-ppo" in AGENTS


@pytest.mark.parametrize("name", [name for name in available_models() if name not in JOINT])
def test_model_sees_its_game(name):
    """On a third of the shipped test frames, from seeds and policies that it was not trained on: as its card says."""
    model, config = load_model(name), load_config(ROOT / "configs" / f"{name}.yaml")
    # A configuration may leave it to the data how many frames the model looks at; the model has what came out.
    settled = config.model.subframes or model.config.subframes
    assert model.config == replace(config.model, subframes=settled) and settled in (1, 2)
    card = (find("models", name) / CARD).read_text()
    splits = sorted((ROOT / "data" / model.game).glob("test-*/meta.yaml"))
    assert splits
    for path in splits:
        split = open_split(path.parent, model.game, subframes=model.config.subframes)  # as evaluate.py
        stacks = range(0, len(split), 3)
        truth, others = moving_truth(split, model.scene)
        frames = [stack * split.meta.length + t for stack in stacks for t in range(split.meta.length)]
        found = detect_all(model, split, stacks)
        scores = detection_scores(found, [truth[f] for f in frames], [others[f] for f in frames])
        told = re.search(rf"### {path.parent.name}:.*?\| F1 at IoU 0.5 \| ([\d.]+)", card, re.S)
        assert told is not None, f"the card has no figures of {path.parent.name}"
        assert abs(scores.f1 - float(told[1])) < 0.015 and scores.f1 > 0.9, (path, scores)
        assert scores.center_f1 > 0.94 and scores.name_accuracy > 0.98, (path, scores)


@pytest.mark.parametrize("name", JOINT)
def test_joint_model_sees_its_games(name):
    """On a third of the frames, of those of its games that have shipped test splits."""
    config, card = load_config(ROOT / "configs" / f"{name}.yaml"), (find("models", name) / CARD).read_text()
    assert set(model_games(name)) == set(each_game(config))
    for game in model_games(name):
        model = load_model(name, game)
        for path in sorted((ROOT / "data" / game).glob("test-*/meta.yaml")):
            split = open_split(path.parent, game, config.motion, model.config.subframes)
            stacks = range(0, len(split), 3)
            truth, others = moving_truth(split, model.scene)
            frames = [stack * split.meta.length + t for stack in stacks for t in range(split.meta.length)]
            found = detect_all(model, split, stacks)
            scores = detection_scores(found, [truth[f] for f in frames], [others[f] for f in frames])
            told = re.search(rf"### {game}, {path.parent.name}:.*?\| F1 at IoU 0.5 \| ([\d.]+)", card, re.S)
            assert told is not None and abs(scores.f1 - float(told[1])) < 0.015, (path, scores)


def test_the_seed_documents_call():
    """``scene_description`` with a classifier says what ``detect`` says, where nothing is ignored."""
    model = load_model("pong")
    split = open_split(ROOT / "data" / "Pong" / "test-random", motion=load_config(ROOT / "configs/pong.yaml").motion)
    frame = split.frames([40])[0, 0]
    scene = model.space.scene_description(model.tensor(frame)[0], z_classifier=model.classifier, only_z_what=True)
    found = model.detect(frame)[0]
    assert len(found) >= 2
    for name, where in zip(found.names, found.z_where, strict=True):
        assert any(np.allclose(where, position, atol=1e-5) for position in scene[name])


@pytest.mark.parametrize("name", AGENTS)
def test_agent_plays(name):
    """It holds its own for 1500 steps; random play has lost by 21 points by then."""
    agent, env = load_agent(name)
    observation, _ = env.reset(seed=3)
    total = 0.0
    for _ in range(1500):
        action, _ = agent.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(int(action))
        total += float(reward)
        if terminated or truncated:
            break
    env.close()
    assert total > -10
