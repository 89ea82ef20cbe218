"""Extractor, hyperparameters, checkpoints and agent folders, on a toy env."""

from __future__ import annotations

import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from spacetime_env.agent import (
    AgentError,
    ObjectsExtractor,
    as_policy,
    evaluate,
    folder,
    load_agent,
    sb3_checkpoint,
)
from spacetime_env.agent import card as cards
from spacetime_env.agent.build import build
from spacetime_env.agent.envs import EnvMaker, RandomStart, derived_seed, make, make_envs
from spacetime_env.agent.hyperparameters import algorithm, from_arguments, literal, parse, read
from spacetime_env.agent.progress import Progress
from spacetime_env.agent.train import Options, train
from tests.helpers.fakes import ColourModel, make_pong
from tests.helpers.toy_env import Catch

EVALUATION = {"timesteps": 32, "mean": 1.0, "std": 0.5, "episodes": 2, "training_mean": None, "seconds": 1.5}
SMALL = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Torch keeps to one thread."""
    torch.set_num_threads(1)


def agent_for(env: gym.Env | DummyVecEnv, **more: object) -> PPO:
    """A small, untrained PPO agent."""
    settings = parse({"policy": "spacetime_env.agent.ObjectsPolicy", **SMALL, **more}, PPO)
    made = build("ppo", settings, env, seed=1)
    assert isinstance(made, PPO)
    return made


def ship(path: Path, sha256: str = "a" * 64, **more: object) -> Path:
    """Write an agent folder of an untrained agent."""
    raw = {"policy": "spacetime_env.agent.ObjectsPolicy", **SMALL, **more}
    agent = agent_for(Catch(), **more)
    sb3_checkpoint.save(path.parent / "made.zip", agent, Progress(timesteps=5))
    about = {
        "algo": "ppo",
        "env": "toy/Catch-v0",
        "env_kwargs": {"length": 5},
        "hyperparameters": raw,
        "model": {"game": "Catch", "sha256": sha256},
        "evaluation": {"mean": 1.5},
    }
    folder.write(path, (path.parent / "made.zip").read_bytes(), about, {"CARD.md": "text"})
    return path


# ---- extractor


def test_extractor_gives_objects_and_pairs() -> None:
    space = spaces.Box(-1, 1, (2, 7), np.float32)
    extractor = ObjectsExtractor(space, offset_scale=2.0, velocity_scale=3.0)
    first = [1.0, -0.5, 0.25, 0.1, 0.2, 0.1, 0.0]
    second = [1.0, 0.25, -0.25, 0.3, 0.4, -0.2, 0.3]
    out = extractor(torch.tensor([[first, second]]))
    assert out.shape == (1, 20) and extractor.features_dim == 20
    own = [1.0, -0.5, 0.25, 0.1, 0.2, 0.3, 0.0, 1.0, 0.25, -0.25, 0.3, 0.4, -0.6, 0.9]
    pair = [0.75, -0.5, math.tanh(1.5), math.tanh(-1.0), -0.9, 0.9]  # second less first, velocities times 3
    torch.testing.assert_close(out[0], torch.tensor(own + pair))


def test_extractor_gives_zeros_for_a_pair_with_an_empty_slot() -> None:
    extractor = ObjectsExtractor(spaces.Box(-1, 1, (3, 7), np.float32))
    objects = torch.rand(2, 3, 7) * 0.5 + 0.1
    objects[:, 2] = 0
    pairs = extractor(objects)[:, 21:].reshape(2, 3, 6)  # pairs 01, 02, 12
    assert (pairs[:, 0].abs().sum(1) > 0).all()
    assert (pairs[:, 1:] == 0).all()


def test_extractor_counts_an_object_that_is_kept_after_it_was_lost() -> None:
    extractor = ObjectsExtractor(spaces.Box(-1, 1, (2, 7), np.float32))
    objects = torch.tensor([[[1, 0.5, 0, 0.1, 0.1, 0, 0], [0, 0.25, 0, 0.1, 0.1, 0, 0]]])
    assert extractor(objects)[0, 14] == -0.25


def test_extractor_reads_flat_and_dict_forms_alike() -> None:
    objects = torch.rand(3, 2, 7)
    rows = ObjectsExtractor(spaces.Box(-1, 1, (2, 7), np.float32))(objects)
    flat = ObjectsExtractor(spaces.Box(-1, 1, (14,), np.float32))(objects.flatten(1))
    form = {"objects": spaces.Box(-1, 1, (2, 7), np.float32), "mask": spaces.MultiBinary(2)}
    mask = torch.ones(3, 2)
    both = ObjectsExtractor(spaces.Dict(form))({"objects": objects, "mask": mask})
    assert torch.equal(rows, flat) and torch.equal(rows, both)


def test_extractor_finds_columns_by_name() -> None:
    features = ("x", "z_what0", "y", "presence")
    extractor = ObjectsExtractor(spaces.Box(-1, 1, (2, 4), np.float32), features)
    out = extractor(torch.tensor([[[0.5, 9.0, 0.25, 1.0], [0.75, 8.0, 0.5, 1.0]]]))
    assert out.shape == (1, 14)
    torch.testing.assert_close(out[0, 8:10], torch.tensor([0.25, 0.25]))
    assert (out[0, 12:] == 0).all()  # no velocities


def test_extractor_with_many_slots_adds_messages_up() -> None:
    space = spaces.Box(-1, 1, (5, 7), np.float32)
    torch.manual_seed(0)
    extractor = ObjectsExtractor(space, max_pairs=9, message_dim=12)  # 10 pairs
    assert extractor.features_dim == 5 * 7 + 5 * 12
    objects = torch.rand(2, 5, 7)
    objects[:, 4] = 0
    out = extractor(objects)
    assert out.shape == (2, 95)
    assert (out[:, 83:] == 0).all()  # nobody talks to an empty slot
    moved = objects.clone()
    moved[:, 1, 1] += 0.3
    assert not torch.equal(extractor(moved)[:, 35:47], out[:, 35:47])  # slot 0 sees that slot 1 has moved


def test_extractor_refuses_other_observations() -> None:
    with pytest.raises(ValueError, match=r"expected objects with the features presence, x, y"):
        ObjectsExtractor(spaces.Box(-1, 1, (4, 6), np.float32))


# ---- hyperparameters


def test_hyperparameters_are_read_as_rl_zoo3_writes_them(tmp_path: Path) -> None:
    text = "default: {n_timesteps: 1e5}\ntoy/Catch-v0:\n  n_envs: 3\n  n_timesteps: !!float 2e5\n"
    text += "  learning_rate: lin_1e-3\n  clip_range: 0.1\n  normalize: true\n  gamma: 0.9\n"
    text += "  policy_kwargs: 'dict(net_arch=[8], activation_fn=nn.Tanh)'\n  policy: MlpPolicy\n"
    (tmp_path / "ppo.yml").write_text(text)
    found = parse(read(tmp_path / "ppo.yml", "toy/Catch-v0", {"n_steps": 7}), PPO)
    assert (found.n_envs, found.n_timesteps, found.normalize) == (3, 200_000, {"gamma": 0.9})
    assert found.kwargs["policy_kwargs"] == {"net_arch": [8], "activation_fn": nn.Tanh}
    assert found.kwargs["n_steps"] == 7 and found.policy == "MlpPolicy"
    rate = found.kwargs["learning_rate"]
    assert [rate(1.0), rate(0.5), rate(0.0)] == pytest.approx([1e-3, 5e-4, 0.0])
    assert found.kwargs["clip_range"](0.3) == 0.1
    assert parse(read(tmp_path / "ppo.yml", "toy/Other-v0"), PPO, n_timesteps=9).n_timesteps == 9


def test_words_are_literals_or_text() -> None:
    assert from_arguments(["n_envs:8", "model:pong", "rate:lin_1e-3", "arch:[4, 4]"]) == {
        "n_envs": 8,
        "model": "pong",
        "rate": "lin_1e-3",
        "arch": [4, 4],
    }
    assert literal("__import__('os').getcwd()") == "__import__('os').getcwd()"  # text, never run
    with pytest.raises(AgentError, match="name:value"):
        from_arguments(["n_envs=8"])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"n_step": 5}, "Did you mean 'n_steps'"),
        ({"learning_rate": "cos_1"}, "lin_NUMBER"),
        ({"n_envs": 0}, "n_envs: expected a whole number from 1 to 4,096"),
        ({"policy": "spacetime_env.agent.NoPolicy"}, r"is not known.*ObjectsPolicy.*trust=True"),
    ],
)
def test_bad_hyperparameters_are_refused(raw: dict[str, object], says: str) -> None:
    with pytest.raises(AgentError, match=says):
        parse(raw, PPO)


def test_unknown_algorithm_names_those_there_are() -> None:
    assert algorithm("ppo") is PPO
    with pytest.raises(AgentError, match=r"unknown algorithm 'pppo'.*a2c"):
        algorithm("pppo")


def test_shipped_hyperparameters_fit_their_algorithms() -> None:
    files = sorted((Path(__file__).parents[2] / "configs" / "agents").glob("*.yml"))
    assert [file.stem for file in files] == ["a2c", "dqn", "ppo"]
    for file in files:
        assert parse(read(file, "SpaceTime/Pong-v5"), algorithm(file.stem)).policy.reads_objects


# ---- envs


def test_random_start_waits_as_long_as_its_seed_says() -> None:
    env = RandomStart(Catch(length=100), noops=30)
    waits = []
    for seed in (1, 1, 2, None, None):
        env.reset(seed=seed)
        waits.append(env.unwrapped.time)
    assert waits[0] == waits[1] and len(set(waits[1:])) > 2
    assert all(0 <= wait <= 30 for wait in waits)


def test_unknown_env_names_those_near_it() -> None:
    with pytest.raises(AgentError, match=r"no env 'toy/Catch-v1'.*toy/Catch-v0"):
        make("toy/Catch-v1", {})


def test_derived_seeds_differ() -> None:
    assert len({derived_seed(0, kind, steps) for kind in (1, 2, 3) for steps in (0, 50)}) == 6


# ---- checkpoints


def test_checkpoint_brings_all_back(tmp_path: Path) -> None:
    envs = make_envs(EnvMaker("toy/Catch-v0", {}), 2, seed=5, kind="dummy")
    agent = agent_for(envs, normalize=True)
    agent.learn(40)
    progress = Progress(40, 1.5, 2, [EVALUATION], 1.0)
    sb3_checkpoint.save(tmp_path / "last.zip", agent, progress)
    drawn = (torch.rand(3), np.random.rand(3))

    other = agent_for(make_envs(EnvMaker("toy/Catch-v0", {}), 2, seed=6, kind="dummy"), normalize=True)
    assert sb3_checkpoint.restore(tmp_path / "last.zip", other) == progress
    again = (torch.rand(3), np.random.rand(3))
    assert torch.equal(drawn[0], again[0]) and np.array_equal(drawn[1], again[1])
    assert other.num_timesteps == 40 and other._n_updates == agent._n_updates
    for name, value in agent.policy.state_dict().items():
        assert torch.equal(value, other.policy.state_dict()[name])
    adam = other.policy.optimizer.state_dict()["state"]
    assert torch.equal(adam[0]["exp_avg"], agent.policy.optimizer.state_dict()["state"][0]["exp_avg"])
    mine, theirs = agent.get_vec_normalize_env(), other.get_vec_normalize_env()
    assert isinstance(mine, VecNormalize) and isinstance(theirs, VecNormalize)
    np.testing.assert_array_equal(mine.obs_rms.mean, theirs.obs_rms.mean)
    assert mine.ret_rms.var == theirs.ret_rms.var and mine.obs_rms.count == theirs.obs_rms.count


def test_checkpoint_of_dqn_keeps_its_replay_buffer(tmp_path: Path) -> None:
    raw = {"policy": "spacetime_env.agent.ObjectsDQNPolicy", "buffer_size": 50, "learning_starts": 8}
    made = [build("dqn", parse(raw, algorithm("dqn")), Catch(), seed=1) for _ in range(2)]
    made[0].learn(20)
    sb3_checkpoint.save(tmp_path / "last.zip", made[0], Progress(20))
    sb3_checkpoint.restore(tmp_path / "last.zip", made[1])
    buffers = [agent.replay_buffer for agent in made]
    assert buffers[1].pos == 20
    np.testing.assert_array_equal(buffers[0].observations[:20], buffers[1].observations[:20])
    np.testing.assert_array_equal(buffers[0].rewards[:20], buffers[1].rewards[:20])


def test_checkpoint_is_one_that_sb3_reads(tmp_path: Path) -> None:
    agent = agent_for(Catch())
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
    observation = np.full((2, 7), 0.3, np.float32)
    loaded = PPO.load(tmp_path / "last.zip")
    assert (
        loaded.predict(observation, deterministic=True)[0]
        == agent.predict(observation, deterministic=True)[0]
    )


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    agent = agent_for(Catch())
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress())
    whole = (tmp_path / "last.zip").read_bytes()
    for cut in (whole[: len(whole) // 2], b"", whole[:3000] + b"\0" * 50 + whole[3050:]):
        (tmp_path / "last.zip").write_bytes(cut)
        with pytest.raises(AgentError, match="damaged"):
            sb3_checkpoint.restore(tmp_path / "last.zip", agent)
    with pytest.raises(AgentError, match="no checkpoint"):
        sb3_checkpoint.restore(tmp_path / "none.zip", agent)


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    sb3_checkpoint.save(tmp_path / "last.zip", agent_for(Catch()), Progress())
    with pytest.raises(AgentError, match="do not fit this agent"):
        sb3_checkpoint.restore(tmp_path / "last.zip", agent_for(Catch(), policy_kwargs={"net_arch": [5]}))


def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_for(Catch())
    sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress(timesteps=7))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        sb3_checkpoint.save(tmp_path / "last.zip", agent, Progress(timesteps=9))
    assert sb3_checkpoint.progress_of(tmp_path / "last.zip").timesteps == 7
    assert [path.name for path in tmp_path.iterdir()] == ["last.zip"]


# ---- agent folders


def test_agent_is_loaded_with_its_env_and_unpickles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cloudpickle

    path = ship(tmp_path / "catch-ppo", normalize=True)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr(cloudpickle, "loads", refuse)
    agent, env = load_agent(path)
    assert env.get_wrapper_attr("length") == 5
    returns = evaluate(agent, env, episodes=4, seed=3, noops=2)
    assert returns.shape == (4,) and np.abs(returns).max() <= 5
    np.testing.assert_array_equal(returns, evaluate(agent, env, episodes=4, seed=3, noops=2))


def test_evaluation_leaves_the_random_state_alone(tmp_path: Path) -> None:
    agent = agent_for(Catch())
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    evaluate(agent, Catch(), episodes=1, deterministic=False)
    assert torch.equal(torch.rand(2), expected)


def test_agent_of_another_model_is_refused(tmp_path: Path) -> None:
    path = ship(tmp_path / "catch-ppo", sha256="b" * 64)
    with pytest.raises(AgentError, match=r"objects of another model: that of Catch has changed"):
        load_agent(path)
    load_agent(path, any_model=True)
    load_agent(ship(tmp_path / "other-ppo", sha256="c" * 64), sha256="c" * 64)  # an argument of the env


def test_bad_agent_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no agent"):
        load_agent("pong-pppo")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AgentError, match=r"is not an agent: it has no agent\.yaml"):
        load_agent(tmp_path / "empty")
    path = ship(tmp_path / "catch-ppo")
    (path / "policy.zip").write_bytes((path / "policy.zip").read_bytes()[:-20])
    with pytest.raises(AgentError, match="sha256 differs"):
        load_agent(path)
    path = ship(tmp_path / "catch-ppo")
    about = yaml.safe_load((path / "agent.yaml").read_text())
    del about["algo"]
    (path / "agent.yaml").write_text(yaml.safe_dump(about))
    with pytest.raises(AgentError, match=r"has no algo"):
        load_agent(path)
    (path / "agent.yaml").write_text("a: [")
    with pytest.raises(AgentError, match="not YAML"):
        load_agent(path)


def test_policy_records_its_own_game_only(tmp_path: Path) -> None:
    policy = as_policy(ship(tmp_path / "catch-ppo"))
    assert policy.name == "catch-ppo" and policy.fingerprint == policy.about["policy_sha256"]
    with pytest.raises(AgentError, match="plays Catch, and Pong is to be recorded"):
        policy.make_env("Pong")
    env = policy.make_env("Catch")
    policy.reset(seed=1)
    observation, _ = env.reset(seed=1)
    assert policy.act(env, observation) in (0, 1, 2)
    copy = pickle.loads(pickle.dumps(policy))  # as it goes to a worker process
    assert copy._acting is None and copy.act(copy.make_env("Catch"), observation) == policy.act(
        env, observation
    )


def test_policy_zip_holds_no_replay_buffer_when_shipped(tmp_path: Path) -> None:
    raw = {"policy": "spacetime_env.agent.ObjectsDQNPolicy", "buffer_size": 50}
    agent = build("dqn", parse(raw, algorithm("dqn")), Catch())
    sb3_checkpoint.save(tmp_path / "policy.zip", agent, Progress(), replay=False)
    assert "replay.npz" not in zipfile.ZipFile(tmp_path / "policy.zip").namelist()


# ---- card


def test_curve_runs_from_the_lower_left_to_the_upper_right() -> None:
    points = [{"timesteps": 500, "mean": -20.0, "std": 0.0}, {"timesteps": 1000, "mean": 20.0, "std": 0.0}]
    text = cards.curve(points, "PPO")
    assert 'points="320.0,272.0 592.0,48.0" fill="none"' in text
    assert ">-20<" in text and ">20<" in text and ">1000<" in text


# ---- the real env, with a model that finds Pong's objects by colour


@pytest.mark.parametrize(
    "options",
    [{}, {"obs_format": "flat"}, {"obs_format": "dict"}, {"obs_format": "latents"}, {"history": 2}],
    ids=["objects", "flat", "dict", "latents", "history"],
)
def test_every_observation_of_the_env_can_be_learned_from(options: dict[str, Any]) -> None:
    env = make_pong(**options)
    agent = agent_for(env)
    agent.learn(16)
    extractor = agent.policy.features_extractor
    assert isinstance(extractor, ObjectsExtractor) and extractor.slots == 3
    assert extractor.features == env.get_wrapper_attr("feature_names")
    assert agent.num_timesteps == 16
    env.close()


def test_pong_is_trained_shipped_and_loaded(tmp_path: Path) -> None:
    options = Options(
        n_timesteps=32,
        eval_freq=-1,
        seed=1,
        final_episodes=1,
        verbose=0,
        env_kwargs={"model": ColourModel(), "max_episode_steps": 50},
        hyperparams={"n_envs": 2, "n_steps": 16, "batch_size": 16, "n_epochs": 1},
        log_folder=str(tmp_path / "logs"),
        agents_folder=str(tmp_path / "agents"),
    )
    path = train(options)
    assert path == tmp_path / "agents" / "pong-ppo"
    about = yaml.safe_load((path / "agent.yaml").read_text())
    assert about["env"] == "SpaceTime/Pong-v5" and about["model"]["game"] == "Pong"
    assert about["hyperparameters"]["n_steps"] == 16 and about["hyperparameters"]["gamma"] == 0.99
    assert -21 <= about["evaluation"]["mean"] <= 21
    agent, env = load_agent(path, model=ColourModel())
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3, 7) and agent.predict(observation)[0] in range(6)
    env.close()
