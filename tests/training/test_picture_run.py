"""From a folder of pictures to a model folder, with true boxes and without, with clips and motion."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml

import tests.helpers.squares_env  # noqa: F401  (registers toy/Squares-v0)
from spacetime_env import load_model
from spacetime_env.commands import evaluate, pretrain
from spacetime_env.config import Config, ConfigError, SceneConfig, load_config, to_dict
from spacetime_env.config.games import each_game, run_name
from spacetime_env.data.env_players import RandomActions
from spacetime_env.data.env_recording import EnvRecording, record_env
from spacetime_env.data.meta import DatasetError
from spacetime_env.data.pictures import open_pictures
from spacetime_env.data.true_boxes import TrueBoxes
from spacetime_env.envs.choose_model import require_match
from spacetime_env.envs.frames import rendered
from spacetime_env.evaluation.latents import Samples
from spacetime_env.evaluation.layers import layer_figures
from spacetime_env.evaluation.run_model import NoTestError, labelled_tests
from spacetime_env.models.model import Model
from spacetime_env.objects.detections import Detections
from spacetime_env.shipped import BundleError
from spacetime_env.space.objective import elbo_terms
from spacetime_env.training import loop
from spacetime_env.training.checkpoint import read_checkpoint, resume, save_checkpoint
from spacetime_env.training.game_data import GameData, gather
from spacetime_env.training.naming import as_model, name_objects
from spacetime_env.training.pretrain import pretrain as run
from spacetime_env.training.pretrain import start
from spacetime_env.training.step import require_settings
from spacetime_env.training.validation import elbo, quick_scores
from spacetime_env.viewer import main as view
from tests.helpers.pictures import NATIVE, write_clips, write_pictures, write_split

NOTHING = Detections(*(np.zeros((0, 4)),) * 2, np.zeros(0, int), np.zeros(0), np.zeros((0, 3)), ())


def data_of(config: Config) -> GameData:
    (own,) = each_game(config).values()
    return gather(own, None, None)  # type: ignore[arg-type]  # nobody plays


def short(config: Config) -> Config:
    """Two steps: where it does not matter what the network learns."""
    return replace(config, train=replace(config.train, steps=2, eval_every=2))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures") / "squares"


@pytest.fixture(scope="module")
def config(root: Path) -> Config:
    return write_pictures(root)


@pytest.fixture(scope="module")
def whole(config: Config, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the command: ``run`` and ``model``."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    words = ["--config", str(folder / "config.yaml"), "--run", str(folder / "run"), "--out", str(folder / "model")]
    assert pretrain.main(words) == 0
    return folder


def test_what_a_run_leaves(whole: Path) -> None:
    assert {path.name for path in (whole / "model").iterdir()} == {
        "CARD.md", "config.yaml", "errors.png", "example.png", "model.safetensors", "model.yaml", "parts.png"
    }  # fmt: skip
    model = load_model(whole / "model")
    assert (model.game, model.native) == ("squares", NATIVE)
    card = (whole / "model" / "CARD.md").read_text()
    assert "# squares: a space model" in card and "8 stacks of 1 pictures of 38 x 32 pixels" in card
    assert "### test: 5 pictures with 7 objects" in card and "variance of the background's masks" in card
    assert "motion" not in card and "policy" not in card and "RAM" not in card
    assert "with the best ELBO on the validation pictures is kept" in card
    assert (whole / "run" / "evaluation.csv").is_file() and (whole / "run" / "figures.json").is_file()


def test_the_model_finds_objects_in_pictures(whole: Path, root: Path) -> None:
    model = load_model(whole / "model")
    found = model.detect(open_pictures(root / "test").frames()[:, 0])
    assert len(found) == 5 and sum(map(len, found)) > 5
    for one in found:
        assert (one.boxes[:, :2] >= 0).all() and (one.boxes[:, 0] + one.boxes[:, 2] <= 32).all()
        assert (one.boxes[:, 1] + one.boxes[:, 3] <= 38).all()
    assert load_model(whole / "model", "squares").game == "squares"
    with pytest.raises(BundleError, match=r"is of squares, and Pong is asked for"):
        load_model(whole / "model", "pong")
    with pytest.raises(ValueError, match=r"the model is of squares, and the environment plays Pong"):
        require_match(model, "Pong", (210, 160), allow=False)
    again = load_config(whole / "model" / "config.yaml")  # it has the name as the game
    require_settings(again)
    assert run_name(again) == "squares"


def test_the_commands_take_it(
    whole: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--model", str(whole / "model"), "--no-plots", "--save-crops", "--max-crops", "3"]
    assert evaluate.main([*words, "--data-root", str(root.parent), "--out", "one"]) == 0
    assert evaluate.main([*words, "--split", str(root / "test"), "--few-shot-from", str(root / "train")]) == 0
    assert (tmp_path / "one" / "evaluation.md").is_file() and (tmp_path / "runs/evaluate/model/crops").is_dir()
    assert view(["--model", str(whole / "model"), "--image", str(root / "test" / "000.jpg"), "--out", "look"]) == 0
    assert (tmp_path / "look" / "000-parts.png").is_file()
    capsys.readouterr()
    assert view(["--model", str(whole / "model")]) == 1
    assert "the model is of squares, which is no game to play: give a picture with --image." in capsys.readouterr().err
    assert evaluate.main([*words, "--data-root", str(tmp_path)]) == 1
    assert "no folder squares/test with boxes.csv" in capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert evaluate.main([*words, "--split", str(root / "test"), "--few-shot-from", str(root / "test")]) == 1
    assert "few-shot samples would come from" in capsys.readouterr().err


def test_the_best_checkpoint_has_the_best_elbo(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three validations the second is the best; f1 says otherwise."""
    elbos = iter([-500.0, -300.0, -400.0])
    f1s = iter([0.1, 0.2, 0.9])
    monkeypatch.setattr(loop, "SummaryWriter", lambda *args, **kwargs: Silent())
    data = data_of(config)
    state = start(config, data.examples)
    assert state.best == -math.inf
    settings = replace(config, train=replace(config.train, eval_every=2, steps=6))
    loop.train_loop(settings, state, data.examples, lambda space: {"elbo": next(elbos), "f1": next(f1s)}, tmp_path)
    assert read_checkpoint(tmp_path / "checkpoints" / "best.pt")["step"] == 4
    assert state.best == -300


