"""The settings of the network and of its losses: a part of :mod:`spacetime_env.config.schema`. The defaults are the
published network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from spacetime_env.config.schedule import Schedule
from spacetime_env.config.scope import NOTHING, TARGETS, TRAINING, setting

Side = int | tuple[int, int]  # of a square, or height and width
Conv = tuple[int, Side, Side, int, int]  # output channels, kernel, stride, padding, GroupNorm groups (0: no norm)

MOST = 1 << 14  # of channels and of dimensions: bounds what a model.yaml can make us allocate


@dataclass(frozen=True)
class EncoderConfig:
    """Image encoder: frame -> (channels, G, G). Defaults are the published network's."""

    layers: tuple[Conv, ...] = setting(
        (
            (16, 4, 2, 1, 4),
            (32, 4, 2, 1, 8),
            (64, 4, 2, 1, 8),
            (128, 3, 1, 1, 16),
            (256, 3, 1, 1, 32),
            (128, 1, 1, 0, 16),
        ),
        TRAINING,
        least=0,
        most=MOST,
    )
    lateral: bool = setting(True, TRAINING)  # the residual and the concat block
    # group: conv, CELU, GroupNorm. batch: conv, BatchNorm, ReLU.
    norm: Literal["group", "batch"] = setting("group", TRAINING)
    # frame, as published. both: the frame, and its difference from the fixed background, in which small objects stand
    # out from a busy background. At play it costs nothing: the background's part is a constant.
    input: Literal["frame", "both"] = setting("frame", TRAINING)


@dataclass(frozen=True)
class GlimpseConfig:
    """Glimpse encoder and decoder. Defaults are the published network's."""

    size: int = setting(32, TRAINING, least=1, most=512)
    encoder: tuple[Conv, ...] = setting(
        (
            (16, 3, 1, 1, 4),
            (32, 4, 2, 1, 8),
            (32, 3, 1, 1, 4),
            (64, 4, 2, 1, 8),
            (128, 4, 2, 1, 8),
            (256, 4, 1, 0, 16),
        ),
        TRAINING,
        least=0,
        most=MOST,
    )
    # (channels, GroupNorm groups): first a 1x1 convolution, then each doubles the size by PixelShuffle
    decoder: tuple[tuple[int, int], ...] = setting(
        ((256, 16), (128, 16), (128, 16), (64, 8), (32, 8), (16, 4)), TRAINING, least=0, most=MOST
    )
    refine: bool = setting(True, TRAINING)  # a 3x3 convolution after each doubling


@dataclass(frozen=True)
class BackgroundConfig:
    """``components``: K mask-and-component latents (GENESIS-like), as published. ``linear``: the same structure, small
    enough for a CPU: it sees a smaller frame, and a component is a colour that changes linearly over the frame, so that
    it cannot paint objects. ``fixed``: the training set's mode image.
    """

    kind: Literal["components", "linear", "fixed"] = setting("components", TRAINING)
    components: int = setting(3, TRAINING, least=1, most=256)  # K
    image_dim: int = setting(64, TRAINING, least=1, most=MOST)
    mask_dim: int = setting(32, TRAINING, least=1, most=MOST)
    component_dim: int = setting(32, TRAINING, least=1, most=MOST)
    hidden_dim: int = setting(64, TRAINING, least=1, most=MOST)
    # With kind linear: side of the frame that the background is inferred from, a multiple of 16, and side of the masks
    # before they are enlarged to the frame, a power of two.
    input_size: int = setting(64, TRAINING, least=16, most=256)
    mask_size: int = setting(32, TRAINING, least=8, most=512)
    # With learned components: this many successive frames of a training stack share one background, inferred from their
    # mean. A background changes little in a few frames, and it is most of the cost of a training step. Published: 1.
    share: int = setting(1, TRAINING, least=1, most=1000)


