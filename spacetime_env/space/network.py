"""The whole network: foreground and background, and what is asked of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from spacetime_env.config import ModelConfig
from spacetime_env.files import shown_text
from spacetime_env.frames import from_rows
from spacetime_env.space.background import BackgroundOutput, ComponentBackground, FixedBackground
from spacetime_env.space.batch import Batch
from spacetime_env.space.encoders import FoldedEncoder
from spacetime_env.space.foreground import Foreground, ForegroundOutput, Hints
from spacetime_env.space.latents import Objects
from spacetime_env.space.linear_background import LinearBackground


class Classifier(Protocol):
    """The classifier that :meth:`Space.scene_description` takes: scikit-learn's are such."""

    def predict(self, z_encs: Any, **kwargs: Any) -> Any: ...


class SpaceOutput(NamedTuple):
    """What :class:`Space` infers and draws of a batch of frames."""

    foreground: ForegroundOutput
    background: BackgroundOutput
    image: Tensor  # (B, 3, H, W): the reconstruction


class Space(nn.Module):
    """The network SPACE (arXiv 2001.02407). Trained with motion and continuity it is SPACE-Time (arXiv 2211.09771).

    Frames are float tensors (B, 3, H, W) in [0, 1] in ``config.color_order``;
    :func:`spacetime_env.frames.to_tensor` makes them of pictures.

    Attributes:
        config: the architecture.
        screen_height: of the game's frames in pixels, if it is known. The network may see some rows of them only
            (``config.rows``); :meth:`scene_description` needs it to say where objects are in the whole frame.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.screen_height: int | None = None
        self.foreground = Foreground(config)
        kinds = {"fixed": FixedBackground, "components": ComponentBackground, "linear": LinearBackground}
        self.background: nn.Module = kinds[config.background.kind](config)

    def forward(
        self,
        frames: Tensor,
        hints: Hints | None = None,
        tau: float = 1.0,
        sample: bool = False,
        backgrounds: Tensor | None = None,
        behind: Tensor | None = None,
        border: int = 0,
    ) -> SpaceOutput:
        """Infer the latents of frames and draw the frames again. Deterministic without ``sample``.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            hints, tau, sample: see :meth:`~spacetime_env.space.foreground.Foreground.infer`.
            backgrounds: (B, 3, H, W) in [0, 1]: the fixed background of each frame, if they differ.
            behind: (B, 3, H, W) in [0, 1]: what is drawn behind the objects, if that is not the background.
            border: draw the edges of boxes too, see :meth:`~spacetime_env.space.foreground.Foreground.forward`.

        Raises:
            ValueError: frames of another shape or type.
        """
        self.require_frames(frames)
        seen = self.image if backgrounds is None else backgrounds
        images = () if behind is None and backgrounds is None else (seen if behind is None else behind,)
        background = self.background(frames, sample, *images)
        foreground = self.foreground(frames, hints, tau, sample, seen, border)
        image = foreground.alpha * foreground.image + (1 - foreground.alpha) * background.image
        return SpaceOutput(foreground, background, image)

    @property
    def batch(self) -> Batch:
        """What the frames in training are a part of."""
        return self.foreground.batch

    def share(self, batch: Batch) -> None:
        """Let the frames in training be a part of ``batch``, which several processes share."""
        self.foreground.batch = batch
        if isinstance(self.background, (ComponentBackground, LinearBackground)):
            self.background.batch = batch

    @property
    def image(self) -> Tensor | None:
        """The fixed background, (3, H, W) in [0, 1]; None if the background is learned."""
        return self.background.image if isinstance(self.background, FixedBackground) else None

    @torch.inference_mode()
    def encode(self, frames: Tensor, threshold: float = 0.5) -> Objects:
        """The objects of each frame: posterior means of its present cells. Nothing is drawn and nothing is sampled.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            threshold: a cell with z_pres over this holds an object.

        Raises:
            ValueError: frames of another shape or type.
        """
        self.require_frames(frames)
        return self.foreground.find(frames, threshold, self.image)

    def fused(self) -> Space:
        """A copy for inference, in evaluation mode and without gradients.

        Every BatchNorm of the image encoder is folded into the convolution before it, where the encoder has any.
        """
        copy = deepcopy(self).eval()
        if self.config.encoder.norm == "batch" and not self.config.encoder.lateral:
            copy.foreground.encoder = FoldedEncoder(copy.foreground.encoder, copy.image)  # type: ignore[assignment]
        return copy.requires_grad_(False)

    def scene_description(
        self,
        x: Tensor,
        z_classifier: Classifier | None,
        only_z_what: bool = True,
        size: bool = True,
        **kwargs: Any,
    ) -> dict[Any, list[tuple[float, ...]]] | tuple[Tensor, Tensor]:
        """The objects of one frame by class, as the published code's method of this name gives them.

        Args:
            x: (3, H, W) in [0, 1] in the model's colour order.
            z_classifier: has ``predict(encodings) -> labels``. None: encodings and positions are returned.
            only_z_what: classify by z_what. Otherwise by z_where, z_depth and z_what side by side.
            size: positions are (w, h, x, y). Otherwise (x, y); the published code returned (w, h) then.
            **kwargs: passed to ``z_classifier.predict``.

        Returns:
            label -> positions of its objects. Centres x, y lie in (-1, 1), right and down; sizes w, h are fractions
            of the frame in (0, 1). They refer to the rows that the network sees (``config.rows``), or to the whole
            frame where ``screen_height`` is set, as in models of :func:`spacetime_env.load_model`. Without a
            classifier: encodings (n, D) and positions (n, 4) or (n, 2).

        Raises:
            ValueError: not one frame.
        """
        if x.dim() != 3:
            raise ValueError(f"expected one frame (3, H, W), got a tensor of shape {tuple(x.shape)}.")
        found = self.encode(x.unsqueeze(0))
        z_what, z_where = found.z_what.cpu(), found.z_where.cpu()
        if self.screen_height is not None:
            native = (self.screen_height, self.config.frame_size[1])  # the width does not matter
            z_where = torch.from_numpy(from_rows(z_where.numpy(), self.config.rows, native))
        positions = z_where if size else z_where[:, 2:]
        encodings = z_what
        if not only_z_what:
            encodings = torch.cat((z_where, found.z_depth.cpu(), z_what), dim=1)
        if z_classifier is None:
            return encodings, positions
        result: dict[Any, list[tuple[float, ...]]] = defaultdict(list)
        if len(encodings):
            labels = z_classifier.predict(encodings.numpy(), **kwargs)
            for label, position in zip(labels, positions.tolist(), strict=True):
                result[label].append(tuple(position))
        return result

    def load_tensors(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Load the weights, as :meth:`load_state_dict` does, if :meth:`require_tensors` finds that they fit.

        Args and errors are those of :meth:`require_tensors`. Nothing is changed if it raises.
        """
        self.require_tensors(tensors, source)
        self.load_state_dict(tensors)

    def require_tensors(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Check that weights are those of this network. It may be one on the ``meta`` device, which has no numbers.

        Args:
            tensors: by the names of :meth:`state_dict`.
            source: where they are from, for the error: "the weights in models/pong".

        Raises:
            ValueError: unknown or missing tensors, other shapes, or another type of number.
        """
        own: Mapping[str, Tensor] = self.state_dict()
        both = sorted({*own} & {*tensors})
        wrong = {
            "unknown": sorted({*tensors} - {*own}),
            "missing": sorted({*own} - {*tensors}),
            "of another shape": [
                f"{name}: {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
                for name in both
                if tensors[name].shape != own[name].shape
            ],
            "of another type": [
                f"{name}: {tensors[name].dtype} instead of {own[name].dtype}"
                for name in both
                if tensors[name].dtype != own[name].dtype
            ],
        }
        reasons = "; ".join(f"{what} {shown_text(', '.join(names[:3]))}" for what, names in wrong.items() if names)
        if reasons:
            raise ValueError(f"{source} do not fit the network: {reasons}.")

    def require_frames(self, frames: Tensor) -> None:
        """Check that the network can read ``frames``.

        Raises:
            ValueError: not (B, 3, H, W) of ``config.frame_size``, or not floating-point numbers.
        """
        height, width = self.config.frame_size
        if frames.dim() != 4 or frames.shape[1:] != (3, height, width):
            raise ValueError(
                f"expected frames (B, 3, {height}, {width}), got a tensor of shape {tuple(frames.shape)}; "
                "spacetime_env.frames.to_tensor makes them from uint8 RGB frames of any size."
            )
        if not frames.is_floating_point():
            raise ValueError(f"expected float frames in [0, 1], got {frames.dtype}.")
