"""Configuration: frozen dataclasses, filled from YAML and from ``key=value`` words of a command line.

One tree, :class:`Config`, describes a whole run: what is recorded, how motion becomes targets, the network,
its losses, its training and how its detections become a scene. A config file names only what differs from the
defaults. An unknown key is refused with the nearest key that exists.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

T = TypeVar("T")

Conv = tuple[
    int, int, int, int, int
]  # output channels, kernel, stride, padding, GroupNorm groups (0: no norm)


class ConfigError(ValueError):
    """A configuration that cannot be used; the message says which key, what was expected and what came."""


@dataclass(frozen=True)
class DataConfig:
    """What is recorded (see :mod:`spacetime_env.dataset`)."""

    root: str = "data"
    # Who plays: random, sticky-random, a trained agent by name or folder, or a mix such as
    # random+sticky-random+agents/pong-ppo, whose parts take turns, a shard each.
    agent: str = "random"
    eval_agent: str = "random"  # the same of the validation split of pretraining
    test_agent: str = ""  # the same of a test split; "": none is recorded, and those that are there are used
    size: int = 1024  # stacks in the train split
    eval_size: int = 256  # stacks in the validation split and in each test split
    length: int = 4  # T, consecutive frames in a stack
    shard_size: int = 64  # stacks a file
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
    """The stages of :mod:`spacetime_env.motion.rarity`; one setting serves all games."""

    share: float = 0.35  # a pixel whose colour is there in fewer frames of the set is foreground ...
    window: int = 48  # ... unless over the steps this many before and after it ...
    steady: float = 0.95  # ... it was there in at least this part
    always: float = 0.99  # pixels whose colour is there in at least this part of the frames belong to no part
    open_edge: float = 0.2  # a part with more of its outline open to such pixels of its colour is a hole
    vote: float = 0.5  # part of a part's pixels that must be foreground
    part_area: float = 0.06  # parts over this part of the frame are scenery ...
    part_width: float = 0.6  # ... or over this part of its width ...
    part_height: float = 0.4  # ... or height
    parked_count: int = 10  # a shape that was taken so often ...
    parked_places: int = 4  # ... at so many places is taken wherever it is, ...
    parked_area: int = 12  # ... if it has at least so many pixels
    moves: float = 0.85  # a part that was there for less than this part of the window moves
    still: float = 0.1  # a shape that moves in less than this part of its occurrences ...
    still_count: int = 20  # ... of which there are so many, is not an object
    gap: int = 4  # parts so near belong together if of one colour, or if their colours ...
    touching: float = 0.7  # ... are near each other for this part of their area
    same_place: float = 0.5  # two objects of two sub-frames with more IoU than this are one that blinks
    group_width: float = 0.3  # wider objects, as a part of the frame, are dropped


@dataclass(frozen=True)
class MotionConfig:
    """How frames become motion masks and z_pres / z_where targets (see :mod:`spacetime_env.motion`)."""

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
    max_area: float = 0.25  # boxes over this part of the frame are dropped
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


@dataclass(frozen=True)
class ModelConfig:
    """The network (see :mod:`spacetime_env.space`). Defaults are the published size."""

    variant: Literal["space", "space+motion", "space+motion+continuity"] = "space+motion+continuity"
    frame_size: tuple[int, int] = (128, 128)  # H, W of the tensor the network sees
    color_order: Literal["rgb", "bgr"] = "rgb"
    # 2: it looks at the last two frames of the emulator, the brighter pixel of each place, and so sees sprites that
    # are drawn in every other one only. 0: 2 where more than 1 % of what moves is in the one before alone, else 1.
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
class Schedule:
    """A value that goes linearly from ``start`` to ``end`` between two parts of the training (0 to 1)."""

    start: float
    end: float
    begin: float = 0.0
    until: float = 1.0


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
    """The training loop (see :mod:`spacetime_env.pretrain`)."""

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
    few_shot: tuple[int, ...] = (1, 4, 16, 64)  # samples a class for the ridge classifier


@dataclass(frozen=True)
class SceneConfig:
    """How detections become a scene (see :mod:`spacetime_env.scene`). Written into a model's ``model.yaml``."""

    classes: tuple[str, ...] = ()  # () where no labels are: classes come from clusters of z_what
    still: tuple[str, ...] = ()  # of these, what does not move (shields, pills): figures of what moves leave it out
    slots: Mapping[str, int] = field(
        default_factory=dict
    )  # objects a class that the observation has room for
    ignore: tuple[tuple[int, int, int, int], ...] = ()  # x, y, w, h in native pixels: the score, say
    threshold: float = 0.5  # z_pres over this is an object
    overlap: float = 0.5  # IoU over this with a more certain object: the same object, dropped
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
    # spacetime_env.joint.each_game makes a Config of one game for each.
    games: Mapping[str, SceneConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.games and self.game:
            raise ConfigError(
                f"game is {self.game!r}, and games are {', '.join(self.games)}: give one or the other. (In Python, "
                "give game='' beside games.)"
            )
        if self.games and self.scene != SceneConfig():
            raise ConfigError("scene: each of several games has a scene of its own, in games.")


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read ``path`` (YAML) over the defaults, then apply ``overrides`` such as ``"train.steps=100"``.

    A file may say ``base: default.yaml``: it then goes over that file, which lies beside it. In ``games``, a game's
    scene is given in place or by the name of that game's config file, whose other settings are not used; ``scene``
    beside ``games`` is what all of them start from.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a value of the wrong type.
    """
    path = Path(path)
    tree = _read(path)
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value, such as train.steps=100, and got {word!r}.")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"the value in {word!r} is not YAML; put quotes around it.") from None
        tree = _set(tree, key.split("."), parsed, word)
    return from_dict(Config, _with_scenes(tree, path), str(path))


def _with_scenes(tree: Any, path: Path) -> Any:
    """The tree with the scene of each of ``games``, where it has some, and without a game and a scene of all."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict) or not tree["games"]:
        return tree
    tree = _read_scenes(tree, path, ())
    games = {name: _over(tree.get("scene"), scene) for name, scene in tree["games"].items()}
    return {"game": "", **{key: value for key, value in tree.items() if key != "scene"}, "games": games}


def _read_scenes(tree: Any, path: Path, above: tuple[Path, ...]) -> Any:
    """The tree with the scenes of those of ``games`` that are given as a file beside ``path``."""
    if not isinstance(tree, dict) or not isinstance(tree.get("games"), dict):
        return tree
    scenes = {}
    for name, given in tree["games"].items():
        if isinstance(given, str):
            file = _read(_below(path, "games", given, above), above)
            if not isinstance(file, dict) or file.get("game") != name:
                raise ConfigError(f"{path}: games: {name}: {given} is not of the game {name!r}.")
            given = file.get("scene")
        scenes[name] = {} if given is None else given
    return {**tree, "games": scenes}


def _read(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """The tree of a file, over that of its base; ``above``: the files that led here."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise ConfigError(f"no config file {path}. Files beside it: {', '.join(near) or 'none'}.") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if above and not isinstance(tree, dict):  # it would be dropped without a word
        raise ConfigError(f"{path}: expected keys of Config, since {above[0]} goes over it, and got {tree!r}.")
    above = (path, *above)
    tree = _read_scenes(tree, path, above)
    if not isinstance(tree, dict) or "base" not in tree:
        return tree
    base = tree.pop("base")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected the name of a file, such as default.yaml, got {base!r}.")
    return _over(_read(_below(path, "base", base, above), above), tree)


def _below(path: Path, key: str, name: str, above: tuple[Path, ...]) -> Path:
    """The file that ``path`` names beside it, if that is none of those ``above``, which led here."""
    below = path.parent / name
    if below.resolve() in (one.resolve() for one in above):
        raise ConfigError(f"{path}: {key}: {name} leads back to itself.")
    return below


def _over(base: Any, tree: Any) -> Any:
    """``tree`` over ``base``: mappings are merged, all else is replaced."""
    if not isinstance(base, dict) or not isinstance(tree, dict):
        return tree
    return {**base, **{key: _over(base.get(key), value) for key, value in tree.items()}}


def _set(tree: Any, keys: list[str], value: Any, word: str) -> Any:
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{word!r}: {keys[0]!r} is set inside a value that has no keys.")
    if len(keys) == 1:
        return {**tree, keys[0]: value}
    return {**tree, keys[0]: _set(tree.get(keys[0]), keys[1:], value, word)}


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain lists, dicts and scalars: what YAML holds, and what :func:`from_dict` reads."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return value

    return plain(config)


def from_dict(cls: type[T], tree: Any, where: str = "config") -> T:
    """Build the dataclass ``cls`` from a mapping, checking every key and type.

    Raises:
        ConfigError: naming the key, what was expected and what came.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected keys of {cls.__name__}, got {tree!r}.")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in tree:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Keys: {', '.join(names)}."
            raise ConfigError(f"{where}: unknown key {key!r}. {hint}")
    for needed in dataclasses.fields(cls):  # type: ignore[arg-type]
        required = needed.default is dataclasses.MISSING and needed.default_factory is dataclasses.MISSING
        if required and needed.name not in tree:
            raise ConfigError(f"{where}: {needed.name!r} is missing.")
    return cls(**{key: _convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    if origin is Literal:
        if value not in args:
            raise ConfigError(f"{where}: expected one of {', '.join(map(repr, args))}, got {value!r}.")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {value!r}.")
        if args[-1] is Ellipsis:
            return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        if len(value) != len(args):
            raise ConfigError(f"{where}: expected {len(args)} values, got {value!r}.")
        return tuple(
            _convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected name: value pairs, got {value!r}.")
        return {_convert(args[0], k, where): _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float:
        if isinstance(value, str):  # YAML reads 1e-3 as text
            try:
                return float(value)
            except ValueError:
                pass
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}.")
