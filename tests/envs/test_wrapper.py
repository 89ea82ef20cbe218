from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, ResizeObservation

from spacetime_env.config import SceneConfig
from spacetime_env.envs.env import SpaceTimeEnv, make_env
from spacetime_env.envs.observation import LATENT_LIMIT
from spacetime_env.envs.wrapper import SpaceTimeObservation
from spacetime_env.objects.tracker import FEATURES
from spacetime_env.shipped import UnknownModelError
from tests.helpers.fakes import COLOURS, ColourModel, make_pong, play, same

gym.register_envs(ale_py)
# Making Pong takes ALE 0.2 s and each seed 0.1 s, so few formats stand for all. The render check has {}.
FORMATS: list[dict[str, Any]] = [{"obs_format": "latents"}, {"obs_format": "dict", "history": 2}]


def test_observation_by_hand() -> None:
    env = make_pong(repeat_action_probability=0.0)
    assert env.observation_space == Box(-1, 1, (3, 7), np.float32)
    assert env.get_wrapper_attr("slot_names") == ("Player", "Enemy", "Ball")
    assert env.get_wrapper_attr("feature_names") == FEATURES
    before = play(env, 39)[-1][0]
    frame = env.unwrapped.ale.getScreenRGB()
    observation, _, _, _, info = env.step(0)
    after = env.unwrapped.ale.getScreenRGB()
    for row, (name, colour) in enumerate(COLOURS.items()):
        centre = []
        for screen in (frame, after):
            ys, xs = np.nonzero((screen[34:194] == colour).all(-1))
            ys = ys + 34
            centre.append(((xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2))
        (x0, y0), (x, y) = centre
        width, height = xs.max() - xs.min() + 1, ys.max() - ys.min() + 1
        place = (x / 80 - 1, y / 105 - 1)
        expected = [1, *place, width / 160, height / 210, (x - x0) / 24, (y - y0) / 24]
        np.testing.assert_allclose(observation[row], np.clip(expected, -1, 1), atol=1e-5)
        np.testing.assert_allclose(before[row, 1:3], (x0 / 80 - 1, y0 / 105 - 1), atol=1e-5)
        assert info["scene"][name] == [pytest.approx(place, abs=1e-5)]
    assert np.abs(observation[2, 5:]).max() > 0.01  # the ball moved


def test_an_episode_begins_after_some_steps_of_doing_nothing() -> None:
    """0 to ``noop_max`` of them, drawn anew for each episode, and the game is where it is after so many no-ops."""
    env = make_pong(noop_max=3, repeat_action_probability=0.0)
    plain = make_pong(repeat_action_probability=0.0)
    waited = []
    for seed in range(16):
        observation, info = env.reset(seed=seed)
        waited.append(info["episode_frame_number"] // 4)
        expected, _ = plain.reset(seed=seed)
        for _ in range(waited[-1]):
            expected, *_ = plain.step(0)
        assert (observation[:, :5] == expected[:, :5]).all()
        assert (env.unwrapped.ale.getRAM() == plain.unwrapped.ale.getRAM()).all()
    assert set(waited) == {0, 1, 2, 3}
    again = [env.reset()[1]["episode_frame_number"] for _ in range(8)]  # without a seed the episodes differ too
    assert len(set(again)) > 1
    assert [make_pong().reset(seed=0)[1]["episode_frame_number"] for _ in range(2)] == [0, 0]


def test_doing_nothing_with_continuous_actions() -> None:
    env = make_env("Pong", ColourModel(), noop_max=2, continuous=True)
    given: list[np.ndarray] = []
    step = env.env.step
    env.env.step = lambda action: (given.append(action), step(action))[1]  # type: ignore[method-assign]
    assert {env.reset(seed=seed)[1]["episode_frame_number"] for seed in range(9)} == {0, 4, 8}
    assert given and all(action in env.action_space and not action.any() for action in given)


def test_a_game_that_ends_while_it_waits_begins_anew() -> None:
    """With 8 frames an episode, six no-ops of 4 frames are too many: who is reset gets a game that goes on."""
    env = make_pong(noop_max=6, max_num_frames_per_episode=8)
    for seed in range(8):
        _, info = env.reset(seed=seed)
        assert info["episode_frame_number"] < 8 and "seeds" in info
        assert not any(env.step(0)[2:4]) or info["episode_frame_number"] == 4


def test_info_keeps_what_ale_gives_and_detections_are_there() -> None:
    env = make_pong()
    assert env.get_wrapper_attr("detections") is None
    _, info = env.reset(seed=0)
    assert {"lives", "episode_frame_number", "frame_number", "scene"} <= set(info)
    found = env.get_wrapper_attr("detections")
    assert {name for name, at in info["scene"].items() if at} == set(found.names)
    assert list(info["scene"]) == ["Player", "Enemy", "Ball"]


@pytest.mark.parametrize("options", FORMATS, ids=str)
def test_formats_pass_gymnasiums_check(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")  # of any wrapper
        check_env(make_pong(**options), skip_render_check=True)


def test_flat_and_dict_hold_the_same_numbers() -> None:
    # An option that was read from a file is equal to the word, and not the same object.
    formats = ["".join(letters) for letters in (["obj", "ects"], ["fl", "at"], ["di", "ct"])]
    plain, flat, named = (play(make_pong(obs_format=f), 30) for f in formats)
    for (rows, *_), (row, *_), (both, *_) in zip(plain, flat, named, strict=True):
        assert (rows.ravel() == row).all() and (rows == both["objects"]).all()
        assert both["mask"].tolist() == [float(np.any(r)) for r in rows]
    assert make_pong(obs_format="flat").observation_space == Box(-1, 1, (21,), np.float32)
    space = Dict(objects=Box(-1, 1, (3, 7), np.float32), mask=Box(0, 1, (3,), np.float32))
    assert make_pong(obs_format="dict").observation_space == space


def test_mask_covers_a_lost_object_that_keeps_its_place() -> None:
    model = ColourModel()
    env = make_pong(model, obs_format="dict")
    play(env, 39)
    model.missed = 1.0
    for _ in range(model.scene.keep):
        observation, *_ = env.step(0)
        assert observation["mask"].tolist() == [1, 1, 1] and not observation["objects"][:, 0].any()
    observation, *_ = env.step(0)
    assert not observation["mask"].any() and not observation["objects"].any()


def test_latents_stay_with_their_object_and_are_cut() -> None:
    class Far(ColourModel):
        def detect(self, frames: np.ndarray) -> list[Any]:
            found = super().detect(frames)
            found[0].z_what[:] *= 50
            return found

    model = Far()
    env = make_pong(model, obs_format="latents")
    assert env.observation_space.shape == (3, 10)
    assert env.get_wrapper_attr("feature_names")[7:] == ("z_what_0", "z_what_1", "z_what_2")
    assert env.observation_space.high[:, 7:].tolist() == [[10.0] * 3] * 3 and LATENT_LIMIT == 10.0
    observation = play(env, 39)[-1][0]
    assert observation[:, 7:].tolist() == (np.eye(3) * LATENT_LIMIT).tolist()
    model.missed = 1.0
    for _ in range(model.scene.keep):
        assert (env.step(0)[0][:, 7:] == observation[:, 7:]).all()
    assert not env.step(0)[0].any()
    model.missed = 0.0
    env.reset(seed=1)
    assert not env.get_wrapper_attr("_observer").latents[2].any()  # the ball of before is forgotten


def test_history_is_newest_first_along_the_last_axis() -> None:
    plain, stacked = play(make_pong(), 25), play(make_pong(history=3), 25)
    assert stacked[0][0].shape == (3, 21)
    assert (stacked[0][0] == np.tile(plain[0][0], (1, 3))).all()  # a reset fills all of it
    for t in range(2, 26):
        expected = np.concatenate([plain[t][0], plain[t - 1][0], plain[t - 2][0]], axis=1)
        assert (stacked[t][0] == expected).all()
    names = make_pong(history=2).get_wrapper_attr("feature_names")
    assert names == (*FEATURES, *(f"{name}_t-1" for name in FEATURES))


def test_a_reset_forgets_the_past() -> None:
    env = make_pong(history=2)
    first = play(env, 30)[0][0]
    again, _ = env.reset(seed=0)
    assert (again == first).all()


@pytest.mark.parametrize("options", FORMATS, ids=str)
def test_same_seed_same_observations(options: dict[str, Any]) -> None:
    one, other = play(make_pong(**options), 30), play(make_pong(**options), 30)
    assert all(same(a[0], b[0]) and a[1:] == b[1:] for a, b in zip(one, other, strict=True))


def test_it_plays_the_game_that_ale_plays() -> None:
    ours, ales = make_pong(), gym.make("ALE/Pong-v5")
    for mine, theirs in zip(play(ours, 60), play(ales, 60), strict=True):
        assert mine[1] == theirs[1]
        assert {k: v for k, v in mine[2].items() if k not in ("scene", "dropped")} == theirs[2]
    assert ours.action_space == ales.action_space and ours.spec.max_episode_steps == ales.spec.max_episode_steps


def test_the_scene_may_be_lists_arrays_or_left_out() -> None:
    lists, arrays, nothing = (play(make_pong(scene_info=form), 60) for form in (True, "arrays", False))
    seen = 0
    for (one, *_, info), (other, *_, numbers), (third, *_, bare) in zip(lists, arrays, nothing, strict=True):
        assert same(one, other) and same(one, third)
        assert "scene" not in bare and info.keys() - bare.keys() == {"scene"}
        assert {name: of.shape for name, of in numbers["scene"].items()} == dict.fromkeys(COLOURS, (1, 2))
        for name, places in info["scene"].items():
            expected = places or [(np.nan, np.nan)]
            np.testing.assert_allclose(numbers["scene"][name], expected, atol=1e-6)
            seen += len(places)
    assert 60 < seen < 3 * 61  # there were frames without a ball


@pytest.mark.parametrize("wrong", ["array", 1, None])
def test_other_forms_of_a_scene_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"scene_info to be one of \(True, False, 'arrays'\), got"):
        make_pong(scene_info=wrong)


def test_objects_without_a_slot_are_counted() -> None:
    """Pong as if all its objects were of one class that has two slots: where all three are seen, one is dropped."""

    class OneClass(ColourModel):
        class_names = ("Thing", "Other", "Third")  # type: ignore[assignment]

        def detect(self, frames: Any) -> list[Any]:
            return [replace(one, class_ids=one.class_ids * 0) for one in super().detect(frames)]

    model = OneClass()
    model.scene = replace(model.scene, classes=OneClass.class_names, slots={"Thing": 2, "Other": 0, "Third": 0})
    counts = [(len(info["scene"]["Thing"]), info["dropped"]) for *_, info in play(make_pong(model=model), 80)]
    crowded = [dropped for (before, _), (found, dropped) in itertools.pairwise(counts) if before == found == 3]
    assert len(crowded) > 20 and set(crowded) == {1}
    assert not any(dropped for found, dropped in counts if found <= 2) and min(found for found, _ in counts) < 3


def test_the_wrapper_itself(bundled: list[str]) -> None:
    env = SpaceTimeObservation(gym.make("ALE/Pong-v5"), model="pong")
    other = SpaceTimeObservation(gym.make("ALE/Pong-v5"))
    assert bundled == ["pong", "pong"]
    for mine, theirs in zip(play(env, 20), play(other, 20), strict=True):
        assert same(mine[0], theirs[0])


def test_rebuild_from_the_spec(bundled: list[str]) -> None:
    env = gym.make("SpaceTime/Pong-v5", obs_format="flat", history=2, frameskip=(2, 5), mode=1)
    assert bundled == ["pong"]
    text = env.spec.to_json()
    json.loads(text)
    for spec in (env.spec, EnvSpec.from_json(text)):
        again = gym.make(spec)
        assert again.observation_space == env.observation_space
        assert again.spec.kwargs["mode"] == 1 and again.unwrapped._frameskip == (2, 5)
        for mine, theirs in zip(play(env, 20), play(again, 20), strict=True):
            assert same(mine[0], theirs[0])
    assert gym.make(env.spec, obs_format="objects", history=1).observation_space.shape == (3, 7)
    assert env.spec.additional_wrappers == ()


def test_rebuild_the_wrapper_from_its_spec(bundled: list[str], tmp_path: Path) -> None:
    env = SpaceTimeObservation(gym.make("ALE/Pong-v5"), model=tmp_path, obs_format="dict")
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, SpaceTimeObservation) and again.observation_space == env.observation_space
    assert bundled == [str(tmp_path)] * 2


def test_options_of_ale_go_through() -> None:
    env = make_pong(
        frameskip=2,
        repeat_action_probability=0.0,
        full_action_space=True,
        difficulty=1,
        render_mode="rgb_array",
    )
    ale = env.unwrapped
    assert (ale._frameskip, ale._game_difficulty, env.action_space.n) == (2, 1, 18)
    assert ale.ale.getFloat("repeat_action_probability") == 0.0
    assert make_pong().unwrapped.ale.getFloat("repeat_action_probability") == 0.25


def test_options_do_not_leak_into_other_environments() -> None:
    make_pong(frameskip=2, repeat_action_probability=0.0, mode=1)
    for env in (make_pong(), gym.make("ALE/Pong-v5")):
        assert env.unwrapped._frameskip == 4 and env.unwrapped._game_mode is None
        assert env.unwrapped.ale.getFloat("repeat_action_probability") == 0.25


def test_make_env_as_a_function() -> None:
    env = make_env("ALE/Pong-v5", ColourModel(), "flat", render_mode="rgb_array")
    assert isinstance(env, SpaceTimeEnv) and env.spec is not None and env.spec.id == "ALE/Pong-v5"
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    with pytest.raises(ValueError, match=r"'frame_skip' is not an option .* Did you mean 'frameskip'"):
        make_env("Pong", ColourModel(), frame_skip=3)


def test_render_and_overlay() -> None:
    plain, drawn = make_pong(render_mode="rgb_array"), make_pong(render_mode="rgb_array", overlay=True)
    play(plain, 39), play(drawn, 39)
    frame, picture = plain.render(), drawn.render()
    assert frame.shape == (210, 160, 3) and picture.shape == (630, 480, 3) and picture.dtype == np.uint8
    changed = (picture != frame.repeat(3, 0).repeat(3, 1)).any(-1)
    x, y, w, h = (3 * drawn.get_wrapper_attr("detections").boxes[0]).astype(int)
    assert changed[y - 1, x : x + w].all() and changed[y : y + h, x + w].all()  # the box is around the player
    assert not changed[400:, 200:300].any()


def test_before_a_reset_there_is_nothing_to_draw() -> None:
    env = make_env("Pong", ColourModel(), overlay=True, render_mode="rgb_array")
    assert env.render().shape == (210, 160, 3)
    env.reset(seed=0)
    assert env.render().shape == (630, 480, 3)


def test_overlay_in_a_recorded_list() -> None:
    env = make_pong(render_mode="rgb_array_list", overlay=True)
    play(env, 2)
    assert [picture.shape for picture in env.render()] == [(630, 480, 3)] * 3


def test_overlay_of_another_render_mode_is_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"render_mode='rgb_array', got None\. For a window"):
        make_pong(overlay=True)


