"""The settings: frozen dataclasses with their defaults.

One tree, :class:`Config`, describes a whole run: what is recorded, how motion becomes targets, the network,
its losses, its training and how its detections become a scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spacetime_env.config.schedule import Schedule
from spacetime_env.config.tree import ConfigError

Side = int | tuple[int, int]  # of a square, or height and width
Conv = tuple[int, Side, Side, int, int]  # output channels, kernel, stride, padding, GroupNorm groups (0: no norm)


@dataclass(frozen=True)
class DataConfig:
    """What is recorded (see :mod:`spacetime_env.data`)."""

    root: str = "data"
    # Who plays: random, sticky-random, a trained agent by name or folder, or a mix such as
    # random+sticky-random+agents/pong-ppo, whose parts take turns, a shard each.
    agent: str = "random"
    eval_agent: str = "random"  # the same of the validation split of pretraining
    test_agent: str = ""  # the same of a test split; "": none is recorded, and those that are there are used
    size: int = 1024  # stacks in the train split
    eval_size: int = 256  # stacks in the validation split and in each test split
    length: int = 4  # T, consecutive frames in a stack
    shard_size: int = 64  # stacks in a file
    seed: int = 0
    workers: int = 2  # recording processes; the data do not depend on it
    order: Literal["random", "sequential"] = (
        "random"  # random: far apart and shuffled. sequential: back to back
    )
    gap: int = 24  # mean number of steps played between two stacks, in random order
    subframes: int = 1  # 2: the emulator's frame before each is recorded too, for sprites that flicker
    warmup: int = 1000  # each shard plays up to this many steps first, so that late phases come up too


@dataclass(frozen=True)
class RarityConfig:
    """The stages of :mod:`spacetime_env.data.motion.rarity`; one setting serves all games."""

    share: float = 0.35  # a pixel whose colour is there in fewer frames of the set is foreground ...
    window: int = 48  # ... unless over the steps this many before and after it ...
    steady: float = 0.95  # ... it was there in at least this fraction
    always: float = 0.99  # pixels whose colour is there in at least this fraction of the frames belong to no part
    open_edge: float = 0.2  # a part with more of its outline open to such pixels of its colour is a hole
    vote: float = 0.5  # fraction of a part's pixels that must be foreground
    part_area: float = 0.06  # parts over this fraction of the frame are scenery ...
    part_width: float = 0.6  # ... or over this fraction of its width ...
    part_height: float = 0.4  # ... or height
    parked_count: int = 10  # a shape that was taken so often ...
    parked_places: int = 4  # ... at so many places is taken wherever it is, ...
    parked_area: int = 12  # ... if it has at least so many pixels
    moves: float = 0.85  # a part that was there for less than this fraction of the window moves
    still: float = 0.1  # a shape that moves in less than this part of its occurrences ...
    still_count: int = 20  # ... of which there are so many, is not an object
    gap: int = 4  # parts so near belong together if of one colour, or if their colours ...
    touching: float = 0.7  # ... are near each other for this part of their area
    same_place: float = 0.5  # two objects of two sub-frames with more IoU than this are one that blinks
    group_width: float = 0.3  # wider objects, as a fraction of the frame, are dropped


@dataclass(frozen=True)
class MotionConfig:
    """How frames become motion masks and z_pres / z_where targets (see :mod:`spacetime_env.data.motion`)."""

    # difference: what differs from the background moves (published). rarity: colours that are rare at their place,
    # in whole parts; far better where scenery changes, sprites flicker or have several colours.
    foreground: Literal["difference", "rarity"] = "difference"
    background: Literal["mode", "median"] = "mode"
    extent: Literal["set", "trail"] = "set"  # over the whole set, or over the frames just before each stack
    trail: int = 64  # frames in the trail
    closing: int = 3  # side (odd) of the square that closes small holes in the mask, native pixels; 1: off
    components: Literal["mask", "color"] = (
        "mask"  # a box for each connected part of the mask, or of one colour in it
    )
    min_area: float = 1.0  # boxes (rarity: objects) with less area are dropped, native pixels
    max_area: float = 0.25  # boxes over this fraction of the frame are dropped
    rarity: RarityConfig = field(default_factory=RarityConfig)


@dataclass(frozen=True)
class EncoderConfig:
    """Image encoder: frame -> (channels, G, G). Defaults are the published network's."""

    layers: tuple[Conv, ...] = (
        (16, 4, 2, 1, 4),
        (32, 4, 2, 1, 8),
        (64, 4, 2, 1, 8),
        (128, 3, 1, 1, 16),
        (256, 3, 1, 1, 32),
        (128, 1, 1, 0, 16),
    )
    lateral: bool = True  # the residual and the concat block
    norm: Literal["group", "batch"] = "group"  # group: conv, CELU, GroupNorm. batch: conv, BatchNorm, ReLU
    # frame, as published. both: the frame, and its difference from the fixed background. What is small before a busy
    # background is then seen as before an empty one. At play it costs nothing: the background's part is a constant.
    input: Literal["frame", "both"] = "frame"


