"""train_agent.py: from the command line to an agent's folder, with interruptions, on a toy env."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import PPO

import tests.helpers.toy_env
from spacetime_env import shipped
from spacetime_env.agent import Acting, as_policy, evaluate, load_agent, run_folder, sb3_checkpoint
from spacetime_env.agent.envs import EnvMaker, make_envs
from spacetime_env.agent.hyperparameters import AgentError
from spacetime_env.agent.progress import Progress
from spacetime_env.agent.supervisor import Supervisor
from spacetime_env.agent.train import Options, train
from spacetime_env.commands.train_agent import main
from tests.helpers.fakes import ColourModel

ROOT = Path(__file__).parents[2]
ENV = tests.helpers.toy_env.__name__ + ":toy/Catch-v0"
WORDS = ["n_envs:2", "n_steps:8", "batch_size:8", "n_epochs:1", "policy_kwargs:dict(net_arch=[4])"]
LITTLE: dict[str, Any] = {
    "env": ENV,
    "n_timesteps": 64,
    "eval_freq": 32,
    "eval_episodes": 2,
    "save_freq": 16,
    "seed": 7,
    "verbose": 0,
    "final_episodes": 3,
    "trust": True,
    "hyperparams": {
        "n_envs": 2,
        "n_steps": 8,
        "batch_size": 8,
        "n_epochs": 1,
        "policy_kwargs": {"net_arch": [4]},
    },
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a current directory of its own."""
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


