"""A trained model: it finds the objects in frames, single ones or those of games in play, and draws frames again."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from spacetime_env.config import ModelConfig, SceneConfig
from spacetime_env.frames import from_rows, require_frames, resize, shown_rows, to_tensor
from spacetime_env.models.backdrop import native_backdrop, sees_native
from spacetime_env.models.classifier import LinearClassifier
from spacetime_env.models.screens import Palette, PaletteFullError, Screen
from spacetime_env.models.settings import Settings
from spacetime_env.objects.describe import Describer
from spacetime_env.objects.detections import Detections
from spacetime_env.objects.snap import Backdrop, Pictures
from spacetime_env.shipped import BundleError
from spacetime_env.space import Space, SparseEncoder
from spacetime_env.space.device import require_device
from spacetime_env.space.sparse_state import Found, ObjectArrays, SparseState


class ModelMemory:
    """What :meth:`Model.follow` remembers of some games: their last frames, and the features of these.

    RGB frames and screens are remembered apart from each other.
    """

    def __init__(self, sparse: SparseEncoder, games: int) -> None:
        self.palette = Palette()
        self._sparse, self._games = sparse, games
        self._states: dict[int, SparseState] = {}

    def forget_screens(self) -> None:
        """Forget the mixtures of colours, and the screens that were seen with them."""
        self.palette = Palette()
        self._states.pop(1, None)

    def state(self, depth: int) -> SparseState:
        """The state of frames with ``depth`` bytes a pixel: 3 of RGB frames, 1 of screens."""
        if depth not in self._states:
            self._states[depth] = self._sparse.begin(self._games, depth)
        return self._states[depth]


class Model:
    """A trained model of a game. :func:`~spacetime_env.models.folder.load_model` loads one.

    The model keeps a copy of the network. So the network that was given stays as it is, in training mode for instance,
    and what happens to it later does not change the model.

    Args:
        space: the network.
        classifier: names objects by their z_what.
        settings: the game, the size of its frames, and the scene's settings.

    Attributes:
        space: the model's copy of the network, in evaluation mode.
    """

    def __init__(self, space: Space, classifier: LinearClassifier, settings: Settings) -> None:
        self.space = deepcopy(space).eval()
        self.space.screen_height = settings.native[0]
        self.classifier = classifier
        self.settings = settings
        self._fused = self.space.fused()
        beside = settings.model.centers == "beside"
        self._sparse = SparseEncoder(self._fused, beside) if SparseEncoder.fits(self._fused) else None
        self._device = next(self.space.parameters()).device
        self._rows = shown_rows(self.config.rows, self.native)
        self._describer = Describer(classifier.class_ids, tuple(self.class_names), self.scene, self.native)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    def to(self, device: str | torch.device) -> Model:
        """The same model on another device; itself if it is there already.

        On other devices than the CPU each frame goes through the whole network: what computes only the cells that
        changed is made for the CPU.

        Raises:
            DeviceError: there is no such device.
        """
        wanted = require_device(device)
        if wanted == self._device:
            return self
        return Model(deepcopy(self.space).to(wanted), self.classifier, self.settings)

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
        """The names of the classes; :attr:`Detections.class_ids` are indices into them."""
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
        """Find and name the objects of frames that need not follow each other.

        Args:
            frames: (N, H, W, 3) or (H, W, 3) uint8 RGB in the game's native size; or a list of (H, W, 3).

        Returns:
            Of each frame its :class:`~spacetime_env.objects.detections.Detections`, the most certain object first.

        Raises:
            ValueError: frames of another shape, type or size.
        """
        pixels = self._pixels(self._require(frames))
        found = None if self._sparse is None else self._sparse.encode(pixels, self.scene.threshold)
        return self._describe(found, pixels)

    @property
    def sees_screens(self) -> bool:
        """Whether :meth:`follow` takes a :class:`~spacetime_env.models.screens.Screen`.

        It does if the network sees the game's frames at their own size, so that none is resized.
        """
        return self._sparse is not None and sees_native(self.space, self.native)

    def begin(self, games: int) -> ModelMemory | None:
        """A memory for :meth:`follow`, before the first frames of some games.

        None if the network's architecture has no fast form for successive frames; then use :meth:`detect`.
        """
        return None if self._sparse is None else ModelMemory(self._sparse, games)

    def follow(
        self, frames: Sequence[np.ndarray | Screen], games: Sequence[int], memory: ModelMemory
    ) -> list[Detections]:
        """Find and name the objects in the next frames of some games. Only cells that changed are computed.

        Args:
            frames: B frames, (H, W, 3) uint8 RGB each; or B screens, if the model :attr:`sees_screens`.
            games: the game that each frame belongs to: B different numbers from 0.
            memory: of the games, see :meth:`begin`; it is updated.

        Returns:
            See :meth:`detect`.

        Raises:
            ValueError: frames of another shape, type or size.
        """
        assert self._sparse is not None
        screens = [one for one in frames if isinstance(one, Screen)]
        if not screens:
            pixels = self._pixels(self._require(cast(list[np.ndarray], list(frames))))
            found = self._sparse.follow(pixels, games, memory.state(3), self.scene.threshold)
            return self._describe(found, pixels)
        try:
            numbers = self._numbers(screens, memory.palette)
        except PaletteFullError:  # a long time with many colours: the mixtures of these frames alone have room
            memory.forget_screens()
            numbers = self._numbers(screens, memory.palette)
        colors = memory.palette.colors
        found = self._sparse.follow(numbers, games, memory.state(1), self.scene.threshold, colors)
        return self._describe(found, numbers, colors)

    def _numbers(self, screens: Sequence[Screen], palette: Palette) -> np.ndarray:
        """Screens as the network sees them: (B, h, w) uint8 numbers of the palette's colours."""
        top, bottom = self._rows
        numbers = np.empty((len(screens), bottom - top, self.native[1]), np.uint8)
        for number, (ids, before) in zip(numbers, screens, strict=True):
            now = ids[top:bottom]
            number[:] = now if before is None else palette.brighter(now, before[top:bottom])
        return numbers

    def _describe(self, found: Found | None, pixels: np.ndarray, colors: np.ndarray | None = None) -> list[Detections]:
        """The detections in frames as the network sees them: RGB, or (B, h, w) uint8 numbers of ``colors``.

        ``found``: what the sparse encoder found, and which frames it left; None: it left all."""
        objects = None if found is None else found.objects
        left = np.arange(len(pixels)) if found is None else found.left
        if len(left) or objects is None:
            whole = self._whole(pixels[left] if colors is None else colors[pixels[left]], left)
            objects = whole if objects is None else ObjectArrays(*map(np.concatenate, zip(objects, whole, strict=True)))
        z_where = from_rows(objects.z_where, self.config.rows, self.native)
        pictures = None if self._backdrop is None else Pictures(pixels, colors, self._backdrop)
        return self._describer.describe(objects.frame, len(pixels), objects.z_pres, z_where, objects.z_what, pictures)

    @functools.cached_property
    def _backdrop(self) -> Backdrop | None:
        return native_backdrop(self.space, self.native)

    def _whole(self, pixels: np.ndarray, numbers: np.ndarray) -> ObjectArrays:
        """What the whole encoder finds in frames (k, h, w, 3) with these (k,) ``numbers``."""
        found = self._fused.encode(self._tensor(pixels), self.scene.threshold)
        tensors = (found.frame, found.z_pres, found.z_where, found.z_what)
        frame, *others = (tensor.cpu().numpy() for tensor in tensors)
        return ObjectArrays(numbers[frame], *others)

    @torch.no_grad()
    def reconstruct(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """What the network draws of frames, in pictures (N, H, W, 3) uint8 RGB in native size.

        Args:
            frames: (N, H, W, 3) or (H, W, 3) uint8 RGB in native size.

        Returns:
            ``reconstruction``, ``foreground`` (objects over black), ``background`` and ``alpha`` (white where objects
            are). Rows that the network does not see are black.

        Raises:
            ValueError: frames of another shape, type or size.
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
        """A model of the same network that names objects otherwise. A class without slots in the scene gets one.

        >>> from spacetime_env.models.classifier import import_joblib
        >>> ridge = import_joblib("z_what-classifier_16.joblib.pkl")          # doctest: +SKIP
        >>> model = load_model("pong").with_classifier(ridge)                 # doctest: +SKIP

        Raises:
            BundleError: the classifier reads z_what of another size than the network's.
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
        """Frames as the network takes them: (N, H, W, 3) uint8 RGB -> (N, 3, h, w) float32 in [0, 1]."""
        return self._tensor(self._pixels(frames))

    def _tensor(self, pixels: np.ndarray) -> Tensor:
        config, channels_last = self.config, self.config.encoder.norm == "batch"
        return to_tensor(pixels, config.frame_size, config.color_order, channels_last=channels_last).to(self._device)

    def _pixels(self, frames: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB -> (N, h, w, 3): the rows that the network sees, at its size."""
        top, bottom = self._rows
        frames = [f[top:bottom] for f in frames] if isinstance(frames, list) else frames[..., top:bottom, :, :]
        return resize(frames, self.config.frame_size)

    def _picture(self, images: Tensor) -> np.ndarray:
        """(N, 3, h, w) in [0, 1] as the network draws -> (N, H, W, 3) uint8 RGB in native size."""
        if self.config.color_order == "bgr":
            images = images.flip(1)
        pixels = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
        top, bottom = self._rows
        out = np.zeros((len(pixels), *self.native, 3), np.uint8)
        out[:, top:bottom] = resize(pixels, (bottom - top, self.native[1]))
        return out

    def _require(self, frames: np.ndarray | list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
        """Check frames; returns (N, H, W, 3), or the list that was given."""
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
