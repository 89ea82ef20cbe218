"""The settings: frozen dataclasses with their defaults.

:class:`Config` holds all settings of a run: what is recorded, how motion becomes targets, the network, its losses, its
training, and how its detections become a scene. Each field is declared as ``setting(default, scope)``; the scope says
what cannot be used any more when the value changes (see :mod:`spacetime_env.config.scope`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spacetime_env.config.network import LossConfig, ModelConfig
from spacetime_env.config.schedule import Schedule
from spacetime_env.config.scope import (
    EVALUATION_PLAYER,
    EVALUATION_STACKS,
    FRAMES,
    NOTHING,
    PLAY,
    STACKS,
    TARGETS,
    TRAINING,
    WITH_RARITY,
    WITH_TRAIL,
    Scope,
    setting,
)
from spacetime_env.config.tree import ConfigError, require_ranges
from spacetime_env.files import shown, shown_names

MOST_SLOTS = 1000  # of a scene, of all classes together


@dataclass(frozen=True)
class DataConfig:
    """What is recorded (see :mod:`spacetime_env.data`)."""

    root: str = setting("data", Scope.EXAMPLES)  # the folder of all splits
    # In place of a game: a folder of pictures, with the subfolders train, validation and, for figures, test. A folder
    # in these is a clip. See spacetime_env.data.pictures; settings of the recording are then not used.
    pictures: str = setting("", TARGETS)
    # The player of the train split: random, sticky-random, a trained agent by name or folder, or a mix such as
    # random+sticky-random+agents/pong-ppo, whose parts take turns, a shard each.
    agent: str = setting("random", FRAMES)
    eval_agent: str = setting("random", EVALUATION_PLAYER)  # the player of the validation split
    # The player of a test split; "": no test split is recorded, and the existing ones are used.
    test_agent: str = setting("", EVALUATION_PLAYER)
    size: int = setting(1024, STACKS, most=10**7)  # stacks in the train split
    eval_size: int = setting(
        256, EVALUATION_STACKS, most=10**7
    )  # stacks in the validation split and in each test split
    length: int = setting(4, STACKS, least=1, most=10**4)  # T, consecutive frames in a stack
    shard_size: int = setting(64, STACKS, least=1, most=10**6)  # stacks in a file
    seed: int = setting(0, STACKS)
    workers: int = setting(2, Scope.EXAMPLES, least=1, most=1024)  # recording processes; the data do not depend on it
    # random: stacks far apart and shuffled. sequential: back to back.
    order: Literal["random", "sequential"] = setting("random", PLAY)
    gap: int = setting(24, PLAY, least=0, most=10**9)  # mean number of steps played between two stacks, in random order
    # 2: the emulator's frame before each is recorded too, for sprites that flicker.
    subframes: int = setting(1, PLAY, least=1, most=2)
    # Each shard first plays a random number of steps, up to this one, so that late phases of a game are recorded too.
    warmup: int = setting(1000, PLAY, least=0, most=10**9)


@dataclass(frozen=True)
class RarityConfig:
    """The stages of :mod:`spacetime_env.data.motion.rarity`; one setting serves all games."""

    # A pixel is foreground if its colour is at this place in less than the fraction share of the set's frames, and in
    # less than the fraction steady of the frames up to window steps before and after.
    share: float = setting(0.35, TARGETS)
    window: int = setting(48, TARGETS, WITH_RARITY, least=1, most=10**6)
    steady: float = setting(0.95, TARGETS)
    # A pixel whose colour is at this place in at least this fraction of the frames belongs to no part.
    always: float = setting(0.99, TARGETS)
    # A part is a hole if such pixels of its colour adjoin more than this fraction of its outline.
    open_edge: float = setting(0.2, TARGETS)
    vote: float = setting(0.5, TARGETS)  # fraction of a part's pixels that must be foreground
    part_area: float = setting(0.06, TARGETS)  # parts over this fraction of the frame are scenery ...
    part_width: float = setting(0.6, TARGETS)  # ... or over this fraction of its width ...
    part_height: float = setting(0.4, TARGETS)  # ... or height
    # A shape of at least parked_area pixels that was accepted parked_count times, at parked_places places, is an object
    # also where it does not move.
    parked_count: int = setting(10, TARGETS)
    parked_places: int = setting(4, TARGETS)
    parked_area: int = setting(12, TARGETS)
    moves: float = setting(0.85, TARGETS)  # a part that was there for less than this fraction of the window moves
    # A shape that occurred at least still_count times and moved in less than this fraction of them is no object.
    still: float = setting(0.1, TARGETS)
    still_count: int = setting(20, TARGETS)
    # Parts at most this many pixels apart are one object if they have one colour, or if at least the fraction touching
    # of the area in one of their colours lies near the other colour.
    gap: int = setting(4, TARGETS)
    touching: float = setting(0.7, TARGETS)
    # A shape that was seen beside_count times, in at least the fraction beside of them near a colour, is of the object
    # that has this colour: an aerial on a roof.
    beside: float = setting(0.9, TARGETS)
    beside_count: int = setting(20, TARGETS)
    same_place: float = setting(0.5, TARGETS)  # objects of two sub-frames with a higher IoU are one object that blinks
    group_width: float = setting(0.3, TARGETS)  # wider objects, as a fraction of the frame, are dropped


@dataclass(frozen=True)
class MotionConfig:
    """How frames become motion masks and z_pres / z_where targets (see :mod:`spacetime_env.data.motion`)."""

    # difference: what differs from the background moves (published). rarity: colours that are rare at their place,
    # in whole parts; far better where scenery changes, sprites flicker or have several colours.
    foreground: Literal["difference", "rarity"] = setting("difference", PLAY)
    background: Literal["mode", "median"] = setting("mode", TARGETS, WITH_TRAIL)
    # The frames that the background is computed from: the whole set, or the trail of frames just before each stack.
    extent: Literal["set", "trail"] = setting("set", PLAY)
    trail: int = setting(64, TARGETS, WITH_TRAIL)  # frames in the trail
    closing: int = setting(3, TARGETS)  # side (odd) of the square that closes holes in the mask, native pixels; 1: off
    # A box for each connected part of the mask, or of one colour in it.
    components: Literal["mask", "color"] = setting("mask", TARGETS)
    min_area: float = setting(1.0, TARGETS)  # boxes (rarity: objects) with less area are dropped, native pixels
    max_area: float = setting(0.25, TARGETS)  # boxes over this fraction of the frame are dropped
    rarity: RarityConfig = field(default_factory=RarityConfig)


@dataclass(frozen=True)
class TrainConfig:
    """The training loop (see :mod:`spacetime_env.training.pretrain`)."""

    steps: int = setting(5000, TRAINING)
    batch_size: int = setting(16, TRAINING)  # stacks
    optimizer: Literal["adam", "rmsprop"] = setting("adam", TRAINING)
    learning_rate: float = setting(1e-3, TRAINING)
    background_learning_rate: float = setting(1e-3, TRAINING)
    decay: Schedule = setting(Schedule(1.0, 1.0), TRAINING)  # factor on both learning rates
    clip_norm: float = setting(1.0, TRAINING)
    # In this fraction of the steps, the first ones, the background trains alone. What it explains then is left to it.
    background_first: float = setting(0.0, TRAINING, least=0, most=1)
    flip: bool = setting(False, TRAINING)  # each stack is mirrored, left and right, with probability 0.5
    eval_every: int = setting(500, NOTHING)
    save_every: int = setting(500, NOTHING)
    log_every: int = setting(20, NOTHING)
    picture_every: int = setting(500, NOTHING)
    keep: int = setting(2, NOTHING)  # last checkpoints kept, beside the best
    threads: int = setting(2, NOTHING)
    device: str = setting("cpu", NOTHING)
    # Networks in bfloat16 (autocast); boxes, rendering and losses stay float32. auto: on CUDA, not on the CPU.
    amp: Literal["auto", "on", "off"] = setting("auto", TRAINING)
    # Weights to start with, but at step 0: a model, a checkpoint or run folder, or a .pth of the published code.
    start: str | None = setting(None, TRAINING)
    few_shot: tuple[int, ...] = setting((1, 4, 16, 64), TRAINING)  # samples per class for the ridge classifier
    # Classes where no label names the objects: clusters of z_what. 0: as many as scene.classes, else 8; of pictures 1.
    clusters: int = setting(0, NOTHING, least=0, most=1000)


@dataclass(frozen=True)
class SceneConfig:
    """How detections become a scene (see :mod:`spacetime_env.objects.describe`); a part of ``model.yaml``."""

    classes: tuple[str, ...] = setting((), TARGETS)  # (): without labels classes are clusters of z_what
    # Of the classes, those that do not move (shields, pills): figures of what moves leave them out.
    still: tuple[str, ...] = setting((), TARGETS)
    slots: Mapping[str, int] = setting({}, TARGETS, least=0, most=MOST_SLOTS)  # slots of each class in the observation
    # Regions without objects, such as the score: x, y, w, h in native pixels.
    ignore: tuple[tuple[int, int, int, int], ...] = setting((), TARGETS, least=-4096, most=4096)
    threshold: float = setting(0.5, TARGETS, least=0, most=1)  # z_pres over this is an object
    # IoU over this with a more certain object: the same object, dropped.
    overlap: float = setting(0.5, TARGETS, least=0, most=1)
    whole_pixels: bool = setting(True, TARGETS)  # edges of boxes are rounded to whole pixels, as an Atari draws
    # An edge that is a pixel off moves to where the drawn object ends. Of models with a fixed background that see the
    # game's own pixels; with whole_pixels.
    snap: bool = setting(True, TARGETS)
    cut: bool = setting(False, TARGETS)  # boxes end at the frame's edges, as those of a segmentation do
    keep: int = setting(4, TARGETS, least=0, most=10**6)  # steps for which a lost object keeps its last place
    max_speed: float = setting(24.0, TARGETS, least=0.01, most=10**6)  # native pixels a step at which dx or dy is 1

    def __post_init__(self) -> None:
        require_ranges(self)
        count = sum(self.slots.values()) + sum(name not in self.slots for name in self.classes)
        if count > MOST_SLOTS:
            raise ConfigError(f"slots: expected at most {MOST_SLOTS} of all classes together, got {count}.")


@dataclass(frozen=True)
class Config:
    """A whole run."""

    game: str = setting("Pong", FRAMES)  # "" with data.pictures
    # Of the model folder; "" means the game's name in lower case, or the name of the folder of pictures.
    name: str = setting("", NOTHING)
    seed: int = setting(0, TRAINING)
    data: DataConfig = field(default_factory=DataConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    scene: SceneConfig = field(default_factory=SceneConfig)
    # Several games for one network, with the scene of each. ``game`` is then empty and ``scene`` has its defaults;
    # spacetime_env.config.games.each_game makes a Config of one game for each.
    games: Mapping[str, SceneConfig] = setting({}, TARGETS)

    def __post_init__(self) -> None:
        if self.games and self.game:
            raise ConfigError(
                f"game is {shown(self.game)}, and games are {shown_names(self.games)}: give one or the other. "
                "(In Python, give game='' beside games.)"
            )
        if self.games and self.scene != SceneConfig():
            raise ConfigError("scene: each of several games has a scene of its own, in games.")