def stop_at(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Press Ctrl-C as soon as ``steps`` are done."""
    on_step = Supervisor._on_step

    def press(self: Supervisor) -> bool:
        if self.num_timesteps == steps:
            signal.raise_signal(signal.SIGINT)
        return on_step(self)

    monkeypatch.setattr(Supervisor, "_on_step", press)


def test_command_line_makes_an_agent(capsys: pytest.CaptureFixture[str]) -> None:
    flags = (
        f"--algo ppo --env {ENV} --trust -n 64 --eval-freq 32 --eval-episodes 2 --save-freq 16 -f runs --seed 7 -P"
    )
    flags += " --vec-env dummy --device cpu --final-episodes 3 -tb board --env-kwargs length:6"
    assert main([*flags.split(), "-params", *WORDS]) == 0
    assert "The agent is in agents/catch-ppo" in capsys.readouterr().out
    about = yaml.safe_load(Path("agents/catch-ppo/agent.yaml").read_text())
    assert (about["algo"], about["env"], about["env_kwargs"], about["seed"]) == ("ppo", ENV, {"length": 6}, 7)
    assert about["trained"]["timesteps"] == 64 and about["hyperparameters"]["n_envs"] == 2
    assert about["model"] == {"game": "Catch", "sha256": "a" * 64}
    returns = about["evaluation"]["returns"]
    assert len(returns) == 3 and np.mean(returns) == about["evaluation"]["mean"]
    card = Path("agents/catch-ppo/CARD.md").read_text()
    assert "| 32 |" in card and "| 64 |" in card and "learning_rate" in card
    assert Path("agents/catch-ppo/curve.svg").read_text().startswith("<svg")
    assert list(Path("board").rglob("events*"))
    agent, env = load_agent("agents/catch-ppo", trust=True)
    assert env.get_wrapper_attr("length") == 6
    assert agent.predict(env.reset(seed=0)[0])[0] in (0, 1, 2)


def test_interrupted_training_goes_on_with_the_same_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 44)
        assert train(Options(**LITTLE)) is None
    assert "Stopped after 32 of 64 steps" in capsys.readouterr().out  # the rollout under way is lost
    job = Path(f"logs/ppo/{run_folder.slug(ENV)}_1")
    assert sb3_checkpoint.progress_of(job / "last.zip").timesteps == 32
    assert train(Options(**LITTLE)) == Path("agents/catch-ppo")
    assert f"Going on with {job}" in capsys.readouterr().out
    progress = sb3_checkpoint.progress_of(job / "last.zip")
    assert (progress.timesteps, progress.sittings) == (64, 2)
    assert [e["timesteps"] for e in progress.evaluations] == [32, 64]
    assert PPO.load(job / "last.zip")._current_progress_remaining == 0.0  # the schedule ended where it should


def test_the_learning_rate_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    update = PPO._update_learning_rate

    def note(self: PPO, optimizers: Any) -> None:
        update(self, optimizers)
        rates.append(self.policy.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(PPO, "_update_learning_rate", note)
    settings = {**LITTLE, "hyperparams": {**LITTLE["hyperparams"], "learning_rate": "lin_1.0"}}
    with monkeypatch.context() as patch:
        stop_at(patch, 36)
        train(Options(**settings))
    train(Options(**settings))
    assert rates == pytest.approx([0.75, 0.5, 0.25, 0.0])


def test_kill_loses_no_more_than_the_work_since_the_last_save() -> None:
    flags = f"--env {ENV} --trust -n 100000 --eval-freq -1 --save-freq 64 --seed 3 --verbose 0 -params".split()
    command = [sys.executable, str(ROOT / "train_agent.py"), *flags, *WORDS]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    last = Path(f"logs/ppo/{run_folder.slug(ENV)}_1/last.zip")
    process = subprocess.Popen(command, env=env)
    for _ in range(600):
        if last.is_file() and sb3_checkpoint.progress_of(last).timesteps >= 128:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    saved = sb3_checkpoint.progress_of(last)
    assert saved.timesteps >= 128 and not Path("agents").exists()
    options = Options(env=ENV, trained_agent=str(last.parent), eval_freq=-1, verbose=0, final_episodes=2, trust=True)
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, saved.timesteps + 34)
        assert train(options) is None  # -i goes on with what run.yaml says
    assert sb3_checkpoint.progress_of(last).timesteps == saved.timesteps + 32


def test_a_finished_training_is_not_gone_on_with() -> None:
    first = train(Options(**LITTLE))
    assert first is not None
    train(Options(**{**LITTLE, "trained_agent": str(first), "overwrite": True}))
    asked = yaml.safe_load(Path(f"logs/ppo/{run_folder.slug(ENV)}_2/run.yaml").read_text())["asked"]
    assert asked["start"] == "agents/catch-ppo/policy.zip"


def test_an_agent_names_the_trainings_that_it_started_from() -> None:
    train(Options(**LITTLE), "first command")
    again = {**LITTLE, "trained_agent": "agents/catch-ppo", "overwrite": True}
    for command in ("second command", "third command"):
        train(Options(**again), command)
    about = yaml.safe_load(Path("agents/catch-ppo/agent.yaml").read_text())
    earlier = about["trained"]["earlier"]
    assert [one["command"] for one in earlier] == ["first command", "second command"]
    assert earlier[0]["model"] == "a" * 64 and earlier[0]["timesteps"] in (32, 64)
    card = Path("agents/catch-ppo/CARD.md").read_text()
    assert "did not start from nothing" in card and "2. `second command`" in card
    assert card.index("1. `first command`") < card.index("2. `second command`") < card.index("The last training:")


def test_two_processes_do_not_share_a_run() -> None:
    asked = {"algo": "ppo", "env": "a/B-v0", "seed": 1, "hyperparameters": {}, "env_kwargs": {}, "start": ""}
    first, second = run_folder.begin(Path("logs"), asked, 1), run_folder.begin(Path("logs"), asked, 1)
    assert [job.folder.name for job in (first, second)] == ["a-B-v0_1", "a-B-v0_2"]
    with pytest.raises(AgentError, match="is in use by process"):
        run_folder.reopen(first.folder)
    first.lock.close()
    assert run_folder.begin(Path("logs"), asked, 1).folder == first.folder


def test_an_agent_that_plays_better_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    target = train(Options(**LITTLE))
    assert target is not None
    about = yaml.safe_load((target / "agent.yaml").read_text())
    about["evaluation"]["mean"] = 1000.0
    (target / "agent.yaml").write_text(yaml.safe_dump(about))
    other = train(Options(**LITTLE))
    assert other == Path(f"logs/ppo/{run_folder.slug(ENV)}_2/catch-ppo")
    assert "agents/catch-ppo holds an agent that plays better (1000.0)" in capsys.readouterr().out
    assert train(Options(**LITTLE, overwrite=True)) == target

    about["model"]["sha256"] = "b" * 64  # of a model that is no more: how well it played does not count
    (target / "agent.yaml").write_text(yaml.safe_dump(about))
    assert train(Options(**LITTLE)) == target


def test_what_ships_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    target = train(Options(**LITTLE))
    assert target is not None
    (target / "notes.txt").write_text("mine")
    digest = hashlib.sha256((target / "policy.zip").read_bytes()).hexdigest()
    monkeypatch.setattr(shipped, "hashes", lambda: {digest: "agents/catch-ppo/policy.zip"})
    capsys.readouterr()
    other = train(Options(**LITTLE))
    assert other == Path(f"logs/ppo/{run_folder.slug(ENV)}_2/catch-ppo")
    said = capsys.readouterr().out
    assert said.startswith("agents/catch-ppo comes with the package. The agent will be put into logs/ppo/")
    assert hashlib.sha256((target / "policy.zip").read_bytes()).hexdigest() == digest
    assert train(Options(**LITTLE, overwrite=True)) == target
    assert (target / "notes.txt").read_text() == "mine" and not list(Path("agents").glob(".*"))
    assert not (Path("agents") / "lock").exists()


def test_a_folder_of_other_things_is_kept() -> None:
    (Path("agents") / "catch-ppo").mkdir(parents=True)
    (Path("agents") / "catch-ppo" / "CARD.md").write_text("mine")
    with pytest.raises(AgentError, match=r"catch-ppo is there and is no agent\. Give another --name"):
        train(Options(**LITTLE))
    assert (Path("agents") / "catch-ppo" / "CARD.md").read_text() == "mine" and not Path("logs").exists()


def test_full_disk_does_not_end_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = sb3_checkpoint.save

    def full(path: Path, *args: Any, **kwargs: Any) -> None:
        if 16 < args[1].timesteps < 64:
            raise OSError(28, "No space left on device")
        save(path, *args, **kwargs)

    monkeypatch.setattr(sb3_checkpoint, "save", full)
    assert train(Options(**LITTLE)) is not None
    assert "last.zip: No space left on device. The training goes on" in capsys.readouterr().out

    monkeypatch.setattr(sb3_checkpoint, "save", lambda *_, **__: full(Path(), None, Progress(17)))
    with pytest.raises(AgentError, match="make room"):
        train(Options(**{**LITTLE, "seed": 8}))


def test_numbers_that_are_none_end_the_training_with_a_sentence() -> None:
    settings = {**LITTLE, "hyperparams": {**LITTLE["hyperparams"], "learning_rate": 1e30}}
    with pytest.raises(AgentError, match=r"no numbers any more \(NaN\) after .* Lower learning_rate"):
        train(Options(**settings))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--env toy/Catsh-v0", "no env 'toy/Catsh-v0'. Near it: toy/Catch-v0"),
        ("--algo ppoo", "unknown algorithm 'ppoo'"),
        (f"--env {ENV} -params n_step:3", "Did you mean 'n_steps'?"),
        (f"--env {ENV} --algo sac", "sac cannot be made for this env"),
        (f"--env {ENV} -conf none.yml", "no hyperparameter file none.yml"),
        (f"--env {ENV} -i nowhere", "no checkpoint nowhere"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(
    flags: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-n", "16", "--verbose", "0", "--trust", *flags.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train_agent.py: ") and says in error


def test_workers_play_what_one_process_plays() -> None:
    both = [
        make_envs(EnvMaker(ENV, {"length": 3}, noops=1, trust=True), 4, 5, kind)
        for kind in ("dummy", "subproc")
    ]
    alone, shared = both
    try:
        assert shared.get_attr("threads", [1, 3]) == [1, 1]
        assert shared.get_attr("feature_names")[3][0] == "presence"
        assert shared.observation_space == alone.observation_space and shared.num_envs == 4
        np.testing.assert_array_equal(shared.reset(), alone.reset())
        seen = 0
        for actions in np.array([[0, 1, 2, 0], [2, 2, 1, 1], [0, 0, 2, 1], [1, 2, 0, 0], [2, 1, 1, 0]]):
            here, there = alone.step(actions), shared.step(actions)
            np.testing.assert_array_equal(there[0], here[0])
            np.testing.assert_array_equal(there[1], here[1])
            np.testing.assert_array_equal(there[2], here[2])
            for mine, other in zip(here[3], there[3], strict=True):
                assert mine.keys() == other.keys()
                if "terminal_observation" in mine:
                    seen += 1
                    np.testing.assert_array_equal(mine["terminal_observation"], other["terminal_observation"])
                    assert mine["episode"]["r"] == other["episode"]["r"]
        assert seen >= 4
        alone.seed(9)
        shared.seed(9)
        np.testing.assert_array_equal(shared.reset(), alone.reset())
    finally:
        for envs in both:
            envs.close()


def test_off_policy_algorithms_train_too() -> None:
    hyperparams = {"buffer_size": 100, "learning_starts": 8, "n_envs": 1, "policy_kwargs": {"net_arch": [4]}}
    made = train(Options(**{**LITTLE, "algo": "dqn", "hyperparams": hyperparams}))
    assert made == Path("agents/catch-dqn")


def test_what_is_due_is_saved_before_an_evaluation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import spacetime_env.agent.supervisor as supervised

    def killed(*_: Any) -> Any:
        raise SystemExit(9)

    job = Path(f"logs/ppo/{run_folder.slug(ENV)}_1")
    with monkeypatch.context() as patch:
        patch.setattr(supervised, "evaluate", killed)
        with pytest.raises(SystemExit):
            train(Options(**{**LITTLE, "eval_freq": 16, "save_freq": 10}))
    assert "A rollout is 16 steps (n_steps x n_envs), longer than --save-freq 10" in capsys.readouterr().out
    assert sb3_checkpoint.progress_of(job / "last.zip").timesteps == 16
    assert train(Options(**{**LITTLE, "eval_freq": 16, "save_freq": 10})) is not None
    found = sb3_checkpoint.progress_of(job / "last.zip")
    assert [one["timesteps"] for one in found.evaluations] == [16, 32, 48, 64]  # also the one that was killed


def test_an_agent_lies_in_the_folder_of_agents_and_replaces_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("../../x", "/tmp/x", ".hidden", "a/b", "x" * 300, "a\nb"):
        with pytest.raises(AgentError, match="an agent cannot be called"):
            train(Options(**LITTLE, name=name))
    Path("agents/mine").mkdir(parents=True)
    Path("agents/mine/thesis.tex").write_text("x")
    with pytest.raises(AgentError, match="is there and is no agent"):
        train(Options(**LITTLE, name="mine"))
    assert not Path("logs").exists() and Path("agents/mine/thesis.tex").is_file()


def test_a_full_disk_at_the_beginning_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "write_atomically", full)
    with pytest.raises(AgentError, match=r"cannot begin a training in .*No space left on device. Make room"):
        train(Options(**LITTLE))
    Path("file").touch()
    assert main(["--env", ENV, "--trust", "-n", "16", "-f", "file"]) == 2
    assert capsys.readouterr().err.startswith("train_agent.py: cannot begin a training in file")


def test_a_recurrent_policy_is_trained_and_recorded_with_its_state() -> None:
    pytest.importorskip("sb3_contrib")
    hyperparams = {**LITTLE["hyperparams"], "policy": "MlpLstmPolicy", "policy_kwargs": {"lstm_hidden_size": 4}}
    made = train(Options(**{**LITTLE, "algo": "recurrentppo", "hyperparams": hyperparams}))
    assert made == Path("agents/catch-recurrentppo")
    policy = as_policy(made, trust=True)
    env = policy.make_env("Catch")
    policy.reset(seed=1)
    seen = []
    for _ in range(2):
        observation, _ = env.reset(seed=1)
        assert policy._acting is not None and policy._acting._state is None
        for _ in range(3):
            observation, *_ = env.step(policy.act(env, observation))
            seen.append(policy._acting._state[0].copy())
    assert not np.array_equal(seen[0], seen[1])
    for first, second in zip(seen[:3], seen[3:], strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", ["vector", "dummy", "subproc"])
def test_continuous_actions_are_trained_evaluated_and_recorded(kind: str) -> None:
    options: dict[str, Any] = {"continuous": True, "model": ColourModel(), "max_episode_steps": 40}
    settings = {**LITTLE, "env": "SpaceTime/Pong-v5", "trust": False, "vec_env": kind, "env_kwargs": options}
    made = train(Options(**{**settings, "n_timesteps": 16, "eval_freq": -1, "final_episodes": 1}))
    assert made is not None
    agent, env = load_agent(made, model=ColourModel(), continuous=True, max_episode_steps=40)
    assert evaluate(agent, env, episodes=1).shape == (1,)
    observation, _ = env.reset(seed=1)
    player = as_policy(made)
    player._acting = Acting(agent)
    action = player.act(env, observation)
    assert isinstance(action, np.ndarray) and action.shape == (3,)
    env.step(action)
    env.close()


def test_the_device_of_the_model_is_of_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """It is another option than the agent's own device, and kept in no file."""
    words = ["--env", "SpaceTime/Pong-v5", "-n", "64", "--vec-env", "dummy", "--model-device"]
    assert main([*words, "gpu"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("train_agent.py: 'gpu' cannot be used (") and said.count("\n") == 1
    assert main([*words, "cpu", "--env", ENV, "--trust"]) == 2
    assert "cannot be made with the options" in capsys.readouterr().err
    for path in Path("logs").rglob("*.yaml"):
        assert "gpu" not in path.read_text()


def test_an_agent_plays_with_its_model_on_a_device() -> None:
    agent, env = load_agent("pong-ppo", model_device="cpu")
    assert env.get_wrapper_attr("_device") == "cpu" and agent.device.type == "cpu"
    with pytest.raises(ValueError, match="'gpu' cannot be used"):
        load_agent("pong-ppo", model_device="gpu")
