"""Model folders: what is saved is what is loaded, and what is damaged is refused in a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ale_py
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import spacetime_env
from spacetime_env import shipped
from spacetime_env.config import SceneConfig
from spacetime_env.locks import hold
from spacetime_env.models import weights
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.folder import available_models, load_model, save_model
from spacetime_env.models.model import Model
from spacetime_env.models.settings import Settings
from spacetime_env.shipped import BundleError, UnknownModelError, find
from tests.helpers.tiny import MODEL, NATIVE, make_classifier, make_frames, make_space

SCENE = SceneConfig(
    classes=("Player", "Ball"), slots={"Player": 1, "Ball": 2}, ignore=((0, 0, 36, 7),), threshold=0.4, keep=3
)


def save(folder: Path, seed: int = 0) -> Path:
    return save_model(
        folder,
        make_space(seed),
        make_classifier(),
        game="Pong",
        native=NATIVE,
        scene_config=SCENE,
        trained={"seed": seed, "commit": "abc"},
        card="# Made up\n",
        extras={"example.png": b"no picture"},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "made-up")


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copied"))


def change_yaml(folder: Path, change: object) -> None:
    tree = yaml.safe_load((folder / "model.yaml").read_text())
    change(tree)  # type: ignore[operator]
    (folder / "model.yaml").write_text(yaml.safe_dump(tree))


def change_weights(folder: Path, change: object) -> None:
    """Spoil the tensors, and make the hash fit again."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)  # type: ignore[operator]
    save_file(tensors, folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    change_yaml(folder, lambda tree: tree.update(sha256=digest))


def same_detections(one: Model, other: Model, frames: np.ndarray) -> None:
    for a, b in zip(one.detect(frames), other.detect(frames), strict=True):
        assert len(a) > 0 and a.class_names == b.class_names
        for name in ("boxes", "z_where", "class_ids", "confidence", "z_what"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_what_is_saved_is_what_is_loaded(saved: Path) -> None:
    model = load_model(saved)
    assert (model.game, model.native, model.class_names) == ("Pong", (44, 36), ("Player", "Ball"))
    assert model.config == MODEL and model.scene == SCENE
    assert model.settings.trained == {"seed": "0", "commit": "abc"}
    assert model.settings.version == spacetime_env.__version__
    space = make_space()
    for name, value in space.state_dict().items():
        assert torch.equal(model.space.state_dict()[name], value), name
    settings = Settings("Pong", NATIVE, ("Player", "Ball"), MODEL, SCENE, "", "")
    same_detections(model, Model(space, make_classifier(), settings), make_frames(3))
    assert sorted(p.name for p in saved.iterdir()) == ["CARD.md", "example.png", "model.safetensors", "model.yaml"]


def test_the_public_name_loads_too(saved: Path) -> None:
    assert spacetime_env.load_model(str(saved)).game == "Pong"


def test_detections_are_in_native_pixels_and_outside_ignored_regions(saved: Path) -> None:
    model = load_model(saved)
    found = model.detect(make_frames(2))
    assert len(found) == 2
    one = found[0]
    assert (np.diff(one.confidence) <= 0).all() and (one.confidence > 0.4).all()
    center = one.boxes[:, :2] + one.boxes[:, 2:] / 2
    # Each edge is on the whole pixel that is nearest to where z_where has it.
    assert np.array_equal(one.boxes, np.rint(one.boxes))
    low = ((one.z_where[:, 2:] + 1) / 2 - one.z_where[:, :2] / 2) * (36, 44)
    assert (np.abs(one.boxes[:, :2] - low) <= 0.5 + 1e-4).all()
    assert (np.abs(one.boxes[:, :2] + one.boxes[:, 2:] - low - one.z_where[:, :2] * (36, 44)) <= 0.5 + 1e-4).all()
    assert (center[:, 1] >= 7).all()
    between = replace(model.settings, scene=replace(SCENE, whole_pixels=False))
    exact = Model(model.space, model.classifier, between).detect(make_frames(2))[0]
    center = exact.boxes[:, :2] + exact.boxes[:, 2:] / 2
    assert np.allclose(center / (36, 44) * 2 - 1, exact.z_where[:, 2:], atol=1e-5)
    assert np.allclose(exact.boxes[:, 2:] / (36, 44), exact.z_where[:, :2], atol=1e-6)
    everywhere = Model(model.space, model.classifier, replace(model.settings, scene=SceneConfig(threshold=0.4)))
    assert (everywhere.detect(make_frames(1))[0].boxes[:, 1] < 7).any()
    # One frame without a batch, a batch of none, and the names of the classifier.
    assert np.allclose(model.detect(make_frames(2)[0])[0].boxes, one.boxes, atol=1e-4)  # rounding follows the batch
    assert model.detect(make_frames(0)) == []
    assert one.names == model.classifier.predict(one.z_what).tolist()


def test_reconstruction(saved: Path) -> None:
    pictures = load_model(saved).reconstruct(make_frames(2))
    assert set(pictures) == {"reconstruction", "foreground", "background", "alpha"}
    assert all(p.shape == (2, 44, 36, 3) and p.dtype == np.uint8 for p in pictures.values())
    assert (pictures["alpha"][..., 0] == pictures["alpha"][..., 2]).all()


def test_a_model_that_sees_some_rows_says_where_things_are_in_the_whole_frame() -> None:
    top, bottom = 3, 41
    settings = Settings("Pong", NATIVE, ("Player", "Ball"), MODEL, SceneConfig(threshold=0.4), "", "")
    there = Model(make_space(), make_classifier(), replace(settings, native=(bottom - top, 36)))
    rows = make_space(config=replace(MODEL, rows=(top, bottom)))
    model = Model(rows, make_classifier(), settings)
    frames = make_frames(3)
    cut = frames[:, top:bottom]
    for found, same in zip(model.detect(list(frames)), there.detect(cut), strict=True):
        assert len(found) == len(same) > 0
        np.testing.assert_allclose(found.boxes, same.boxes + np.array([0, top, 0, 0]), atol=1e-4)
        low = (found.z_where[:, 3] + 1) * 44 / 2 - found.z_where[:, 1] * 44 / 2
        assert (np.abs(found.boxes[:, 1] - low) <= 0.5 + 1e-4).all()
    for name, picture in model.reconstruct(frames).items():
        np.testing.assert_array_equal(picture[:, top:bottom], there.reconstruct(cut)[name])
        assert not picture[:, :top].any() and not picture[:, bottom:].any()


def test_colour_order_of_pictures_is_rgb_whatever_the_network_reads(tmp_path: Path) -> None:
    pictures = {}
    for order in ("rgb", "bgr"):
        space = make_space(config=replace(MODEL, color_order=order))
        red = torch.tensor([1.0, 0.0, 0.0])
        space.background.image[:] = (red if order == "rgb" else red.flip(0))[:, None, None]  # type: ignore[index]
        folder = save_model(tmp_path / order, space, make_classifier(), game="Pong", native=NATIVE, scene_config=SCENE)
        model = load_model(folder)
        pictures[order] = model.reconstruct(make_frames(1))["background"]
        assert (pictures[order] == (255, 0, 0)).all()
        frame = np.zeros((1, *NATIVE, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
        seen = (model.tensor(frame)[0, :, 0, 0] * 255).round().int().tolist()
        assert seen == ([10, 20, 30] if order == "rgb" else [30, 20, 10])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((1, 36, 44, 3), np.uint8), r"model of Pong reads frames of 44x36 pixels.*got 36x44"),
        (np.zeros((2, 44, 36, 3), np.float32), "expected uint8 frames"),
        (np.zeros((44, 36), np.uint8), r"expected frames of shape.*got \(44, 36\)"),
        ([[1, 2]], "expected frames as a uint8 array"),
    ],
)
def test_frames_that_do_not_fit(saved: Path, frames: object, message: str) -> None:
    model = load_model(saved)
    for call in (model.detect, model.reconstruct):
        with pytest.raises(ValueError, match=message):
            call(frames)  # type: ignore[arg-type]


def test_each_frame_of_a_list_has_to_fit(saved: Path) -> None:
    model, fine = load_model(saved), make_frames(1)[0]
    assert len(model.detect([fine, fine])) == 2
    for wrong in (fine[:, 1:], fine.astype(float), fine[..., :2]):
        with pytest.raises(ValueError, match=r"expected|reads frames of"):
            model.detect([fine, wrong])


def test_what_differs_from_the_background_is_seen_in_either_way() -> None:
    """The quick way that a shipped model takes, where little differs, and the whole network otherwise."""
    model = load_model("pong")
    env: Any = ale_py.AtariEnv("pong", frameskip=4)
    frames = [env.reset(seed=3)[0], *(env.step(2 + t // 9 % 2)[0] for t in range(60))]
    quick = model.detect(frames)
    sparse, model._sparse = model._sparse, None
    assert sparse is not None
    for ours, theirs in zip(quick, model.detect(frames), strict=True):
        np.testing.assert_allclose(ours.z_where, theirs.z_where, atol=1e-5)
        np.testing.assert_allclose(ours.z_what, theirs.z_what, atol=1e-4)
    model._sparse = sparse
    noise = np.random.default_rng(0).integers(0, 256, (2, 210, 160, 3), np.uint8)
    assert len(sparse.encode(model._pixels(noise)).left) == 2  # so what follows is the whole network's
    assert len(model.detect(noise)) == 2
    # What is found in a frame does not depend on the others: neither on their number nor on what is in them.
    mixed = [frames[20], noise[0], frames[40], noise[1], frames[60]]
    for together, alone in zip(model.detect(mixed), [model.detect(one)[0] for one in mixed], strict=True):
        np.testing.assert_allclose(together.z_where, alone.z_where, atol=1e-5)
        np.testing.assert_allclose(together.confidence, alone.confidence, atol=1e-5)


def test_only_models_that_see_their_game_pixel_by_pixel_read_screens() -> None:
    """Where nothing is resized: of the shipped ones, those whose frames are rows of the screen."""
    names = ("pong", "spaceinvaders", "seaquest", "freeway", "asterix")
    found = {name: load_model(name).sees_screens for name in names}
    assert found == {"pong": True, "spaceinvaders": True, "seaquest": True, "freeway": True, "asterix": False}


def test_another_classifier(saved: Path) -> None:
    model = load_model(saved)
    found = model.detect(make_frames(1))[0]
    # The sign of the first number of z_what decides.
    other = LinearClassifier(np.array([[0, 0, 0], [1, 0, 0]], np.float32), np.zeros(2, np.float32), ("Ball", "Enemy"))
    again = model.with_classifier(other)
    assert again.detect(make_frames(1))[0].names == ["Enemy" if z > 0 else "Ball" for z in found.z_what[:, 0]]
    assert again.class_names == again.scene.classes == ("Ball", "Enemy")
    assert again.scene.slots == {"Ball": 2, "Enemy": 1} and again.scene.ignore == SCENE.ignore
    assert model.class_names == ("Player", "Ball")
    wide = LinearClassifier(np.zeros((2, 5), np.float32), np.zeros(2, np.float32), ("Ball", "Enemy"))
    with pytest.raises(BundleError, match="reads z_what of 5 numbers, and this model's z_what has 3"):
        model.with_classifier(wide)


def test_names_of_models(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelf" / "half").mkdir(parents=True)
    shutil.copytree(saved, tmp_path / "shelf" / "pong")
    shutil.copytree(saved, tmp_path / "shelf" / "boxing")
    monkeypatch.setattr(shipped, "folders", lambda kind: [tmp_path / "shelf"] if kind == "models" else [])
    monkeypatch.chdir(tmp_path)
    assert available_models() == {name: tmp_path / "shelf" / name for name in ("boxing", "pong")}
    assert find("models", "pong") == tmp_path / "shelf" / "pong"
    assert load_model("pong").game == "Pong"
    with pytest.raises(
        UnknownModelError, match=r"no model 'pongg'.*\(in .*shelf: boxing, pong\)\. Did you mean 'pong'\?"
    ) as caught:
        load_model("pongg")
    assert "python pretrain_space.py --game pongg" in str(caught.value)
    with pytest.raises(UnknownModelError, match=r"no agent 'pong': .*there are none\)\.$"):
        find("agents", "pong")


def test_a_model_of_ones_own_comes_before_a_shipped_one(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = saved.parent / "home"
    for name in ("shelf/pong", "shelf/boxing", "home/models/pong", "home/models/mine"):
        shutil.copytree(saved, saved.parent / name)
    monkeypatch.setattr(shipped, "folders", lambda kind: [saved.parent / "shelf"] if kind == "models" else [])
    monkeypatch.chdir(home)
    own = Path("models")
    assert available_models() == {"boxing": saved.parent / "shelf/boxing", "mine": own / "mine", "pong": own / "pong"}
    assert find("models", "pong") == own / "pong" and find("models", "boxing") == saved.parent / "shelf/boxing"
    with pytest.raises(UnknownModelError, match=r"\(in .*shelf: boxing; in models: mine, pong\)\. Did you mean 'pong'"):
        load_model("pongg")
    (own / "pong/model.yaml").unlink()  # no model: it hides nothing
    assert find("models", "pong") == saved.parent / "shelf/pong"
    monkeypatch.chdir(saved.parent)
    (saved.parent / "models").symlink_to(saved.parent / "shelf")  # a checkout: the shipped ones are the current ones
    assert available_models() == {name: saved.parent / "shelf" / name for name in ("boxing", "pong")}


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "./" + "x" * 5000, "y" * 300])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(UnknownModelError, match=r"no model .*neither a folder") as caught:
        load_model(name)
    assert len(str(caught.value)) < 1000


def test_a_folder_of_other_things_is_not_written_into(saved: Path, tmp_path: Path) -> None:
    model = load_model(saved)
    words: dict[str, Any] = {"game": "Pong", "native": NATIVE, "scene_config": SCENE}
    home = tmp_path / "home"
    home.mkdir()
    (home / "CARD.md").write_text("mine")
    with pytest.raises(BundleError, match=r"home: it is no model folder and holds CARD\.md\. Give a new or an empty"):
        save_model(home, model.space, model.classifier, card="theirs", **words)
    assert [path.name for path in home.iterdir()] == ["CARD.md"] and (home / "CARD.md").read_text() == "mine"
    with pytest.raises(BundleError, match=r"cannot write the model to .*: File exists"):
        save_model(home / "CARD.md", model.space, model.classifier, **words)

    killed = tmp_path / "killed"  # while it was written: before the first file had its name, and before the second
    killed.mkdir()
    for name in ("lock", ".model.safetensors.1-ab.tmp", "model.safetensors"):
        (killed / name).write_text("")
        save_model(killed, model.space, model.classifier, **words)
        (killed / "model.yaml").unlink()
        (killed / "model.safetensors").unlink()


def test_two_do_not_write_one_folder_at_once(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(saved)
    monkeypatch.setattr(weights, "WAIT", 0.1)
    before = {path: path.read_bytes() for path in saved.iterdir()}
    with hold(saved), pytest.raises(BundleError, match=r"cannot write .* in use by process \d+ since .*is unchanged"):
        save_model(saved, model.space, model.classifier, game="Pong", native=NATIVE, scene_config=SCENE)
    assert {path: path.read_bytes() for path in saved.iterdir()} == before


def test_a_path_needs_a_slash(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied.parent)
    monkeypatch.setattr(shipped, "folders", lambda kind: [])
    with pytest.raises(UnknownModelError, match=r"in the current directory, write '\./copied'"):
        load_model("copied")
    for path in ("./copied", Path("copied"), "copied/", str(copied), "../" + copied.parent.name + "/copied"):
        assert load_model(path).game == "Pong"
    monkeypatch.chdir(copied)
    assert load_model(".").game == "Pong"
    for nothing in ("", "nowhere/at/all"):
        with pytest.raises(UnknownModelError, match="neither a folder nor the name of one"):
            load_model(nothing)


def test_where_the_package_keeps_its_models() -> None:
    package = Path(shipped.__file__).parent
    allowed = [package / "_bundled" / "models", package.parent / "models"]
    assert shipped.folders("models") == [p for p in allowed if p.is_dir()]


@pytest.mark.parametrize("name", ["model.yaml", "model.safetensors"])
def test_a_file_is_missing(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"is no model folder: it has no {name}"):
        load_model(copied)
    (copied / name).mkdir()
    with pytest.raises(BundleError, match=f"cannot read .*{name}: Is a directory"):
        load_model(copied)


def test_weights_that_were_changed(copied: Path) -> None:
    path = copied / "model.safetensors"
    data = path.read_bytes()
    for spoiled in (data[:-1], data[: len(data) // 2], b"", data[:-1] + bytes([data[-1] ^ 1])):
        path.write_bytes(spoiled)
        with pytest.raises(BundleError, match=r"SHA-256 differs\): it is truncated or was changed. Make or download"):
            load_model(copied)
    path.write_bytes(data)
    assert load_model(copied).game == "Pong"


def test_weights_that_are_something_else(copied: Path) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_yaml(copied, lambda tree: tree.update(sha256=digest))
    with pytest.raises(BundleError, match="is not a safetensors file"):
        load_model(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(extra=torch.zeros(1)), "its weights do not fit the network: unknown extra"),
        (lambda t: t.pop("space.foreground.encoder.head.bias"), "missing foreground.encoder.head.bias"),
        (
            lambda t: t.update({"space.foreground.encoder.head.bias": torch.zeros(7)}),
            r"another shape foreground.encoder.head.bias: \(7,\) instead of \(11,\)",
        ),
        (lambda t: t.pop("classifier.coef"), "the weights lack 'classifier.coef'"),
        (lambda t: t.update({"classifier.coef": torch.zeros(2, 4)}), r"coef \(2, 4\) does not fit z_what_dim 3"),
        (lambda t: t.update({"classifier.coef": torch.zeros(5, 3)}), r"2 classes needs coef \(2, D\)"),
        (lambda t: t.update({"classifier.intercept": torch.zeros(3)}), r"intercept \(2,\), got \(2, 3\) and \(3,\)"),
    ],
)
def test_weights_that_do_not_fit(copied: Path, change: object, message: str) -> None:
    change_weights(copied, change)
    with pytest.raises(BundleError, match=message):
        load_model(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(nativ=[1, 2]), "unknown key 'nativ'. Did you mean 'native'"),
        (lambda t: t["model"].update(gird=4), "unknown key 'gird'. Did you mean 'grid'"),
        (lambda t: t.pop("native"), "native.*damaged, or of another version"),
        (lambda t: t["model"].update(grid="four"), "model: grid: expected int, got 'four'"),
        (lambda t: t["model"].update(rows=[5, 45]), r"does not describe a network: model.rows: .*got \[5, 45\]"),
        (lambda t: t["model"].update(grid=5), "does not describe a network.*model.grid is 5"),
        (lambda t: t["model"].update(z_what_dim=4), r"coef \(2, 3\) does not fit z_what_dim 4"),
        (lambda t: t["model"].update(z_what_dim=-1), "model: z_what_dim: expected 1 to 16384, got -1"),
        (lambda t: t["model"]["encoder"].update(layers=[]), "does not describe a network"),
        (lambda t: t["model"]["glimpse"].update(size=8), "draws glimpses of size 4"),
        (lambda t: t.update(class_names=["Player"]), r"1 classes needs coef \(1, D\)"),
    ],
)
def test_settings_that_do_not_fit(copied: Path, change: object, message: str) -> None:
    change_yaml(copied, change)
    with pytest.raises(BundleError, match=message):
        load_model(copied)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"", "expected keys of Settings, got None"),
        (b"- 1", "keys"),
    ],
)
def test_settings_that_are_no_yaml(copied: Path, text: bytes, message: str) -> None:
    (copied / "model.yaml").write_bytes(text)
    with pytest.raises(BundleError, match=message):
        load_model(copied)


def test_yaml_makes_no_objects(copied: Path) -> None:
    with open(copied / "model.yaml", "a") as file:
        file.write("trained: !!python/object/apply:os.system ['touch made-by-yaml']\n")
    with pytest.raises(BundleError, match="not YAML"):
        load_model(copied)


def test_nothing_is_unpickled(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, never)
    assert load_model(saved).game == "Pong"


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_leaves_the_old_model(copied: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Whichever of the files it is that does not fit."""
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    fsync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError, match=r"cannot write the model to .*No space left on device\. What was there"):
        save(copied, seed=1)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert load_model(copied).settings.trained["seed"] == "0"
    monkeypatch.setattr(os, "fsync", fsync)
    save(copied, seed=1)
    assert load_model(copied).settings.trained["seed"] == "1"


def test_a_disk_that_is_really_full(copied: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from tests.models.test_folder import save
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    save(Path(sys.argv[1]), seed=1)
except ValueError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(copied)], capture_output=True, text=True, check=True)
    assert "BundleError cannot write the model" in done.stdout and "File too large" in done.stdout
    assert load_model(copied).settings.trained["seed"] == "0"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"cannot write the model to .*Not a directory"):
        save(tmp_path / "file" / "model")