class Silent:
    def __getattr__(self, name: str) -> object:
        return lambda *args, **kwargs: None


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    config: Config, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mirrored stacks and the steps of the background included."""
    batch_of, taken = loop.batch_of, []

    def stop(*args: object) -> object:
        taken.append(args)
        if len(taken) == 3:
            raise KeyboardInterrupt
        return batch_of(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(loop.Interrupted, match=r"interrupted at step 2 of 6"):
        patched.setattr(loop, "batch_of", stop)
        run(config, tmp_path / "model", tmp_path / "run")
    folder = run(config, tmp_path / "model", tmp_path / "run")
    assert (folder / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()


def test_elbo_by_its_terms(config: Config) -> None:
    data = data_of(config)
    space = start(config, data.examples).space
    value = elbo(data.config, space, data.validation, range(6))
    frames = Model.tensor(space_model(data, space), data.validation.frames()[:, 0])
    output = space.eval()(frames)
    terms = elbo_terms(frames, output.foreground, output.background, config.loss, 1.0)
    assert value == pytest.approx(-sum(term.item() for term in terms.values()), rel=1e-4)
    scores = quick_scores(data.config, space, data.validation)
    assert scores["elbo"] == pytest.approx(value) and {"f1", "center_f1", "recall_bright"} <= scores.keys()
    assert "motion_f1" not in scores and space.training


def space_model(data: GameData, space: object) -> Model:
    return as_model(data.config, space, NATIVE)  # type: ignore[arg-type]


def test_layers_by_hand(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose objects cover the left half, with two masks that swap from picture to picture."""
    data = data_of(config)
    model = space_model(data, start(config, data.examples).space)
    split = data.tests[0]

    class Drawn:
        def __init__(self, count: int) -> None:
            alpha = torch.zeros(count, 1, *NATIVE)
            alpha[..., :16] = 0.75
            masks = torch.zeros(count, 2, 1, *NATIVE)
            masks[::2, 0] = masks[1::2, 1] = 1
            self.foreground = type("F", (), {"alpha": alpha})
            self.background = type("B", (), {"masks": masks})

    monkeypatch.setattr(model, "space", lambda frames: Drawn(len(frames)))
    monkeypatch.setattr(Model, "config", property(lambda self: data.config.model))
    monkeypatch.setattr(model, "tensor", lambda frames: frames)

    def reconstruct(frames: np.ndarray) -> dict[str, np.ndarray]:
        drawn = frames.copy()
        for f in range(len(frames)):  # the first object is drawn as background of another colour
            x, y, w, h = split.labels[f][0].astype(int)
            drawn[f, y : y + h, x : x + w] ^= 255
        return {"background": drawn}

    monkeypatch.setattr(model, "reconstruct", reconstruct)
    found = layer_figures(model, split)
    assert found["pixels that objects cover (alpha over 0.5)"] == 0.5
    # Each mask is 1 in three or two of five pictures: variance 6 / 25, summed over two masks.
    assert found["variance of the background's masks over pictures"] == pytest.approx(2 * 6 / 25)
    assert found["error of the background within true boxes"] > 0.5
    assert found["error of the background elsewhere"] == 0.0