def test_gymnasiums_render_check() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(make_pong(render_mode="rgb_array", overlay=True))


def test_a_game_without_a_model(bundled: list[str]) -> None:
    message = (
        r"no model of SpaceInvaders; these are there: boxing, pong\. "
        r"Make one with: python pretrain_space\.py --game SpaceInvaders"
    )
    with pytest.raises(UnknownModelError, match=message):
        gym.make("SpaceTime/SpaceInvaders-v5")
    with pytest.raises(UnknownModelError, match=message):
        SpaceTimeObservation(gym.make("ALE/SpaceInvaders-v5"))


def test_a_model_of_another_game() -> None:
    with pytest.raises(ValueError, match=r"model is of Pong, and the environment plays Boxing.*allow_game_mismatch"):
        gym.make("SpaceTime/Boxing-v5", model=ColourModel())
    env = gym.make("SpaceTime/Boxing-v5", model=ColourModel(), allow_game_mismatch=True)
    assert env.reset(seed=0)[0].shape == (3, 7)


def test_a_model_of_another_frame_size() -> None:
    with pytest.raises(ValueError, match=r"210 x 160, and the environment observes 250 x 160"):
        gym.make("SpaceTime/AirRaid-v5", model=ColourModel(), allow_game_mismatch=True)


@pytest.mark.parametrize("obs_type", ["ram", "grayscale"])
def test_not_rgb(obs_type: str) -> None:
    with pytest.raises(ValueError, match=r"expected an environment with RGB frames.*obs_type='rgb'"):
        make_pong(obs_type=obs_type)


