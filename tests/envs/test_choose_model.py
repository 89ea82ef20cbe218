"""Which model looks, and what it remembers of each game."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from spacetime_env.envs.choose_model import (
    UnseenWarning,
    default_model,
    game_of,
    load_for,
    require_match,
    variant,
    warn_about_unseen,
    with_classes,
)
from spacetime_env.models.model import Model
from spacetime_env.shipped import UnknownModelError
from spacetime_env.space.device import DeviceError
from tests.helpers.fakes import ColourModel

FRAME = np.zeros((210, 160, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "game"), [("ALE/Pong-v5", "Pong"), ("SpaceTime/Breakout-v5", "Breakout"), ("CartPole-v1", None)]
)


def test_the_game_of_an_environment(name: str, game: str | None) -> None:
    env = gym.make(name)
    assert game_of(env) == game
    assert game_of(gym.Wrapper(env)) == game
    env.unwrapped.spec = None
    assert game_of(env) is None


def test_a_game_by_another_id_is_known_by_what_it_is_made_of() -> None:
    env = gym.make("ALE/Pong-v5")
    env.unwrapped.spec = EnvSpec("Mine/Thing-v0", kwargs={"game": "ms_pacman"})
    assert game_of(env) == "MsPacman"
    env.unwrapped.spec = EnvSpec("ALE/Seaquest-v5")
    assert game_of(env) == "Seaquest"


def test_the_model_of_a_game() -> None:
    assert default_model("SpaceInvaders") == "spaceinvaders"
    with pytest.raises(ValueError, match="does not say which game it plays"):
        default_model(None)
    assert default_model("Asterix") == "asterix"  # its own comes before that of several games
    says = r"no model of Zaxxon; these are there: air.*, tennis\. Make one.* --game Zaxxon"
    with pytest.raises(UnknownModelError, match=says):
        default_model("Zaxxon")


@pytest.mark.parametrize("game", ["Qbert", "Atlantis", "DoubleDunk", "MontezumaRevenge", "Pooyan"])
def test_a_game_without_a_model_of_its_own_has_the_joint_one(game: str) -> None:
    assert default_model(game) == "joint"
    env = gym.make(f"SpaceTime/{game}-v5")
    model = env.get_wrapper_attr("model")
    assert model.game == game and model.settings.sha256 == load_for("joint", "Pooyan").settings.sha256
    assert env.reset(seed=0)[0] in env.observation_space
    env.close()


def test_loading_it() -> None:
    model = ColourModel()
    assert load_for(model, "Boxing") is model
    assert load_for("pong", "Boxing").game == "Pong"  # whether it fits is asked elsewhere
    assert load_for("joint", "Asterix").game == "Asterix"


@pytest.mark.parametrize(
    ("game", "size", "allow", "message"),
    [
        ("Pong", (210, 160), False, None),
        (None, (210, 160), False, None),
        ("Boxing", (210, 160), True, None),
        ("Boxing", (210, 160), False, "model is of Pong, and the environment plays Boxing"),
        ("Pong", (160, 210), False, "H x W = 210 x 160, and the environment observes 160 x 210"),
        ("Boxing", (250, 160), True, "observes 250 x 160"),
    ],
)


def test_a_model_has_to_fit(game: str | None, size: tuple[int, int], allow: bool, message: str | None) -> None:
    if message is None:
        require_match(ColourModel(), game, size, allow)
        return
    with pytest.raises(ValueError, match=message):
        require_match(ColourModel(), game, size, allow)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("Freeway", {}, (None, None)),
        ("Freeway", {"mode": 0, "difficulty": 0}, (None, None)),
        ("Freeway", {"mode": 3, "difficulty": 1}, (3, 1)),
        ("AirRaid", {"mode": 1}, (None, None)),  # its modes begin at 1
        ("AirRaid", {"mode": 2}, (2, None)),
    ],
)
def test_the_variant_of_a_game(name: str, options: dict[str, int], told: tuple[int | None, int | None]) -> None:
    for room in ("ALE", "SpaceTime"):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            env = gym.make(f"{room}/{name}-v5", **options)
        assert variant(env) == told
        unseen = [str(one.message) for one in found if one.category is UnseenWarning]
        assert len(unseen) == (0 if room == "ALE" else sum(one is not None for one in told)), unseen
        env.close()


def test_what_a_model_never_saw() -> None:
    model = load_for("pong", "Pong")
    assert isinstance(model, Model)
    with pytest.warns(UnseenWarning, match=r"trained on the default mode of the game, .* plays mode 1: it may"):
        warn_about_unseen(model, 1, None)
    model = Model(model.space, model.classifier, replace(model.settings, difficulty=2))
    with pytest.warns(UnseenWarning, match=r"trained on difficulty 2 of the game, .* plays the default difficulty"):
        warn_about_unseen(model, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_about_unseen(model, None, 2)
        warn_about_unseen(ColourModel(), 1, 1)  # it does not say what it was trained on


def test_many_environments_warn_once() -> None:
    """Workers say nothing, however they are started; and a process that has warned does not warn again."""
    code = """
import gymnasium as gym, spacetime_env
if __name__ == "__main__":
    for context in ("fork", "spawn"):
        envs = gym.make_vec("SpaceTime/Freeway-v5", num_envs=3, workers=1, context=context, mode=1)
        envs.reset(seed=0)
        envs.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("the environment plays mode 1") == 1, done.stderr


def test_clusters_become_the_classes_of_the_scene() -> None:
    model = ColourModel()
    scene = with_classes(model)
    assert scene.classes == ("Player", "Enemy", "Ball") and scene.ignore == model.scene.ignore


def test_the_device_of_a_model() -> None:
    model = load_for("pong", "Pong", "cpu")
    assert isinstance(model, Model) and model.device.type == "cpu"
    assert load_for(model, None, "cpu") is model
    with pytest.raises(DeviceError, match="'gpu' cannot be used"):
        load_for("joint", "Pong", "gpu")
    with pytest.raises(DeviceError, match="'gpu' cannot be used"):
        load_for(model, None, "gpu")
    with pytest.raises(ValueError, match=r"device='cpu': a ColourModel cannot be moved. Leave device out"):
        load_for(ColourModel(), None, "cpu")


def test_environments_take_a_device() -> None:
    """It is an option like others: in the spec, and kept in a copy that loads its model again."""
    env = gym.make("SpaceTime/Pong-v5", device="cpu")
    plain = gym.make("SpaceTime/Pong-v5")
    assert env.spec is not None and env.spec.kwargs["device"] == "cpu"
    assert np.array_equal(env.reset(seed=3)[0], plain.reset(seed=3)[0])
    copied = copy.deepcopy(env)
    assert copied.get_wrapper_attr("_device") == "cpu" and copied.get_wrapper_attr("model").device.type == "cpu"
    for make in (gym.make, gym.make_vec):
        with pytest.raises(DeviceError, match="'gpu' cannot be used"):
            make("SpaceTime/Pong-v5", device="gpu")
