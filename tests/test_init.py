from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ale_py
import gymnasium as gym
import pytest

import spacetime_env

ROOT = Path(__file__).parent.parent


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light() -> None:
    heavy = "{'torch', 'stable_baselines3', 'matplotlib', 'tensorboard', 'sklearn', 'cv2', 'scipy'}"
    assert python(f"import sys, spacetime_env; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_gymnasium_can_import_the_package_by_name() -> None:
    code = (
        "import gymnasium as gym\n"
        "try: gym.make('spacetime_env:SpaceTime/Pong-v5', model='x', obs_format='y')\n"
        "except ValueError as error: print(error)"
    )
    assert "expected obs_format" in python(code)  # so it got as far as the entry point


def test_every_game_is_registered_with_ales_options() -> None:
    gym.register_envs(ale_py)
    assert len(spacetime_env.games()) > 100
    for game in spacetime_env.games():
        ours, ales = gym.spec(f"SpaceTime/{game}-v5"), gym.spec(f"ALE/{game}-v5")
        assert ours.kwargs == ales.kwargs and ours.kwargs is not ales.kwargs
        assert ours.max_episode_steps == ales.max_episode_steps
        assert ours.kwargs["frameskip"] == 4 and ours.kwargs["repeat_action_probability"] == 0.25
        flat = gym.spec(f"SpaceTime/{game}-flat-v5")
        assert flat.kwargs == {**ours.kwargs, "obs_format": "flat"}
        assert (flat.entry_point, flat.max_episode_steps) == (ours.entry_point, ours.max_episode_steps)


def test_rl_zoo3_does_not_take_it_for_pixels() -> None:
    entry_point = str(gym.spec("SpaceTime/Pong-v5").entry_point)
    assert entry_point == "spacetime_env.env:make_env" and "AtariEnv" not in entry_point


def test_registering_twice_changes_nothing_and_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    before = gym.spec("SpaceTime/Pong-v5")
    spacetime_env.register_envs()
    assert gym.spec("SpaceTime/Pong-v5") is before and not recwarn.list


def test_lazy_names() -> None:
    from spacetime_env.envs.wrapper import SpaceTimeObservation
    from spacetime_env.models.folder import available_models, load_model

    assert spacetime_env.load_model is load_model
    assert spacetime_env.available_models is available_models
    assert spacetime_env.SpaceTimeObservation is SpaceTimeObservation
    assert {*spacetime_env.__all__, "agent", "space", "__version__"} <= set(dir(spacetime_env))
    for name in spacetime_env.__all__:
        assert callable(getattr(spacetime_env, name))


def test_subpackages_without_an_import_of_their_own() -> None:
    import spacetime_env.space as space

    assert spacetime_env.__getattr__("space") is space


def test_the_names_of_a_room_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, spacetime_env.models as room\n"
        "assert 'torch' not in sys.modules and {'Model', 'load_model', '__name__'} <= set(dir(room))\n"
        "from spacetime_env.models import Model\n"
        "print(Model.__module__, room.Model is Model, 'torch' in sys.modules)"
    )
    assert python(code) == "spacetime_env.models.model True True"
    with pytest.raises(AttributeError, match=r"module 'spacetime_env.models' has no attribute 'Modle'"):
        spacetime_env.models.Modle  # noqa: B018


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match=r"module 'spacetime_env' has no attribute 'modle'"):
        spacetime_env.modle  # noqa: B018