def test_not_native_frames() -> None:
    base = gym.make("ALE/Pong-v5", frameskip=1)
    for env in (AtariPreprocessing(base), FrameStackObservation(base, 4)):
        with pytest.raises(ValueError, match="expected an environment with RGB frames"):
            SpaceTimeObservation(env, ColourModel())
    with pytest.raises(ValueError, match=r"210 x 160, and the environment observes 84 x 60"):
        SpaceTimeObservation(ResizeObservation(base, (84, 60)), ColourModel())


def test_an_environment_without_a_game_needs_a_model() -> None:
    class Frames(gym.Env):
        observation_space = Box(0, 255, (210, 160, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

        def reset(self, **_: Any) -> Any:
            return np.full((210, 160, 3), 92, np.uint8), {}

    with pytest.raises(ValueError, match="does not say which game"):
        SpaceTimeObservation(Frames())
    env = SpaceTimeObservation(Frames(), ColourModel())
    assert env.reset()[0][0, 0] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"obs_format": "object"}, "got 'object'. Did you mean 'objects'?"),
        ({"obs_format": "pixels"}, "one of .*, got 'pixels'"),
        ({"obs_format": None}, "got None"),
        ({"history": 0}, "history to be a whole number, 1 to 1000, got 0"),
        ({"history": 1.5}, "got 1.5"),
        ({"history": True}, "got True"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        make_pong(**options)


def test_a_model_without_classes_of_its_scene_uses_its_names() -> None:
    model = ColourModel()
    model.scene = SceneConfig(slots={"Ball": 2})
    assert make_pong(model).get_wrapper_attr("slot_names") == ("Player", "Enemy", "Ball0", "Ball1")