def test_names_come_from_the_classes_of_the_boxes_if_they_have_any(config: Config) -> None:
    what = np.array([[2.0, 0, 0], [0, 2, 0], [2.5, 0, 0], [0, 1.5, 0]], np.float32)
    (own,) = each_game(config).values()
    known = Samples(what, ["bright", "dark", "bright", "dark"])
    classifier, scene = name_objects(own, [], known)
    assert classifier.class_names == scene.classes == ("bright", "dark")
    assert classifier.class_ids(what).tolist() == [0, 1, 0, 1]
    one, _ = name_objects(own, [], Samples(what, ["object"] * 4))
    assert one.class_names == ("object",)


def test_boxes_without_classes_are_all_objects(tmp_path: Path) -> None:
    config = short(write_pictures(tmp_path / "plain", classes=False))
    folder = run(replace(config, name=""), tmp_path / "model", tmp_path / "run")
    model = load_model(folder)
    assert (model.game, model.class_names) == ("plain", ("object",))
    assert model.scene.slots["object"] >= 1
    assert "| recall of object |" in (folder / "CARD.md").read_text()


def test_without_boxes_there_are_no_figures(tmp_path: Path) -> None:
    config = short(write_pictures(tmp_path / "plain", boxes=False))
    folder = run(config, tmp_path / "model", tmp_path / "run")
    card = (folder / "CARD.md").read_text()
    assert "None: there was no folder test with boxes.csv." in card and load_model(folder).class_names == ("object",)
    named = replace(config, scene=replace(config.scene, classes=("one", "other")))
    assert load_model(run(named, tmp_path / "two", tmp_path / "run2")).class_names == ("object0", "object1")


def test_clusters_where_no_class_is_known(config: Config) -> None:
    """``train.clusters`` sorts objects that no label names; classes of true boxes go before it."""
    (own,) = each_game(config).values()
    two = replace(own, train=replace(own.train, clusters=2))
    what = np.array([[2.0, 0, 0], [0, 2, 0], [2.5, 0, 0], [0, 1.5, 0], [2.2, 0, 0]], np.float32)
    found = [replace(NOTHING, z_what=what)]
    for known in (None, Samples(what, ["object"] * 5)):
        classifier, scene = name_objects(two, found, known)
        assert classifier.class_names == scene.classes == ("object0", "object1")
        assert classifier.class_ids(what).tolist() == [0, 1, 0, 1, 0] and scene.slots == {"object0": 3, "object1": 2}
    named, _ = name_objects(two, found, Samples(what, ["bright", "dark", "bright", "dark", "dark"]))
    assert named.class_names == ("bright", "dark")