@dataclass(frozen=True)
class GlimpseConfig:
    """Glimpse encoder and decoder. Defaults are the published network's."""

    size: int = 32
    encoder: tuple[Conv, ...] = (
        (16, 3, 1, 1, 4),
        (32, 4, 2, 1, 8),
        (32, 3, 1, 1, 4),
        (64, 4, 2, 1, 8),
        (128, 4, 2, 1, 8),
        (256, 4, 1, 0, 16),
    )
    # (channels, GroupNorm groups): first a 1x1 convolution, then each doubles the size by PixelShuffle
    decoder: tuple[tuple[int, int], ...] = ((256, 16), (128, 16), (128, 16), (64, 8), (32, 8), (16, 4))
    refine: bool = True  # a 3x3 convolution after each doubling


@dataclass(frozen=True)
class BackgroundConfig:
    """``components``: K mask-and-component latents (GENESIS-like). ``fixed``: the training set's mode image."""

    kind: Literal["components", "fixed"] = "components"
    components: int = 3  # K
    image_dim: int = 64
    mask_dim: int = 32
    component_dim: int = 32
    hidden_dim: int = 64
    # Of components: so many frames in a row of a training stack share one background, inferred from their mean. A
    # background changes little in a few frames, and it is most of the cost of a training step. Published: 1.
    share: int = 1


@dataclass(frozen=True)
class ModelConfig:
    """The network (see :mod:`spacetime_env.space`). Defaults are the published size."""

    variant: Literal["space", "space+motion", "space+motion+continuity"] = "space+motion+continuity"
    frame_size: tuple[int, int] = (128, 128)  # H, W of the tensor the network sees
    # First native row that it sees, and the one after the last; 0, 0: all. Where only a part of the screen matters, and
    # it has frame_size as it is, nothing is resized: a line of one pixel stays one.
    rows: tuple[int, int] = (0, 0)
    color_order: Literal["rgb", "bgr"] = "rgb"
    # 2: it looks at the last two frames of the emulator, the brighter pixel of each place, and so sees sprites that
    # are drawn in every other one only. 0: 2 where more than 2 % of what moves is in the one before alone, else 1.
    subframes: int = 1
    grid: int = 16  # G
    z_what_dim: int = 32
    box_padding: float = 0.0  # pixels of the frame tensor added on each side of a box to encode and render it
    max_objects: int = 0  # cells a frame that are encoded and rendered in training; 0: all (exact)
    min_presence: float = 0.0  # ... and only those with at least this probability of z_pres; 0: all (exact)
    # Where z_what comes from at play. glimpse: each present cell's box is cut out and encoded, as published. map: a
    # head of the image encoder says it, taught by the glimpse encoder; the cost then does not depend on the objects.
    z_what_from: Literal["glimpse", "map"] = "glimpse"
    scale_bias: float = 0.0  # first value of the z_scale head's bias: smaller, smaller boxes
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    glimpse: GlimpseConfig = field(default_factory=GlimpseConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)


