"""Model folders: find, verify, load and save a SPACE-Time model with its classifier and scene settings.

A folder holds ``model.safetensors`` (network and classifier), ``model.yaml`` (what they mean, and the SHA-256
of the weights) and ``CARD.md``. Loading never unpickles anything and refuses what does not fit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from torch import Tensor

from spacetime_env import __version__
from spacetime_env.classifier import LinearClassifier
from spacetime_env.config import ConfigError, ModelConfig, SceneConfig, from_dict, to_dict
from spacetime_env.files import write_together
from spacetime_env.frames import require_frames, resize, to_tensor
from spacetime_env.scene import Detections, describe_all
from spacetime_env.shipped import BundleError, UnknownModelError, available, find, folders
from spacetime_env.space import Space

__all__ = [
    "BundleError",
    "Model",
    "Settings",
    "UnknownModelError",
    "available_models",
    "find",
    "folders",
    "load_model",
    "read_settings",
    "save_model",
]

WEIGHTS, SETTINGS, CARD = "model.safetensors", "model.yaml", "CARD.md"


@dataclass(frozen=True)
class Settings:
    """``model.yaml``."""

    game: str
    native: tuple[int, int]  # H, W of the frames it was trained on
    class_names: tuple[str, ...]
    model: ModelConfig
    scene: SceneConfig
    sha256: str  # of model.safetensors
    version: str  # of spacetime_env
    trained: dict[str, str] = field(default_factory=dict)  # seed, steps, commit ... for the reader


@dataclass
class Model:
    """A trained model: the network, the classifier and what the scene needs. See :func:`load_model`."""

    space: Space
    classifier: LinearClassifier
    settings: Settings

    def __post_init__(self) -> None:
        self.space.eval()
        self._fast = self.space.fused()
        self._device = next(self.space.parameters()).device

    @property
    def game(self) -> str:
        """The game it was trained on, such as ``"Pong"``."""
        return self.settings.game

    @property
    def native(self) -> tuple[int, int]:
        """H, W of the game's frames."""
        return self.settings.native

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names that :attr:`Detections.class_ids` index."""
        return self.settings.class_names

    @property
    def scene(self) -> SceneConfig:
        """Slots, regions to ignore and thresholds."""
        return self.settings.scene

    @property
    def config(self) -> ModelConfig:
        """The network's architecture."""
        return self.space.config

    def detect(self, frames: np.ndarray | list[np.ndarray]) -> list[Detections]:
        """Find and name the objects.

        Args:
            frames: (N, H, W, 3) or (H, W, 3) uint8 RGB, in the game's native size; or a list of (H, W, 3).

        Returns:
            One :class:`~spacetime_env.scene.Detections` a frame, most certain object first.

        Raises:
            ValueError: frames of another shape, type or size.
        """
        batch = self._require(frames)
        found = self._fast.encode(self.tensor(batch), self.scene.threshold)
        return describe_all(
            found.frame.cpu().numpy(),
            len(batch),
            found.z_pres.cpu().numpy(),
            found.z_where.cpu().numpy(),
            found.z_what.cpu().numpy(),
            self.classifier.class_ids,
            class_names=self.class_names,
            config=self.scene,
            native=self.native,
        )

    @torch.no_grad()
    def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """What the network sees and draws, as uint8 RGB pictures (N, H, W, 3) in native size.

        Keys: ``reconstruction``, ``foreground``, ``background``, ``alpha``.
        """
        batch = self._require(frames)
        output = self.space(self.tensor(batch))
        alpha = output.foreground.alpha
        pictures = {
            "reconstruction": output.image,
            "foreground": output.foreground.image * alpha,
            "background": output.background.image,
            "alpha": alpha.expand(-1, 3, -1, -1),
        }
        return {name: self._picture(picture) for name, picture in pictures.items()}

    def with_classifier(self, classifier: LinearClassifier) -> Model:
        """The same network with other names for what it finds; a class new to the scene gets one slot.

        >>> from spacetime_env.classifier import import_joblib
        >>> ridge = import_joblib("z_what-classifier_16.joblib.pkl")          # doctest: +SKIP
        >>> model = load_model("pong").with_classifier(ridge)                 # doctest: +SKIP

        Raises:
            BundleError: it reads z_what of another size than this network writes.
        """
        if classifier.coef.shape[1] != self.config.z_what_dim:
            raise BundleError(
                f"the classifier reads z_what of {classifier.coef.shape[1]} numbers, and this model's z_what "
                f"has {self.config.z_what_dim}: it was fitted on another model."
            )
        names = classifier.class_names
        slots = {name: self.scene.slots.get(name, 1) for name in names}
        renamed = replace(self.scene, classes=names, slots=slots)
        return Model(self.space, classifier, replace(self.settings, class_names=names, scene=renamed))

    def tensor(self, frames: np.ndarray | list[np.ndarray]) -> Tensor:
        """(N, H, W, 3) uint8 RGB -> (N, 3, h, w) float in [0, 1], as the network takes them."""
        channels_last = self.config.encoder.norm == "batch"
        tensor = to_tensor(frames, self.config.frame_size, self.config.color_order, channels_last=channels_last)
        return tensor.to(self._device)

    def _picture(self, images: Tensor) -> np.ndarray:
        if self.config.color_order == "bgr":
            images = images.flip(1)
        pixels = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return resize(pixels, self.native)

    def _require(self, frames: np.ndarray | list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
        if isinstance(frames, list):
            for frame in frames:
                self._require(frame)
            return frames
        frames = require_frames(frames)
        if frames.shape[1:3] != self.native:
            raise ValueError(
                f"the model of {self.game} reads frames of {self.native[0]}x{self.native[1]} pixels (H x W), "
                f"got {frames.shape[1]}x{frames.shape[2]}. Pass the game's native RGB screen."
            )
        return frames


def available_models() -> tuple[str, ...]:
    """Names of the bundled models."""
    return available("models", SETTINGS)


def load_model(name: str | os.PathLike[str]) -> Model:
    """Load a bundled model by name (``"pong"``) or any model folder by path.

    Raises:
        UnknownModelError: there is none.
        BundleError: a file is missing, truncated, changed, or does not fit the others.
    """
    folder = find("models", name)
    settings = read_settings(folder)
    tensors = _read_weights(folder / WEIGHTS, settings.sha256)
    try:
        space = Space(settings.model)
        classifier = _classifier(tensors, settings)
    except (
        ValueError,
        TypeError,
        RuntimeError,
        LookupError,
        ArithmeticError,
    ) as error:  # torch raises all of them
        raise BundleError(f"{folder / SETTINGS} does not describe a network: {error}") from error
    _load_checked(space, tensors, folder)
    return Model(space, classifier, settings)


def read_settings(folder: Path) -> Settings:
    """Read ``model.yaml``.

    Raises:
        BundleError: it is missing, not YAML, or has unknown or missing keys.
    """
    path = folder / SETTINGS
    try:
        return from_dict(Settings, yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise BundleError(f"{folder} is no model folder: it has no {SETTINGS}.") from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{path} is damaged: not YAML ({error}). Make or download the model again."
        ) from None
    except ConfigError as error:
        raise BundleError(f"{error} The file is damaged, or of another version of spacetime_env.") from None


def save_model(
    folder: str | os.PathLike[str],
    space: Space,
    classifier: LinearClassifier,
    *,
    game: str,
    native: tuple[int, int],
    scene_config: SceneConfig,
    trained: Mapping[str, Any] | None = None,
    card: str = "",
    extras: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a model folder. On a full disk the old model stays as it was, and loads.

    Args:
        folder: made if it is missing.
        space, classifier: what is trained.
        game, native: the game and H, W of its frames.
        scene_config: threshold, slots and ignored regions that the model is used with.
        trained: how it was made, for the reader of ``model.yaml``.
        card: ``CARD.md``.
        extras: name -> content of further files.

    Raises:
        BundleError: it cannot be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    tensors = {f"space.{k}": v.detach().cpu().contiguous() for k, v in space.state_dict().items()}
    tensors["classifier.coef"] = torch.from_numpy(np.ascontiguousarray(classifier.coef))
    tensors["classifier.intercept"] = torch.from_numpy(np.ascontiguousarray(classifier.intercept))
    blob = save(tensors)
    settings = Settings(
        game=game,
        native=native,
        class_names=classifier.class_names,
        model=space.config,
        scene=scene_config,
        sha256=hashlib.sha256(blob).hexdigest(),
        version=__version__,
        trained={k: str(v) for k, v in (trained or {}).items()},
    )
    text = yaml.safe_dump(to_dict(settings), sort_keys=False, width=110)
    contents = {WEIGHTS: blob, SETTINGS: text.encode(), **(extras or {})}
    if card:
        contents[CARD] = card.encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_together({folder / name: content for name, content in contents.items()})
    except OSError as error:
        raise BundleError(
            f"cannot write the model to {folder}: {error.strerror or error}. What was there is unchanged."
        ) from error
    return folder


def _read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is no model folder: it has no {path.name}.") from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}.") from None
    if hashlib.sha256(blob).hexdigest() != sha256:
        raise BundleError(
            f"{path} is not the file that {SETTINGS} describes (its SHA-256 differs): it is truncated or was "
            "changed. Make or download the model again."
        )
    try:
        return load(blob)
    except SafetensorError as error:
        raise BundleError(f"{path} is not a safetensors file ({error}).") from None


def _classifier(tensors: dict[str, Tensor], settings: Settings) -> LinearClassifier:
    try:
        coef, intercept = tensors.pop("classifier.coef"), tensors.pop("classifier.intercept")
    except KeyError as error:
        raise ValueError(f"the weights lack {error}.") from None
    if coef.dim() != 2 or coef.shape[1] != settings.model.z_what_dim:
        raise ValueError(
            f"classifier.coef {tuple(coef.shape)} does not fit z_what_dim {settings.model.z_what_dim}."
        )
    return LinearClassifier(coef.numpy(), intercept.numpy(), settings.class_names)


def _load_checked(space: Space, tensors: dict[str, Tensor], folder: Path) -> None:
    given = {k.removeprefix("space."): v for k, v in tensors.items()}
    wanted = cast(dict[str, Tensor], space.state_dict())
    unknown, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
    wrong = [
        f"{k}: {tuple(given[k].shape)} instead of {tuple(wanted[k].shape)}"
        for k in sorted(set(given) & set(wanted))
        if given[k].shape != wanted[k].shape
    ]
    if unknown or missing or wrong:
        raise BundleError(
            f"the weights in {folder} do not fit its {SETTINGS}: "
            + "; ".join(
                f"{what} {', '.join(keys[:3])}"
                for what, keys in (("unknown", unknown), ("missing", missing), ("of another shape", wrong))
                if keys
            )
            + "."
        )
    space.load_state_dict(given)