def test_from_an_env_that_is_no_atari_game_to_its_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recorded, trained on, named by clusters, measured by true boxes, and played with."""
    asked = EnvRecording("toy/Squares-v0", size=4, length=3, frame_size=NATIVE)
    boxes = TrueBoxes("tests.helpers.squares_env:boxes")
    record_env(tmp_path / "squares", asked, RandomActions(), boxes, progress=False)
    config = short(write_clips(tmp_path / "walks"))
    data = replace(config.data, pictures=str(tmp_path / "squares"))
    config = replace(config, name="balls", data=data, train=replace(config.train, clusters=2))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    words = ["--config", str(tmp_path / "config.yaml"), "--run", str(tmp_path / "run")]
    assert pretrain.main([*words, "--out", str(tmp_path / "model")]) == 0
    assert "gym.make('SpaceTime/Any-v0', env_id='toy/Squares-v0', model=" in capsys.readouterr().out
    model = load_model(tmp_path / "model")
    assert model.class_names == ("object0", "object1") and model.settings.trained["env"] == "toy/Squares-v0"
    assert "| recall of Hero |" in (tmp_path / "model" / "CARD.md").read_text()
    split = str(tmp_path / "squares" / "test")
    words = ["--model", str(tmp_path / "model"), "--split", split, "--out", str(tmp_path / "out"), "--no-plots"]
    assert evaluate.main(words) == 0
    env = gym.make("SpaceTime/Any-v0", env_id="toy/Squares-v0", model=str(tmp_path / "model"))
    observation, info = env.reset(seed=0)
    assert observation.shape == env.observation_space.shape and set(info["scene"]) == {"object0", "object1"}
    found = model.detect(rendered(env.unwrapped, NATIVE))[0]
    assert (found.boxes == env.get_wrapper_attr("detections").boxes).all() and len(found)


def test_clips_are_trained_on_with_motion(tmp_path: Path) -> None:
    config = write_clips(tmp_path / "walks")
    data = data_of(config)
    assert data.examples.frames.shape[:2] == (3, 3) and data.examples.z_pres.sum() == 9
    folder = run(short(config), tmp_path / "model", tmp_path / "run")
    card = (folder / "CARD.md").read_text()
    assert "It finds what moved in its training pictures" in card and "3 stacks of 3 pictures" in card


def test_what_does_not_go_together(config: Config, root: Path, tmp_path: Path) -> None:
    moving = replace(config, model=replace(config.model, variant="space+motion"))
    with pytest.raises(ConfigError, match=r"'space\+motion' learns from motion, and .*train has no clips"):
        data_of(moving)
    with pytest.raises(DatasetError, match=r"there is no folder .*none/train"):
        data_of(replace(config, data=replace(config.data, pictures=str(tmp_path / "none"))))
    write_split(tmp_path / "train", 2)
    (tmp_path / "validation").mkdir()
    cv2.imwrite(str(tmp_path / "validation" / "0.png"), np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"train has pictures of \(38, 32\) pixels .*validation of \(8, 9\)"):
        data_of(replace(config, data=replace(config.data, pictures=str(tmp_path))))
    with pytest.raises(ConfigError, match=r"the ground truth of squares has no 'brihgt'; .* Did you mean 'bright'"):
        data_of(replace(config, scene=SceneConfig(classes=("brihgt",))))
    with pytest.raises(NoTestError, match=r"no folder .*squares/test with boxes.csv"):
        labelled_tests(tmp_path, "squares")


def test_a_run_of_pictures_has_their_name(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("data: {pictures: some/where, length: 1}\n")
    config = load_config(path)
    assert config.game == "" and run_name(config) == "where"
    assert each_game(config) == {"where": replace(config, game="where")}
    assert each_game(each_game(config)["where"]) == each_game(config)
    assert load_config(path, ["name=mine"]).name == run_name(load_config(path, ["name=mine"])) == "mine"
    with pytest.raises(ConfigError, match=r"name: 'Pong' is a game's; give the model of the pictures another one"):
        run_name(load_config(path, ["data.pictures=x/Pong"]))
    with pytest.raises(ConfigError, match=r"name: expected a name of letters"):
        run_name(load_config(path, ["data.pictures=.."]))
    assert load_config(path, ["game=Boxing"]).game == "Boxing"  # and require_settings refuses it


def test_a_checkpoint_before_the_first_validation_can_be_resumed(config: Config, tmp_path: Path) -> None:
    data = data_of(config)
    first, second = (start(config, data.examples) for _ in range(2))
    first.step = 2
    save_checkpoint(tmp_path, first, config, 1, best=False)
    assert resume(tmp_path, second, config) is not None and second.best == -math.inf and second.step == 2