@dataclass(frozen=True)
class LossConfig:
    """Weights and priors. Every term is a mean over frames; see :mod:`spacetime_env.space.losses`."""

    sigma_fg: float = 0.2
    sigma_bg: float = 0.1
    prior_z_pres: Schedule = Schedule(0.1, 1e-10, 0.2, 1.0)
    prior_scale_mean: Schedule = Schedule(-2.0, -2.5)
    prior_scale_std: float = 0.1
    tau: Schedule = Schedule(2.5, 2.5)
    hint: Schedule = Schedule(1.0, 0.0, 0.0, 0.6)  # how much motion is blended into z_pres, z_where and alpha
    motion: Schedule = Schedule(1.0, 1.0)  # weight of all three motion losses
    # The published weights (100 * 10, 100 * 100, 100 * 1, 10) times 16: it summed these terms over the 16
    # frames that each of its four GPUs held, and ours are means over frames.
    motion_z_pres: float = 16000.0
    motion_z_where: float = 160000.0
    motion_alpha: float = 1600.0
    z_where_loss: Literal["squared", "relative"] = "squared"  # relative: smooth L1 in units of the box's size
    z_what_map: float = 1.0  # how much the map's z_what follows the glimpses' (model.z_what_from: map)
    # What does not move is its own background, and the fixed one counts only around what moves: otherwise the network
    # learns boxes for whatever differs from it, such as the shores of a river that scrolls. Not for variant space.
    still_is_background: bool = False
    continuity: float = 160.0
    continuity_wrap: bool = False  # published: neighbours wrap around the screen's edges
    match_weight: float = 5.0  # z_cos_match_weight
    dynamic_scheduling: bool = True
    underestimating: float = 1.5  # motion_underestimating
    found_weight: float = 0.025  # motion_object_found_lambda
    found_offset: float = 0.1  # z_where_offset
    steepness: float = 2.0
    variance_steps: int = 20


@dataclass(frozen=True)
class TrainConfig:
    """The training loop (see :mod:`spacetime_env.training.pretrain`)."""

    steps: int = 5000
    batch_size: int = 16  # stacks
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    background_learning_rate: float = 1e-3
    decay: Schedule = Schedule(1.0, 1.0)  # factor on both learning rates
    clip_norm: float = 1.0
    eval_every: int = 500
    save_every: int = 500
    log_every: int = 20
    picture_every: int = 500
    keep: int = 2  # last checkpoints kept, beside the best
    threads: int = 2
    device: str = "cpu"
    # Networks in bfloat16 (autocast); boxes, rendering and losses stay float32. auto: on CUDA, not on the CPU.
    amp: Literal["auto", "on", "off"] = "auto"
    few_shot: tuple[int, ...] = (1, 4, 16, 64)  # samples per class for the ridge classifier


@dataclass(frozen=True)
class SceneConfig:
    """How detections become a scene (see :mod:`spacetime_env.objects.describe`). Written into a model's
    ``model.yaml``."""

    classes: tuple[str, ...] = ()  # () where no labels are: classes come from clusters of z_what
    still: tuple[str, ...] = ()  # of these, what does not move (shields, pills): figures of what moves leave it out
    slots: Mapping[str, int] = field(
        default_factory=dict
    )  # slots of each class in the observation
    ignore: tuple[tuple[int, int, int, int], ...] = ()  # x, y, w, h in native pixels: the score, say
    threshold: float = 0.5  # z_pres over this is an object
    overlap: float = 0.5  # IoU over this with a more certain object: the same object, dropped
    whole_pixels: bool = True  # an Atari draws nothing between pixels, so edges of boxes are put on the nearest ones
    keep: int = 4  # steps a lost object keeps its last place
    max_speed: float = 24.0  # native pixels a step that dx, dy = 1 means


@dataclass(frozen=True)
class Config:
    """A whole run."""

    game: str = "Pong"
    name: str = ""  # of the model folder; "" means the game's name in lower case
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    # Several games for one network, with the scene of each. ``game`` is then empty and ``scene`` as it is by default;
    # spacetime_env.config.games.each_game makes a Config of one game for each.
    games: Mapping[str, SceneConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.games and self.game:
            raise ConfigError(
                f"game is {self.game!r}, and games are {', '.join(self.games)}: give one or the other. (In Python, "
                "give game='' beside games.)"
            )
        if self.games and self.scene != SceneConfig():
            raise ConfigError("scene: each of several games has a scene of its own, in games.")
