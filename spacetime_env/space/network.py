"""The whole network: foreground and background, and the call that a user makes of them."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from spacetime_env.config import ModelConfig
from spacetime_env.space.background import BackgroundOutput, ComponentBackground, FixedBackground
from spacetime_env.space.encoders import FoldedEncoder
from spacetime_env.space.foreground import Foreground, ForegroundOutput, Hints
from spacetime_env.space.latents import Objects


class Classifier(Protocol):
    """What ``scene_description`` asks of a classifier; scikit-learn's classifiers have it."""

    def predict(self, z_encs: Any, **kwargs: Any) -> Any: ...


class SpaceOutput(NamedTuple):
    """A batch of frames, explained."""

    foreground: ForegroundOutput
    background: BackgroundOutput
    image: Tensor  # (B, 3, H, W): the reconstruction


class Space(nn.Module):
    """SPACE (arXiv 2001.02407); trained with motion and continuity it is SPACE-Time (arXiv 2211.09771).

    Frames are float tensors (B, 3, H, W) in [0, 1] in ``config.color_order``;
    :func:`spacetime_env.frames.to_tensor` makes them.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.screen: int | None = None  # height of the whole frame, of which config.rows may be a part, if known
        self.foreground = Foreground(config)
        fixed = config.background.kind == "fixed"
        self.background: nn.Module = FixedBackground(config) if fixed else ComponentBackground(config)

    def forward(
        self,
        frames: Tensor,
        hints: Hints | None = None,
        tau: float = 1.0,
        sample: bool = False,
        backgrounds: Tensor | None = None,
        behind: Tensor | None = None,
    ) -> SpaceOutput:
        """Infer and reconstruct (B, 3, H, W) in [0, 1]. Deterministic unless ``sample``.

        Args:
            backgrounds: (B, 3, H, W): of each frame, where the background is fixed and not the same for all.
            behind: (B, 3, H, W): what is behind the objects, where that is not the background.
        """
        self.require_frames(frames)
        known = self.image if backgrounds is None else backgrounds
        images = () if behind is None and backgrounds is None else (known if behind is None else behind,)
        background = self.background(frames, sample, *images)
        foreground = self.foreground(frames, hints, tau, sample, known)
        image = foreground.alpha * foreground.image + (1 - foreground.alpha) * background.image
        return SpaceOutput(foreground, background, image)

    @property
    def image(self) -> Tensor | None:
        """The fixed background, (3, H, W) in [0, 1]; None of a network that learns its background."""
        return self.background.image if isinstance(self.background, FixedBackground) else None

    @torch.inference_mode()
    def encode(self, frames: Tensor, threshold: float = 0.5) -> Objects:
        """The objects of each frame: the image encoder on all of it, the rest on present cells only.

        No decoder, no background, no sampling: posterior means.

        Args:
            frames: (B, 3, H, W) in [0, 1].
            threshold: z_pres over this is an object.
        """
        self.require_frames(frames)
        return self.foreground.find(frames, threshold, self.image)

    def fused(self) -> Space:
        """A copy for inference, with every BatchNorm folded into the convolution before it."""
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
        """Describe one frame: where is what.

        Args:
            x: (3, H, W) in [0, 1] in the model's colour order.
            z_classifier: has ``predict(encodings) -> labels``; None returns encodings and positions instead.
            only_z_what: classify by z_what; otherwise by z_where, z_depth and z_what side by side.
            size: positions are (w, h, x, y); otherwise (x, y). (The published code returned (w, h) then.)
            **kwargs: handed to ``z_classifier.predict``.

        Returns:
            label -> positions of its objects. Centres x, y lie in (-1, 1), right and down; sizes w, h in (0, 1)
            of the frame; of a network that sees some rows only (``config.rows``), of the whole frame if ``screen`` is
            set, as :func:`spacetime_env.load_model` does. Without a classifier: encodings (n, D) and positions (n, 4)
            or (n, 2).
        """
        if x.dim() != 3:
            raise ValueError(f"expected one frame (3, H, W), got a tensor of shape {tuple(x.shape)}.")
        found = self.encode(x.unsqueeze(0))
        z_what, z_where = found.z_what.cpu(), self._in_frame(found.z_where.cpu())
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

    def _in_frame(self, z_where: Tensor) -> Tensor:
        """z_where (n, 4) of the rows that the network sees -> of the whole frame, where its height is known."""
        top, bottom = self.config.rows
        if self.screen is None or (top, bottom) == (0, 0):
            return z_where
        part = (bottom - top) / self.screen
        scale, shift = z_where.new_tensor([1, part, 1, part]), (top + bottom) / self.screen - 1
        return z_where * scale + z_where.new_tensor([0, 0, 0, shift])

    def require_frames(self, frames: Tensor) -> None:
        """Refuse what the network cannot read, in a sentence."""
        height, width = self.config.frame_size
        if frames.dim() != 4 or frames.shape[1:] != (3, height, width):
            raise ValueError(
                f"expected frames (B, 3, {height}, {width}), got a tensor of shape {tuple(frames.shape)}; "
                "spacetime_env.frames.to_tensor makes them from uint8 RGB frames of any size."
            )
        if not frames.is_floating_point():
            raise ValueError(f"expected float frames in [0, 1], got {frames.dtype}.")
