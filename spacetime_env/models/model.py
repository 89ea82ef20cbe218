"""A trained model: what it finds in frames, one by one or as games are played, and how it draws them again."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.frames import from_rows, require_frames, resize, shown_rows, to_tensor
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.screens import Palette, Screen
from spacetime_env.models.settings import Settings
from spacetime_env.objects.describe import describe_all
from spacetime_env.objects.detections import Detections
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space, SparseEncoder
from spacetime_env.space.sparse import Found, Known


class Followed:
    """What :meth:`Model.follow` remembers of some games."""

    def __init__(self, sparse: SparseEncoder, streams: int) -> None:
        self.palette = Palette()
        self._begin = functools.partial(sparse.begin, streams)
        self._known: dict[int, Known] = {}

    def known(self, depth: int) -> Known:
        """Of their frames with so many bytes a pixel."""
        if depth not in self._known:
            self._known[depth] = self._begin(depth)
        return self._known[depth]


@dataclass
class Model:
    """A trained model: the network, the classifier and what the scene needs. See :func:`load_model`."""

    space: Space
    classifier: LinearClassifier
    settings: Settings

    def __post_init__(self) -> None:
        self.space.eval()
        self._fast = self.space.fused()
        self._sparse = SparseEncoder(self._fast) if SparseEncoder.fits(self._fast) else None
        self._device = next(self.space.parameters()).device
        self._rows = shown_rows(self.config.rows, self.native)
        self.space.screen = self.native[0]

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
            One :class:`~spacetime_env.objects.detections.Detections` a frame, most certain object first.

        Raises:
            ValueError: frames of another shape, type or size.
        """
        pixels = self._pixels(self._require(frames))
        found = None if self._sparse is None else self._sparse.encode(pixels, self.scene.threshold)
        return self._describe(pixels, found)

    @property
    def sees_screens(self) -> bool:
        """Whether :meth:`follow` takes a :class:`~spacetime_env.models.screens.Screen`: nothing is resized."""
        top, bottom = self._rows
        return self._sparse is not None and self.config.frame_size == (bottom - top, self.native[1])

    def begin(self, streams: int) -> Followed | None:
        """What :meth:`follow` knows of some games before their first frames; None if it is no faster."""
        return None if self._sparse is None else Followed(self._sparse, streams)

    def follow(
        self, frames: Sequence[np.ndarray | Screen], streams: Sequence[int], followed: Followed
    ) -> list[Detections]:
        """As :meth:`detect`, of games that are played on: where nothing changed, nothing is computed.

        Args:
            frames: (H, W, 3) uint8 RGB each; or screens, of a model that :attr:`sees_screens`.
            streams: of which game each is the next frame, numbers from 0; B different ones.
            followed: as :meth:`begin` made it for so many games; brought up to date.
        """
        assert self._sparse is not None
        screens = [one for one in frames if isinstance(one, Screen)]
        if not screens:
            pixels = self._pixels(self._require(cast(list[np.ndarray], list(frames))))
            found = self._sparse.follow(pixels, streams, followed.known(3), self.scene.threshold)
            return self._describe(pixels, found)
        top, bottom = self._rows
        palette, colors = followed.palette, followed.palette.colors
        numbers = np.empty((len(screens), bottom - top, self.native[1]), np.uint8)
        for number, (ids, before) in zip(numbers, screens, strict=True):
            now = ids[top:bottom]
            number[:] = now if before is None else palette.flat(now, before[top:bottom])
        found = self._sparse.follow(numbers, streams, followed.known(1), self.scene.threshold, colors)
        return self._describe(numbers if found is not None else colors[numbers], found)

    def _describe(self, pixels: np.ndarray, found: Found | None) -> list[Detections]:
        """Detections of what was found in (N, h, w, 3) pixels; where that is None, by the whole network."""
        if found is None:
            objects = self._fast.encode(self._tensor(pixels), self.scene.threshold)
            tensors = (objects.frame, objects.z_pres, objects.z_where, objects.z_what)
            found = Found(*(tensor.cpu().numpy() for tensor in tensors))
        return describe_all(
            found.frame,
            len(pixels),
            found.z_pres,
            from_rows(found.z_where, self.config.rows, self.native),
            found.z_what,
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

        >>> from spacetime_env.models.classifier import import_joblib
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
        return self._tensor(self._pixels(frames))

    def _tensor(self, pixels: np.ndarray) -> Tensor:
        config, channels_last = self.config, self.config.encoder.norm == "batch"
        return to_tensor(pixels, config.frame_size, config.color_order, channels_last=channels_last).to(self._device)

    def _pixels(self, frames: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB -> (N, h, w, 3), the rows that the network sees at its size."""
        top, bottom = self._rows
        frames = [f[top:bottom] for f in frames] if isinstance(frames, list) else frames[..., top:bottom, :, :]
        return resize(frames, self.config.frame_size)

    def _picture(self, images: Tensor) -> np.ndarray:
        if self.config.color_order == "bgr":
            images = images.flip(1)
        pixels = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        top, bottom = self._rows
        out = np.zeros((len(pixels), *self.native, 3), np.uint8)  # what it does not see is black
        out[:, top:bottom] = resize(pixels, (bottom - top, self.native[1]))
        return out

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