@dataclass(frozen=True)
class ModelConfig:
    """The network (see :mod:`spacetime_env.space`). Defaults are the published size."""

    variant: Literal["space", "space+motion", "space+motion+continuity"] = setting("space+motion+continuity", TRAINING)
    # H, W of the tensor that the network sees.
    frame_size: tuple[int, int] = setting((128, 128), TARGETS, least=1, most=2048)
    # First native row that the network sees, and the one after the last; 0, 0: all. If these rows have the size
    # frame_size, nothing is resized, and a line of one pixel stays one.
    rows: tuple[int, int] = setting((0, 0), TARGETS, least=0, most=2048)
    color_order: Literal["rgb", "bgr"] = setting("rgb", TARGETS)
    # 1: the network sees the emulator's last frame. 2: it sees the last two, of each pixel the brighter, and with them
    # sprites that are drawn in every other frame only. 0: 2 if more than 2 % of what moves is only in the frame before
    # the last, else 1.
    subframes: int = setting(1, TARGETS, least=0, most=2)
    grid: int = setting(16, TARGETS, least=1, most=256)  # G
    z_what_dim: int = setting(32, TRAINING, least=1, most=MOST)
    # Pixels of the frame tensor that are added on each side of a box.
    box_padding: float = setting(0.0, TRAINING, least=-2048, most=2048)
    # In training only this many cells of a frame are encoded and rendered, those with the largest z_pres; 0: all
    # (exact). Of these, only cells whose probability of z_pres is over min_presence; 0: all (exact).
    max_objects: int = setting(0, TRAINING, least=0, most=MOST)
    min_presence: float = setting(0.0, TRAINING, least=0, most=1)
    # Where z_what comes from at play. glimpse: each present cell's box is cut out and encoded, as published. map: it
    # comes from a head of the image encoder that is taught by the glimpse encoder; the cost then does not depend on the
    # number of objects.
    z_what_from: Literal["glimpse", "map"] = setting("glimpse", TRAINING)
    # Where the quick form of the encoder looks for an object's centre: in cells that differ from the background, and
    # with beside in their neighbours too, as of a boxer whose arm is stretched out. At the end of a training of a game
    # it becomes drawn if that finds all but one in a thousand of the objects. Cells in which the background itself
    # shows an object are looked at in any case.
    centers: Literal["beside", "drawn"] = setting("beside", NOTHING)
    # First value of the bias of the z_scale head: smaller, smaller boxes.
    scale_bias: float = setting(0.0, TRAINING, least=-100, most=100)
    # First value of the bias of the z_pres head: negative, fewer objects at the start. The logit is 8.8 tanh of it.
    presence_bias: float = setting(0.0, TRAINING, least=-100, most=100)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    glimpse: GlimpseConfig = field(default_factory=GlimpseConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)


@dataclass(frozen=True)
class LossConfig:
    """Weights and priors. Every term is a mean over frames; see :mod:`spacetime_env.space.losses`."""

    sigma_fg: float = setting(0.2, TRAINING)
    sigma_bg: float = setting(0.1, TRAINING)
    prior_z_pres: Schedule = setting(Schedule(0.1, 1e-10, 0.2, 1.0), TRAINING)
    prior_scale_mean: Schedule = setting(Schedule(-2.0, -2.5), TRAINING)
    prior_scale_std: float = setting(0.1, TRAINING)
    tau: Schedule = setting(Schedule(2.5, 2.5), TRAINING)
    # Weight of SPACE's boundary loss: what is drawn within boundary_width samples of a glimpse's edge costs. So a box
    # is larger than its object, and a wall, which fills boxes to their edges, is left to the background. A weight of 1
    # that ends at 60 % of the training: {start: 1, end: 0, begin: 0.6, until: 0.6}.
    boundary: Schedule = setting(Schedule(0.0, 0.0), TRAINING)
    boundary_width: int = setting(6, TRAINING, least=1, most=256)  # published: 6 of 32
    # How much of the motion targets is blended into z_pres, z_where and alpha.
    hint: Schedule = setting(Schedule(1.0, 0.0, 0.0, 0.6), TRAINING)
    motion: Schedule = setting(Schedule(1.0, 1.0), TRAINING)  # weight of all three motion losses
    # The published weights (100 * 10, 100 * 100, 100 * 1, 10) times 16: the published code sums these terms over the
    # 16 frames on each of its four GPUs, and ours are means over frames.
    motion_z_pres: float = setting(16000.0, TRAINING)
    motion_z_where: float = setting(160000.0, TRAINING)
    motion_alpha: float = setting(1600.0, TRAINING)
    # relative: smooth L1 in units of the box's size.
    z_where_loss: Literal["squared", "relative"] = setting("squared", TRAINING)
    z_what_map: float = setting(1.0, TRAINING)  # of following the glimpses' z_what (model.z_what_from: map)
    # The frame itself is the background of what does not move, and the fixed background counts only around what moves.
    # Otherwise the network learns boxes for all that differs from the fixed background, such as the shores of a river
    # that scrolls. Not for variant space.
    still_is_background: bool = setting(False, TRAINING)
    continuity: float = setting(160.0, TRAINING)
    continuity_wrap: bool = setting(False, TRAINING)  # published: neighbours wrap around the screen's edges
    match_weight: float = setting(5.0, TRAINING)  # z_cos_match_weight
    dynamic_scheduling: bool = setting(True, TRAINING)
    underestimating: float = setting(1.5, TRAINING)  # motion_underestimating
    found_weight: float = setting(0.025, TRAINING)  # motion_object_found_lambda
    found_offset: float = setting(0.1, TRAINING)  # z_where_offset
    steepness: float = setting(2.0, TRAINING)
    variance_steps: int = setting(20, TRAINING)
